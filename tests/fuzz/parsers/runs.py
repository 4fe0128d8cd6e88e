"""What a run leaves and another command reads: settings, progress, metrics, records, corrections."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import sqlite3
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import yaml

from tagseg.beyond.made_from import FILE as MADE_FROM
from tagseg.beyond.made_from import Origin
from tagseg.config_file import read_config, refuse_code, settings_in, text_with_new_names
from tagseg.exporting.card_facts import _json
from tagseg.labelling.dataset import RECORD, Dataset
from tagseg.presets import PRESETS
from tagseg.reporting.logs import read_logs
from tagseg.reporting.opened_run import _data_of
from tagseg.serving.database import Database
from tagseg.serving.edits import Edits, PhotoEdit
from tagseg.serving.mask_png import as_png, from_png
from tagseg.serving.saved_update import SavedUpdate, Snapshot
from tagseg.training.progress_file import ProgressLine, read_progress, remove_torn_line

from ..mutate import mutated
from ..parser import Case, Parser
from ..trial import scratch

_YAML = (
    b"method: frozen",
    b"data:",
    b"root: ",
    b"run:\n  steps: ",
    b"!!int ",
    b"!!python/name:os.system ",
    b"!!timestamp x",
    b"2020-99-99",
    b"!!binary x",
    b"!!set {a}",
    b"? [a]\n",
    b"&a [*a]",
    b"<<: 1",
    b"1e999",
    b".nan",
    b"0o99",
    b"1:99:99",
    b"=",
    b"- ",
    b"{",
    b"]",
    b"\n  ",
    b"class_path: os.system",
)
_JSON = (b"null", b"[]", b"{}", b"true", b"1", b'"a"', b"NaN", b"\n", b'"classes"', b'"step"')
_MASK = np.zeros((4, 4), np.uint8)


def _config(rng: Random) -> Case:
    config = PRESETS[rng.choice(list(PRESETS))]()
    run = dataclasses.replace(config.run, steps=rng.randint(1, 1000), seed=rng.randrange(1000))
    data = dataclasses.replace(config.data, root=rng.choice(("photos", "фото/a b", "1.0", "no", "~")))
    config = dataclasses.replace(config, run=run, data=data)
    sections = {
        name: json.loads(json.dumps(dataclasses.asdict(section))) for name, section in config.sections().items()
    }
    text = yaml.safe_dump({"method": config.method.NAME, **sections}, sort_keys=rng.random() < 0.5, allow_unicode=True)
    return Case("config.yaml", text.encode(), config)


def _read_config(path: Path) -> Any:
    config = read_config(path)
    refuse_code(str(path), settings_in(str(path)))
    text_with_new_names(str(path), config.method.NAME)
    return config


def _settings(rng: Random) -> Case:
    content = {"method": "frozen", "data": {"root": "a"}, "run": {"steps": rng.randrange(100), "output": "b"}}
    return Case("config.yaml", yaml.safe_dump(content).encode(), content)


def _read_settings(path: Path) -> Any:
    values = settings_in(str(path))
    refuse_code(str(path), values)
    text_with_new_names(str(path), "frozen")
    return values


def _progress(rng: Random) -> Case:
    lines = [ProgressLine("training", step, 10, losses={"loss": rng.random()}) for step in range(rng.randint(1, 5))]
    content = b"".join(line.content(1.0 + line.step) for line in lines)
    expected = [json.loads(line) for line in content.splitlines()]
    if rng.random() < 0.3:
        content += b'{"time": 1'  # torn
    return Case("progress.jsonl", content, expected)


def _read_progress(path: Path) -> Any:
    before = read_progress(path.parent)
    remove_torn_line(path)
    assert read_progress(path.parent) == before
    return before


def _metrics(rng: Random) -> Case:
    rows = [
        {"step": step, "epoch": 0, "train/loss": rng.random(), "val/mIoU": rng.choice(("", rng.random()))}
        for step in range(rng.randint(1, 5))
    ]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    expected = [{name: float(value) for name, value in row.items() if value != "" and name != "epoch"} for row in rows]
    return Case("metrics.csv", text.getvalue().encode(), expected)


def _read_metrics(path: Path) -> Any:
    place = path.parent / "logs" / "part_0"
    place.mkdir(parents=True, exist_ok=True)
    (place / "metrics.csv").write_bytes(path.read_bytes())
    return read_logs(path.parent)


def _data(rng: Random) -> Case:
    content = {"source": "folder", "classes": ["cat"], "images": rng.randrange(100), "notes": ["x é"]}
    return Case("data.json", json.dumps(content, ensure_ascii=rng.random() < 0.5).encode(), content)


def _read_data(path: Path) -> Any:
    facts = _data_of(path.parent)
    assert facts == _json(path)
    return facts


def _record(rng: Random) -> Case:
    content = {"common": {"classes": ["cat"], "weights": "x"}, "photos": {"a": {"tags": ["cat"], "bytes": 3}}}
    return Case(MADE_FROM, json.dumps(content).encode(), set())


def _read_record(path: Path) -> Any:
    origin = Origin({"classes": ["cat"], "weights": "x"}, {"a": {"tags": ["cat"], "bytes": 3}})
    return origin.outdated(path.parent, lambda name: True).names


def _labelled(rng: Random) -> Case:
    files = ["images/a.jpg", "masks/a.png"]
    return Case(RECORD, json.dumps({"written by": "tagseg label", "files": files}).encode(), set(files))


def _read_labelled(path: Path) -> Any:
    return Dataset(path.parent, [])._earlier


def _corrections(rng: Random) -> Case:
    with scratch() as folder:
        database = Database(Path(folder) / "c.sqlite")
        edits = Edits(database)
        edit = PhotoEdit(rng.choice((None, ("cat",), ())), rng.choice(("open", "accepted", "rejected")), None)
        edits.change("a", "text", lambda _, keep: dataclasses.replace(edit, mask=keep(as_png(_MASK))))
        edits.set_share(0.25, None, "share")
        update = SavedUpdate(database, "start")
        update.save(1, b"heads", Snapshot(edits.photos(), 0.25), {})
        expected = (edits.photos(), 0.25, 1, len(edits.history()))
        database.rows("PRAGMA wal_checkpoint(TRUNCATE)")
        database.close()
        return Case("corrections.sqlite", (Path(folder) / "c.sqlite").read_bytes(), expected)


def _read_corrections(path: Path) -> Any:
    database = Database(path)
    try:
        edits, update = Edits(database), SavedUpdate(database, "start")
        photos, history, share = edits.photos(), edits.history(), edits.share(None)
        for edit in photos.values():
            if edit.mask is not None:
                from_png(edits.mask(edit.mask))
        edits.revisions()
        update.trained_on(Snapshot({}, None)), update.queue(), update.heads, update.revision
        number = update.number
        edits.change("b", "text", lambda old, _: dataclasses.replace(old, state="accepted"))
        edits.set_share(0.5, None, "text")
        edits.undo(), edits.redo()
        return photos, share, number, len(history)
    finally:
        database.close()
        for ending in ("-wal", "-shm", "-journal"):
            Path(f"{path}{ending}").unlink(missing_ok=True)


def _in_table(content: bytes, rng: Random, words: Any) -> bytes:
    """A value in a table is changed: other text, another type."""
    connection = sqlite3.connect(":memory:")
    connection.deserialize(content[:18] + b"\1\1" + content[20:])  # not WAL, which needs a file
    table, column = rng.choice(
        (
            ("subjects", "value"),
            ("subjects", "revision"),
            ("actions", "text"),
            ("actions", "time"),
            ("actions", "before"),
            ("actions", "after"),
            ("actions", "undone"),
            ("actions", "subject"),
            ("masks", "png"),
            ("masks", "id"),
            ("facts", "value"),
            ("facts", "name"),
            ("subjects", "subject"),
        )
    )
    rows = connection.execute(f"SELECT rowid, {column} FROM {table} ORDER BY rowid").fetchall()
    place, value = rng.choice(rows)
    raw = value if isinstance(value, bytes) else str(value).encode()
    changed = rng.choice((mutated(raw, rng, _JSON, []), b"{}", b"[]", b"null", b'{"tags": 1, "state": 2, "mask": "x"}'))
    new = rng.choice(
        (changed.decode("utf-8", "replace"), changed, 0, -1, 1.5, 1 << 62, changed.decode("utf-8", "replace"))
    )
    try:
        connection.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (new, place))
        connection.commit()
    except sqlite3.Error:
        pass
    return connection.serialize()


PARSERS = (
    Parser("config_yaml", _config, _read_config, _YAML, changed=0.95, pool=8),
    Parser("settings_yaml", _settings, _read_settings, _YAML),
    Parser("progress_jsonl", _progress, _read_progress, _JSON),
    Parser("metrics_csv", _metrics, _read_metrics, (b"step", b",", b"\n", b'"', b"nan", b"inf")),
    Parser("data_json", _data, _read_data, _JSON),
    Parser("made_from", _record, _read_record, _JSON),
    Parser("label_json", _labelled, _read_labelled, _JSON),
    Parser("corrections", _corrections, _read_corrections, _JSON, change=_in_table, changed=0.95, pool=5),
)

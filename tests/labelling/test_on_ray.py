"""``tagseg label --engine ray``, with workers that run in this process instead of Ray's."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tagseg.beyond.made_from import FILE, Origin
from tagseg.errors import TagsegError
from tagseg.labelling import label as label_file
from tagseg.labelling import on_ray
from tagseg.labelling.label import label
from tagseg.labelling.noting import Noting
from tagseg.model.checkpoint import save_network

from ..conftest import make_folder, tiny_network
from ..scale.conftest import Here

FAST: dict[str, Any] = {"scales": (1.0,), "device": "cpu", "quiet": True}


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Here:
    engine = Here()

    @contextmanager
    def started(workers: int, device: str) -> Iterator[Here]:
        yield engine

    monkeypatch.setattr(on_ray, "started", started)
    monkeypatch.setattr(label_file, "check_engine", lambda workers, device: None)
    return engine


@pytest.fixture
def run(tmp_path: Path) -> Path:
    save_network(tiny_network(), tmp_path / "run" / "best.safetensors")
    return tmp_path / "run"


def content(folder: Path, files: Callable[[Path], set[str]]) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in files(folder)}


@pytest.mark.parametrize("layout", ["folders", "voc"])
def test_the_dataset_is_that_of_the_plain_path(here, run, tagged_folder, tmp_path, files, layout):
    label(tagged_folder, tmp_path / "plain", run, layout=layout, **FAST)
    made = label(tagged_folder, tmp_path / "out", run, layout=layout, engine="ray", **FAST)
    assert (len(made), sum(here.blocks)) == (8, 8)
    assert content(tmp_path / "out", files) == content(tmp_path / "plain", files)
    mask = next(iter(made.masks.values()))[0]
    mask.unlink()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.png")}
    here.blocks.clear()
    label(tagged_folder, tmp_path / "out", run, layout=layout, engine="ray", **FAST)
    assert here.blocks == [1], "only the mask that is missing is made"
    assert before.items() <= {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.png")}.items()
    assert content(tmp_path / "out", files) == content(tmp_path / "plain", files)


def test_a_photo_that_cannot_be_labelled_ends_as_with_the_plain_path(here, run, tmp_path, monkeypatch, files):
    monkeypatch.chdir(tmp_path)
    root = make_folder(Path("tagged"))
    cut = root / "images" / "train1.jpg"
    cut.write_bytes(cut.read_bytes()[:-200])
    with pytest.raises(TagsegError) as plain:
        label("tagged", "plain", run, **FAST)
    with pytest.raises(TagsegError) as ours:
        label("tagged", "out", run, engine="ray", **FAST)
    assert str(ours.value) == str(plain.value)
    assert content(Path("out"), files) == content(Path("plain"), files)


def test_a_full_disk_ends_it_with_one_line(here, run, tagged_folder, tmp_path, monkeypatch):
    def full(*_):
        raise TagsegError("cannot write mask.png: No space left on device")

    monkeypatch.setattr(on_ray, "write_photo_and_mask", full)
    with pytest.raises(TagsegError, match=r"cannot write mask\.png"):
        label(tagged_folder, tmp_path / "out", run, engine="ray", **FAST)


def test_without_a_run_the_engine_is_refused(here, tagged_folder, tmp_path):
    with pytest.raises(TagsegError, match="labels without a run are fitted to all photos together"):
        label(tagged_folder, tmp_path / "out", engine="ray")
    with pytest.raises(TagsegError, match="engine is 'rya', expected 'local' or 'ray'"):
        label_file._workers_of("rya", None, -1, "cpu")


def test_masks_are_noted_now_and_then_so_that_a_kill_loses_minutes(tmp_path):
    clock = [0.0]
    origin = Origin({}, {name: {"tags": []} for name in ("a", "b", "c")})
    noting = Noting(origin, tmp_path, ["a", "b"], lambda: clock[0])
    noted = []
    for seconds, done in ((0, ["a"]), (29, ["a"]), (5, ["a"]), (5, ["a", "b"]), (30, ["a", "b"])):
        clock[0] += seconds
        noting.now_and_then(partial(list, done))
        noted.append(sorted(json.loads((tmp_path / FILE).read_text())["photos"]))
    assert noted == [["c"], ["c"], ["a", "c"], ["a", "c"], ["a", "b", "c"]]


def test_after_a_kill_the_masks_that_were_noted_stay(run, tagged_folder, tmp_path, monkeypatch, capsys):
    class Killed(BaseException):
        pass

    real, calls = Noting.write, []

    def write(self, done):
        calls.append(len(set(done)))
        if len(calls) >= 4:  # also the last one, as a killed process writes none
            raise Killed
        real(self, done)

    monkeypatch.setattr("tagseg.labelling.noting._EVERY", 0.0)
    monkeypatch.setattr(Noting, "write", write)
    with pytest.raises(Killed):
        label(tagged_folder, tmp_path / "out", run, writers=0, **FAST)
    assert calls[2] > 0
    assert (tmp_path / "out" / FILE).is_file()
    monkeypatch.setattr(Noting, "write", real)
    made = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out" / "masks").rglob("*.png")}
    label(tagged_folder, tmp_path / "out", run, writers=0, **FAST)
    after = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out" / "masks").rglob("*.png")}
    assert sum(after[name] == time for name, time in made.items()) >= calls[2]

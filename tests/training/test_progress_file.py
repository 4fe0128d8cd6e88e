"""``progress.jsonl``: whole lines whatever happens, JSON whatever the numbers are, and not too many of them."""

import json
import logging
import math
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tagseg.errors import TagsegError
from tagseg.training import progress_file
from tagseg.training.progress_file import NAME, ProgressFile, ProgressLine, interval, read_progress, remove_torn_line

FIELDS = ["time", "stage", "step", "steps", "fraction", "seconds_left", "losses", "rates", "images_per_second",
          "scores", "memory", "state", "error"]  # fmt: skip


def lines(folder):
    return (folder / NAME).read_text().splitlines()


def test_a_line_has_every_field_in_its_order(tmp_path):
    file = ProgressFile(tmp_path / "run")
    file.write(ProgressLine("decoder", 3, 12, 4.5, {"loss": 0.5}, {"decoder": 1e-3}, 7.0, {"a/b": 0.25}, {"gpu": 9}))
    (line,) = lines(tmp_path / "run")
    record = json.loads(line)
    assert list(record) == FIELDS
    assert abs(record.pop("time") - time.time()) < 60
    assert record == {
        "stage": "decoder", "step": 3, "steps": 12, "fraction": 0.25, "seconds_left": 4.5, "losses": {"loss": 0.5},
        "rates": {"decoder": 1e-3}, "images_per_second": 7.0, "scores": {"a/b": 0.25}, "memory": {"gpu": 9},
        "state": "running", "error": None,
    }  # fmt: skip


def test_the_page_lists_these_fields():
    page = (Path(__file__).parents[2] / "docs" / "training_logs.md").read_text(encoding="utf-8")
    table = page.split("| field | what it is |")[1].split("\n\n")[0]
    names = [name for line in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", line.split("|")[1])]
    assert names == FIELDS
    example = page.split("```json\n")[1].split("\n")[0]
    assert list(json.loads(example)) == FIELDS


def test_numbers_that_json_does_not_know_are_null():
    record = json.loads(ProgressLine("training", 1, 0, math.inf, {"loss": math.nan}).content(0.0))
    assert record["losses"] == {"loss": None}
    assert record["seconds_left"] is None
    assert record["fraction"] == 1, "nothing to do is all done"


def test_text_of_any_kind_stays_one_line(tmp_path):
    file = ProgressFile(tmp_path)
    file.write(ProgressLine("training", 1, 2, scores={"Käse\n\u2028x": 0.5}, error="a\nb"))
    content = (tmp_path / NAME).read_bytes()
    assert content.count(b"\n") == 1
    assert read_progress(tmp_path)[0]["scores"] == {"Käse\n\u2028x": 0.5}


def test_a_line_is_due_once_a_second_and_later_once_in_ten(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress_file.time, "monotonic", lambda: now[0])
    file = ProgressFile(tmp_path)
    assert file.is_due(), "at once"
    file.write(ProgressLine("training", 0, 9))
    assert not file.is_due()
    now[0] += 1.0
    assert file.is_due()
    now[0] += 4_000
    file.write(ProgressLine("training", 1, 9))
    now[0] += 3.5
    assert not file.is_due()
    now[0] += 0.6
    assert file.is_due()
    assert [interval(seconds) for seconds in (0.0, 3_000.0, 1e6)] == [1, 3, 10]


@pytest.mark.parametrize("torn", [b'{"time": 1, "st', b"{" * 10_000])
def test_a_torn_line_goes_at_the_next_start_and_before_it_is_not_read(tmp_path, torn):
    ProgressFile(tmp_path).write(ProgressLine("training", 1, 9))
    whole = (tmp_path / NAME).read_bytes()
    (tmp_path / NAME).write_bytes(whole + torn)
    assert len(read_progress(tmp_path)) == 1
    ProgressFile(tmp_path).write(ProgressLine("training", 2, 9))
    assert (tmp_path / NAME).read_bytes().startswith(whole)
    assert [record["step"] for record in read_progress(tmp_path)] == [1, 2]


def test_a_file_that_is_one_torn_line_becomes_empty(tmp_path):
    (tmp_path / NAME).write_bytes(b'{"time"' * 2_000)
    remove_torn_line(tmp_path / NAME)
    assert (tmp_path / NAME).read_bytes() == b""


@pytest.mark.slow
def test_killed_while_it_writes_every_line_is_whole(tmp_path):
    code = (
        "import sys; from pathlib import Path; from tagseg.training.progress_file import *\n"
        "file = ProgressFile(Path(sys.argv[1]))\n"
        "while True: file.write(ProgressLine('training', 1, 9, losses={'x' * 3000: 1.0}))"
    )
    for _ in range(2):
        process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)])
        before = (tmp_path / NAME).stat().st_size if (tmp_path / NAME).exists() else 0
        while not (tmp_path / NAME).exists() or (tmp_path / NAME).stat().st_size < before + 200_000:
            time.sleep(0.01)
        process.kill()
        process.wait()
    ProgressFile(tmp_path)
    assert all(list(json.loads(line)) == FIELDS for line in lines(tmp_path))


def half(file, data, real=os.write):
    """What a disk does on which there is room for seven bytes."""
    return real(file, data[:7])


def full(file, data):
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("write", [half, full])
def test_a_full_disk_is_told_once_and_leaves_whole_lines(tmp_path, monkeypatch, caplog, write):
    file = ProgressFile(tmp_path)
    file.write(ProgressLine("training", 1, 9))
    monkeypatch.setattr(os, "write", write)
    with caplog.at_level(logging.WARNING, "tagseg"):
        file.write(ProgressLine("training", 2, 9))
        monkeypatch.undo()
        file.write(ProgressLine("training", 3, 9))
    assert len(caplog.records) == 1
    assert "the training goes on without it" in caplog.text
    assert [record["step"] for record in read_progress(tmp_path)] == [1]
    assert not file.is_due()


def test_a_folder_that_cannot_be_made_is_told(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    with caplog.at_level(logging.WARNING, "tagseg"):
        ProgressFile(tmp_path / "file" / "run").write(ProgressLine("training", 1, 9))
    assert "cannot be written" in caplog.text


def test_reading_what_is_not_there_or_no_json_is_one_line(tmp_path):
    with pytest.raises(TagsegError, match=r"no progress\.jsonl, expected the folder of a training"):
        read_progress(tmp_path)
    for content, why in ((b"{}\nx\n", "line 2: no JSON"), (b"[1]\n", "line 1: \\[1\\], expected a JSON object")):
        (tmp_path / NAME).write_bytes(content)
        with pytest.raises(TagsegError, match=why):
            read_progress(tmp_path)

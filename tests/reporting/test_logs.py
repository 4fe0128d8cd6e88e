"""Reading a run's logs back."""

from __future__ import annotations

from pathlib import Path

import pytest

from tagseg.errors import TagsegError
from tagseg.reporting.logs import read_logs


def write(run: Path, part: int, text: str) -> None:
    folder = run / "logs" / f"part_{part}"
    folder.mkdir(parents=True)
    (folder / "metrics.csv").write_text(text)


def test_joins_the_parts_of_a_resumed_run_by_step(tmp_path: Path) -> None:
    write(tmp_path, 0, "step,train/loss,val/student/cam\n9,2.0,\n9,,0.5\n")
    write(tmp_path, 1, "step,train/loss\n19,1.0\n")
    assert read_logs(tmp_path) == [
        {"step": 9, "train/loss": 2.0, "val/student/cam": 0.5},
        {"step": 19, "train/loss": 1.0},
    ]


def test_the_tenth_part_comes_after_the_second(tmp_path: Path) -> None:
    write(tmp_path, 2, "step,train/loss\n5,3.0\n")
    write(tmp_path, 10, "step,train/loss\n5,1.0\n")
    assert read_logs(tmp_path) == [{"step": 5, "train/loss": 1.0}]


def test_a_folder_without_logs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TagsegError, match="expected the folder of a training"):
        read_logs(tmp_path)


@pytest.mark.parametrize(
    "text", ["step,loss\n1,2,3,4\n", "epoch,loss\n1,2\n", "step,loss\n1,low\n", "step,loss\ninf,1\n"]
)
def test_a_damaged_log_is_one_line_that_names_the_file(tmp_path, text):
    write(tmp_path, 0, text)
    with pytest.raises(TagsegError, match=r"part_0/metrics\.csv is damaged .* delete it to go on without"):
        read_logs(tmp_path)

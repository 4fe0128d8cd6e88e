"""``metrics.csv``: each row is whole and there at once; rows of steps that are done again are dropped."""

import csv

import pytest

from tagseg.errors import TagsegError
from tagseg.reporting.logs import read_logs
from tagseg.training import metrics_file
from tagseg.training.csv_log import CSVLog
from tagseg.training.metrics_file import MetricsFile, drop_rows, next_part, read_rows

from ..conftest import full_disk


def rows_of(path):
    with path.open(newline="") as file:
        return [{name: value for name, value in row.items() if value} for row in csv.DictReader(file)]


def written(run, part, *rows):
    log = CSVLog(run, part)
    for step, values in rows:
        log.log_metrics(values, step)
    return run / "logs" / part / "metrics.csv"


def test_every_row_is_in_the_file_at_once_with_columns_that_come_later(tmp_path):
    file = MetricsFile(tmp_path)
    assert not file.path.exists()
    rows: list[dict[str, float]] = [
        {"step": 0, "b": 0.1}, {"step": 1, "b": 1 / 3}, {"step": 1, "a": 2.5}, {"step": 2, "b": 3},
    ]  # fmt: skip
    for count, row in enumerate(rows, 1):
        file.append(row)
        assert rows_of(file.path) == [{k: str(v) for k, v in row.items()} for row in rows[:count]]
    assert file.path.read_text().splitlines()[0] == "a,b,step"


def test_a_kill_while_a_column_is_added_loses_nothing(tmp_path, monkeypatch):
    """Until the new file is whole, the former one is there."""

    class Killed(BaseException):
        pass

    def killed(*_):
        raise Killed

    file = MetricsFile(tmp_path)
    file.append({"step": 0, "a": 1})
    before = file.path.read_bytes()
    monkeypatch.setattr(metrics_file, "_text", killed)
    with pytest.raises(Killed):
        file.append({"step": 1, "b": 1})
    assert file.path.read_bytes() == before


def test_a_full_disk_leaves_whole_rows(tmp_path):
    file = MetricsFile(tmp_path)
    file.append({"step": 0, "a": 1.5})
    before = file.path.read_bytes()
    with full_disk(len(before) + 3):
        with pytest.raises(OSError, match="no space left"):
            file.append({"step": 1, "a": 1.25})
        with pytest.raises(TagsegError, match="cannot write"):
            file.append({"step": 1, "a": 1.25, "b": 1.0})
    assert file.path.read_bytes() == before


def test_rows_of_steps_that_are_done_again_are_dropped_from_all_parts(tmp_path):
    first = written(tmp_path, "part_0", *((step, {"train/loss": step / 2}) for step in range(5)))
    second = written(tmp_path, "part_1", *((step, {"train/loss": float(step)}) for step in (5, 6)))
    content = first.read_bytes()
    first.write_bytes(content + b"7,0.")  # a power cut tore the last one
    drop_rows(tmp_path / "logs", 5)
    assert first.read_bytes() == content
    assert not second.parent.exists()
    drop_rows(tmp_path / "logs", 3)
    assert [row["step"] for row in rows_of(first)] == ["0", "1", "2"]
    assert [row["train/loss"] for row in read_logs(tmp_path)] == [0, 0.5, 1]
    drop_rows(tmp_path / "logs", 0)
    assert not first.exists()
    drop_rows(tmp_path / "absent", 0)


def test_a_file_without_steps_stays(tmp_path):
    path = tmp_path / "part_0" / "metrics.csv"
    path.parent.mkdir()
    path.write_text("a,b\r\n1,2\r\n")
    drop_rows(tmp_path, 0)
    assert read_rows(path) == [{"a": "1", "b": "2"}]


def test_parts_are_numbered_on_also_where_one_is_gone(tmp_path):
    assert next_part(tmp_path) == "part_0"
    for name in ("part_0", "part_10", "part_x"):
        (tmp_path / name).mkdir()
    assert next_part(tmp_path) == "part_11"

"""Files that are whole or not there, and what a killed process leaves of them."""

import os
import time

import pytest

from tagseg.errors import TagsegError
from tagseg.files import TEMPORARY, remove_left_behind, replacing


def fail(path, durable):
    with replacing(path, durable) as temporary:
        temporary.write_text("half")
        raise RuntimeError


@pytest.mark.parametrize("durable", [False, True])
def test_a_file_takes_its_place_at_the_end_and_not_before(tmp_path, durable):
    path = tmp_path / "folder" / "file"
    with replacing(path, durable) as temporary:
        temporary.write_text("new")
        assert TEMPORARY.fullmatch(temporary.name)
        assert not path.exists()
    assert path.read_text() == "new"
    with pytest.raises(RuntimeError):
        fail(path, durable)
    assert path.read_text() == "new"
    assert os.listdir(path.parent) == ["file"]


def test_a_durable_file_that_was_not_written_is_one_line(tmp_path):
    with pytest.raises(TagsegError, match="cannot write"), replacing(tmp_path / "file", durable=True):
        pass


def test_old_temporary_files_are_removed_and_nothing_else(tmp_path):
    old, young, others = ("." + "a" * 32 + ".tmp", "." + "b" * 32 + ".tmp", (".mine.tmp", "x.tmp", "file"))
    for name in (old, young, *others):
        (tmp_path / name).touch()
    hour_ago = time.time() - 3600
    for name in (old, *others):
        os.utime(tmp_path / name, (hour_ago, hour_ago))
    remove_left_behind(tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted([young, *others])
    remove_left_behind(tmp_path / "absent")

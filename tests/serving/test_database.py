"""The file of corrections: one process at a time, all or nothing, one line for what is wrong with it."""

import sqlite3

import pytest

from tagseg.errors import TagsegError
from tagseg.serving.database import Database, next_revision, set_fact

from ..conftest import assert_refused, full_disk


@pytest.fixture
def path(tmp_path):
    return tmp_path / "corrections.sqlite"


def test_what_was_written_is_there_again(path):
    database = Database(path)
    with database.writing() as cursor:
        set_fact(cursor, "a", b"\x00\x01")
        assert [next_revision(cursor), next_revision(cursor)] == [1, 2]
    database.close()
    again = Database(path)
    assert again.fact("a") == b"\x00\x01"
    assert again.fact("b") is None
    again.close()


def test_it_is_written_through_to_the_disk(path):
    database = Database(path)
    assert database.rows("PRAGMA journal_mode") == [("wal",)]
    assert database.rows("PRAGMA synchronous") == [(2,)], "full: after a power cut, too"
    database.close()


def test_a_second_one_is_refused_until_the_first_is_closed(path):
    first = Database(path)
    assert_refused(lambda: Database(path), str(path.parent), "open in another process", "close")
    first.close()
    Database(path).close()


def test_an_interrupted_transaction_leaves_nothing(path):
    database = Database(path)

    def interrupted():
        with database.writing() as cursor:
            set_fact(cursor, "a", 1)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert database.fact("a") is None
    database.close()


def test_a_full_disk_is_one_line_and_loses_nothing(path):
    database = Database(path)
    with database.writing() as cursor:
        set_fact(cursor, "kept", 1)

    def much():
        with full_disk(100_000), database.writing() as cursor:
            set_fact(cursor, "much", b"x" * 1_000_000)

    assert_refused(much, str(path), "could not be saved", "make room")
    assert database.fact("kept") == 1
    assert database.fact("much") is None
    with database.writing() as cursor:
        set_fact(cursor, "later", 1)
    database.close()


def test_a_damaged_file_is_refused_and_left_as_it_is(path):
    path.write_bytes(b"no database at all, but long enough to be read as one" * 100)
    before = path.read_bytes()
    assert_refused(lambda: Database(path), str(path), "damaged", "move it away")
    assert path.read_bytes() == before


def test_a_file_of_a_later_version_is_refused(path):
    later = sqlite3.connect(path)
    later.execute("PRAGMA user_version=2")
    later.close()
    assert_refused(lambda: Database(path), str(path), "later version")


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(TagsegError, match="rights"):
        Database(tmp_path / "none" / "corrections.sqlite")

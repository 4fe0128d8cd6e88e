import os
import tempfile

import pytest

from tagseg.serving.own_folder import LOCK, PREFIX, OwnFolder, remove_left_behind

fcntl = pytest.importorskip("fcntl", reason="no file locks here")


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def left_behind(parent, name="x"):
    """What a killed server leaves: its folder, whose lock is nobody's any more."""
    folder = parent / f"{PREFIX}{name}"
    folder.mkdir()
    (folder / LOCK).touch()
    (folder / "upload.jpg").write_bytes(b"photo")
    return folder


def test_the_folder_of_a_killed_server_is_deleted_and_that_of_a_living_one_is_not(temporary):
    living, dead = OwnFolder(), left_behind(temporary)
    other = OwnFolder()
    assert not dead.exists()
    assert living.path.is_dir()
    assert other.path != living.path
    living.remove()
    other.remove()
    assert list(temporary.iterdir()) == []


def test_folders_of_others_and_what_has_no_lock_stay(temporary):
    (temporary / f"{PREFIX}begun").mkdir()  # a server that is just starting
    mine = temporary / "mine"
    mine.mkdir()
    link = temporary / f"{PREFIX}link"
    link.symlink_to(left_behind(mine))
    (temporary / "another-program").mkdir()
    remove_left_behind(temporary)
    assert len(list(temporary.iterdir())) == 4
    assert (link / "upload.jpg").is_file()


def test_another_users_folder_stays(temporary, monkeypatch):
    folder = left_behind(temporary)
    monkeypatch.setattr(os, "getuid", lambda: folder.stat().st_uid + 1)
    remove_left_behind(temporary)
    assert folder.is_dir()


def test_a_lock_that_is_a_link_is_not_followed(temporary):
    folder = temporary / f"{PREFIX}y"
    folder.mkdir()
    (temporary / "elsewhere").touch()
    (folder / LOCK).symlink_to(temporary / "elsewhere")
    remove_left_behind(temporary)
    assert folder.is_dir()

"""A checkpoint is whole or named, whatever happens while it is written; the one before it is there until then."""

import logging
import os
import random
import shutil
import zipfile

import pytest
import torch

from tagseg.files import sync
from tagseg.training import checkpoint_file
from tagseg.training.checkpoint_file import load_checkpoint, remove_temporary, save_checkpoint, temporary_of
from tagseg.training.checkpoint_hash import SEALED, damage_of
from tagseg.training.checkpoint_io import WholeCheckpoints
from tagseg.training.run_folder import CHECKPOINT, PREVIOUS, checkpoint_of, refuse_to_overwrite

from ..conftest import assert_refused, full_disk


class Killed(BaseException):
    """As if the process was gone."""


def saved(folder, step):
    save_checkpoint({"global_step": step, "weights": torch.arange(1000.0) + step}, folder / CHECKPOINT)
    return (folder / CHECKPOINT).read_bytes()


def test_what_was_saved_comes_back_and_any_reader_of_archives_reads_it(tmp_path):
    saved(tmp_path, 3)
    assert damage_of(tmp_path / CHECKPOINT) == ""
    loaded = load_checkpoint(tmp_path / CHECKPOINT)
    assert loaded["global_step"] == 3
    assert torch.equal(loaded["weights"], torch.arange(1000.0) + 3)
    assert torch.equal(load_checkpoint(tmp_path / CHECKPOINT, in_memory=False)["weights"], loaded["weights"])
    with zipfile.ZipFile(tmp_path / CHECKPOINT) as archive:
        assert archive.testzip() is None
        assert archive.comment.startswith(b"tagseg-sha256:")


def test_any_bit_that_changes_is_noticed(tmp_path):
    content, path = saved(tmp_path, 1), tmp_path / "changed.ckpt"
    rng = random.Random(0)
    places = {*range(40), *range(len(content) - 110, len(content)), *(rng.randrange(len(content)) for _ in range(80))}
    for place in places:
        changed = bytearray(content)
        changed[place] ^= 1 << rng.randrange(8)
        path.write_bytes(changed)
        assert damage_of(path), f"byte {place} of {len(content)}"


def test_a_file_that_is_cut_off_anywhere_is_noticed(tmp_path):
    content, path = saved(tmp_path, 1), tmp_path / "torn.ckpt"
    rng = random.Random(0)
    for length in {0, 1, 4, *(len(content) - less for less in range(1, 100)), *rng.sample(range(len(content)), 40)}:
        path.write_bytes(content[:length])
        assert damage_of(path), f"{length} of {len(content)} bytes"
    path.write_bytes(content + b"more")
    assert damage_of(path)


def test_a_file_of_former_versions_is_judged_by_its_checksums(tmp_path):
    path = tmp_path / "old.ckpt"
    torch.save({"weights": torch.arange(1000.0)}, path)
    assert damage_of(path) == ""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert "is not what was written" in damage_of(path)
    path.write_bytes(content[: len(content) // 2])
    assert damage_of(path) == "it is cut off or damaged"


def test_a_damaged_last_checkpoint_is_named_in_one_line_and_the_one_before_it_is_taken(tmp_path, caplog):
    first = saved(tmp_path, 1)
    content = saved(tmp_path, 2)
    assert (tmp_path / PREVIOUS).read_bytes() == first
    assert checkpoint_of(tmp_path) == tmp_path / CHECKPOINT
    assert not caplog.records
    (tmp_path / CHECKPOINT).write_bytes(content[:-1])
    with caplog.at_level(logging.WARNING, "tagseg"):
        assert checkpoint_of(tmp_path) == tmp_path / PREVIOUS
    (record,) = caplog.records
    assert f"{tmp_path / CHECKPOINT}: not a whole checkpoint (its hash is missing" in record.getMessage()
    assert f"going on from {PREVIOUS}" in record.getMessage()
    caplog.clear()
    (tmp_path / CHECKPOINT).unlink()
    assert checkpoint_of(tmp_path) == tmp_path / PREVIOUS
    assert "it is gone" in caplog.text


def test_where_nothing_is_whole_one_line_says_so(tmp_path):
    saved(tmp_path, 1)
    content = saved(tmp_path, 2)
    for name in (CHECKPOINT, PREVIOUS):
        (tmp_path / name).write_bytes(content[:-200])
    assert_refused(lambda: checkpoint_of(tmp_path), CHECKPOINT, PREVIOUS, "nothing whole is left")
    assert_refused(lambda: checkpoint_of(tmp_path / CHECKPOINT), "last.ckpt: not a whole checkpoint", PREVIOUS)


def test_a_run_that_was_ended_before_its_first_checkpoint_begins_again(tmp_path, caplog):
    (tmp_path / "config.yaml").touch()
    with caplog.at_level(logging.INFO, "tagseg"):
        assert checkpoint_of(tmp_path) is None
    assert "no step was saved yet" in caplog.text


def test_a_folder_with_the_previous_checkpoint_alone_is_not_overwritten(tmp_path):
    shutil.copy(_whole(tmp_path / "other"), tmp_path / PREVIOUS)
    assert_refused(lambda: refuse_to_overwrite(tmp_path, True, None), "already holds a training", "--resume")


def _whole(folder):
    saved(folder, 1)
    return folder / CHECKPOINT


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
def test_killed_between_any_two_writes_there_is_a_whole_checkpoint(tmp_path, monkeypatch, links):
    """Each operation of the system is the last one once."""
    names = ("link", "replace", "fsync")
    real = {name: getattr(os, name) for name in names}
    last = 0
    while True:
        folder = tmp_path / str(last)
        saved(folder, 1)
        saved(folder, 2)
        calls = 0

        def counted(name, *arguments, last=last):
            nonlocal calls
            calls += 1
            if calls > last:
                raise Killed
            if name == "link" and not links:
                raise OSError("no links here")
            return real[name](*arguments)

        with monkeypatch.context() as patch:
            for name in names:
                patch.setattr(os, name, lambda *arguments, name=name: counted(name, *arguments))
            patch.setattr(checkpoint_file.Path, "unlink", lambda *_, **__: None)  # a killed process removes nothing
            try:
                saved(folder, 3)
                killed = False
            except Killed:
                killed = True
        chosen = checkpoint_of(folder)
        assert chosen is not None
        step = load_checkpoint(chosen)["global_step"]
        assert step == 3 if not killed else step in ((2, 3) if links else (1, 2, 3))
        if not links and killed and not (folder / CHECKPOINT).exists():
            assert step == 2, "the last one has just become the previous one"
        saved(folder, 4)
        remove_temporary(folder)
        assert {path.name for path in folder.iterdir()} == {CHECKPOINT, PREVIOUS}
        assert damage_of(folder / CHECKPOINT) == damage_of(folder / PREVIOUS) == ""
        if not killed:
            break
        last += 1
    assert last >= 4


def test_a_full_disk_leaves_all_as_it_was_and_is_the_systems_error(tmp_path):
    first, second = saved(tmp_path, 1), saved(tmp_path, 2)
    with full_disk(len(second) // 2), pytest.raises(OSError, match="File too large"):
        saved(tmp_path, 3)
    assert (tmp_path / CHECKPOINT).read_bytes() == second
    assert (tmp_path / PREVIOUS).read_bytes() == first
    assert not temporary_of(tmp_path / CHECKPOINT).exists()


def test_what_goes_on_from_the_previous_one_does_not_replace_it_by_the_damaged_last_one(tmp_path):
    first, _ = saved(tmp_path, 1), saved(tmp_path, 2)
    (tmp_path / CHECKPOINT).write_bytes(b"torn")
    files = WholeCheckpoints(checkpoint_of(tmp_path))
    files.save_checkpoint({"global_step": 2}, str(tmp_path / CHECKPOINT))
    assert (tmp_path / PREVIOUS).read_bytes() == first
    again = (tmp_path / CHECKPOINT).read_bytes()
    files.save_checkpoint({"global_step": 3}, str(tmp_path / CHECKPOINT))
    assert (tmp_path / PREVIOUS).read_bytes() == again


def test_code_in_a_checkpoint_is_not_run_whatever_lightning_asks_for(tmp_path):
    class Evil:
        def __reduce__(self):
            return open, (str(tmp_path / "executed"), "w")

    torch.save({"evil": Evil()}, tmp_path / "evil.ckpt")
    with pytest.raises(Exception, match="weights_only"):
        WholeCheckpoints().load_checkpoint(tmp_path / "evil.ckpt", weights_only=False)
    assert not (tmp_path / "executed").exists()


def test_a_hash_that_was_taken_away_is_missed(tmp_path):
    """A program that writes a checkpoint anew drops its hash, and the mark in it says that it had one."""
    saved(tmp_path, 1)
    torch.save(torch.load(tmp_path / CHECKPOINT, weights_only=True), tmp_path / "again.ckpt")
    assert "its hash is missing" in damage_of(tmp_path / "again.ckpt")
    assert SEALED in load_checkpoint(tmp_path / CHECKPOINT)


def test_sync_takes_files_and_folders(tmp_path):
    (tmp_path / "file").write_text("x")
    sync(tmp_path / "file")
    sync(tmp_path)
    with pytest.raises(FileNotFoundError):
        sync(tmp_path / "absent")

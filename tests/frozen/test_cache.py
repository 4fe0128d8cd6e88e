"""The cache finds rows by content, keeps what was written, and reads nothing that is damaged."""

import errno
import logging
import os
import threading
import time

import numpy as np
import pytest
import torch

from tagseg.errors import TagsegError
from tagseg.frozen.cache import HASH, LINE, FeatureCache, content_hash

from ..conftest import full_disk
from .conftest import content

SHAPE = (4, 2, 3)


def rows(count, seed=0):
    return torch.randn(count, *SHAPE, generator=torch.Generator().manual_seed(seed)).half()


def written(folder, indices, room=None, seed=0):
    values, cache = rows(len(indices), seed), FeatureCache(folder, SHAPE)
    with cache.writer(room or len(indices)) as writer:
        writer.add([content(index) for index in indices], values)
    return values


def known(folder):
    cache = FeatureCache(folder, SHAPE)
    return [index for index in range(20) if content(index) in cache]


def only(folder, suffix):
    (path,) = folder.glob(f"*{suffix}")
    return path


def test_the_hash_is_of_the_bytes_alone(tmp_path):
    for name, data in (("a.jpg", b"one"), ("renamed.jpg", b"one"), ("changed.jpg", b"two")):
        (tmp_path / name).write_bytes(data)
    first, renamed, changed = (content_hash(tmp_path / name) for name in ("a.jpg", "renamed.jpg", "changed.jpg"))
    assert first == renamed != changed
    assert len(first) == HASH
    with pytest.raises(TagsegError, match=r"gone\.jpg: cannot be read .*expected an image file"):
        content_hash(tmp_path / "gone.jpg")


def test_what_is_read_is_what_was_written_bit_by_bit_in_any_order(tmp_path):
    values = written(tmp_path, [0, 1, 2])
    cache = FeatureCache(tmp_path, SHAPE)
    read = cache.read([content(2), content(0), content(2)])
    assert read.dtype == torch.float16
    assert torch.equal(read, values[[2, 0, 2]])
    assert cache.read([]).shape == (0, *SHAPE)
    with pytest.raises(KeyError):
        cache.read([content(3)])


def test_the_values_are_an_ordinary_numpy_file(tmp_path):
    values = written(tmp_path, [0, 1], room=3)
    array = np.load(only(tmp_path, ".npy"))
    assert array.shape == (3, *SHAPE)
    assert np.array_equal(array[:2], values.numpy())


def test_an_empty_cache_makes_no_folder(tmp_path):
    assert content(0) not in FeatureCache(tmp_path / "none", SHAPE)
    assert not (tmp_path / "none").exists()


def test_rows_are_there_at_once_and_for_the_next_and_shards_add_up(tmp_path):
    first = written(tmp_path, [0, 1])
    cache = FeatureCache(tmp_path, SHAPE)
    second = rows(2, seed=1)
    with cache.writer(2) as writer:
        writer.add([content(5), content(1)], second)
    assert torch.equal(cache.read([content(5)])[0], second[0])
    assert torch.equal(cache.read([content(0), content(1)]), first), "a row that is known stays"
    assert known(tmp_path) == [0, 1, 5]


def test_an_interrupted_writer_keeps_what_it_wrote(tmp_path):
    values, cache = rows(2), FeatureCache(tmp_path, SHAPE)

    def interrupted():
        with cache.writer(9) as writer:
            writer.add([content(0), content(1)], values)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert content(1) in cache
    assert known(tmp_path) == [0, 1]
    assert torch.equal(FeatureCache(tmp_path, SHAPE).read([content(0), content(1)]), values)


@pytest.mark.parametrize("bit", [0, 100, 191])
def test_a_row_with_a_changed_bit_is_told_and_computed_again(tmp_path, bit):
    values = written(tmp_path, [0, 1, 2])
    path = only(tmp_path, ".npy")
    stored = bytearray(path.read_bytes())
    place = len(stored) - 2 * values[1:].nelement() + bit // 8  # in row 1
    stored[place] ^= 1 << bit % 8
    path.write_bytes(stored)
    cache = FeatureCache(tmp_path, SHAPE)
    assert torch.equal(cache.read([content(0), content(2)]), values[[0, 2]])
    with pytest.raises(TagsegError, match=r"\.npy: damaged, row 1 .*: run this again, it is computed again then"):
        cache.read([content(1)])
    assert content(1) not in cache
    assert known(tmp_path) == [0, 2]
    again = written(tmp_path, [1], seed=3)
    assert torch.equal(FeatureCache(tmp_path, SHAPE).read([content(1), content(0)]), torch.stack([again[0], values[0]]))


def test_a_damaged_row_of_a_cache_that_cannot_be_changed_says_what_to_delete(tmp_path, monkeypatch):
    written(tmp_path, [0])
    path = only(tmp_path, ".npy")
    path.write_bytes(path.read_bytes()[:-1] + b"\x55")
    cache = FeatureCache(tmp_path, SHAPE)

    def refused(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", refused)
    with pytest.raises(TagsegError, match=r"\.npy: damaged.*delete it \(it cannot be changed, Permission denied\)"):
        cache.read([content(0)])


def test_a_cache_from_before_rows_had_checksums_is_read(tmp_path):
    values = written(tmp_path, [0, 1])
    path = only(tmp_path, ".txt")
    path.write_text("".join(f"{content(index)}\n" for index in (0, 1)))
    assert torch.equal(FeatureCache(tmp_path, SHAPE).read([content(1), content(0)]), values[[1, 0]])


def test_a_writer_that_wrote_nothing_leaves_nothing(tmp_path):
    cache = FeatureCache(tmp_path, SHAPE)
    with pytest.raises(KeyboardInterrupt), cache.writer(9):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("length", [1, 20, LINE - 1])
def test_a_line_that_was_cut_off_does_not_count(tmp_path, length):
    written(tmp_path, [0, 1])
    path = only(tmp_path, ".txt")
    path.write_bytes(path.read_bytes()[: LINE + length])
    assert known(tmp_path) == [0]


def test_what_a_killed_process_leaves_is_read(tmp_path):
    """Files are not closed, and values of rows without a line are there."""
    cache = FeatureCache(tmp_path, SHAPE)
    values = rows(3)
    with cache.writer(5) as writer:
        writer.add([content(0), content(1)], values[:2])
        writer.values.write(values[2].numpy().tobytes())
        writer.values.flush()
        assert known(tmp_path) == [0, 1]
        assert torch.equal(FeatureCache(tmp_path, SHAPE).read([content(1)])[0], values[1])


DAMAGE = {
    "empty": lambda data: b"",
    "cut off": lambda data: data[:-2],
    "no header": lambda data: b"x" * len(data),
    "half a header": lambda data: data[:20],
    "a broken header": lambda data: data.replace(b"{'descr'", b"{('descr"),
    "another kind": lambda data: b"PK\x03\x04" + data[4:],
    "gone": None,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_shard_is_left_out_and_said(tmp_path, caplog, damage):
    written(tmp_path, [0, 1])
    path = only(tmp_path, ".npy")
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage(path.read_bytes()))
    written(tmp_path, [2])
    caplog.clear()
    with caplog.at_level(logging.WARNING, "tagseg"):
        assert known(tmp_path) == [2]
    (record,) = caplog.records
    assert f"{path.stem}: not a readable part of the cache" in record.getMessage()
    assert "\n" not in record.getMessage()


def test_values_without_a_list_are_nothing(tmp_path):
    written(tmp_path, [0])
    only(tmp_path, ".txt").unlink()
    assert known(tmp_path) == []


def test_more_lines_than_rows_are_no_rows(tmp_path):
    written(tmp_path, [0])
    with only(tmp_path, ".txt").open("a") as file:
        file.write(content(1) + "\n")
    assert known(tmp_path) == [0]


@pytest.mark.parametrize(("shape", "dtype"), [((4, 3, 2), np.float16), (SHAPE, np.float32), ((), np.float16)])
def test_features_of_another_shape_or_precision_are_left_out(tmp_path, caplog, shape, dtype):
    np.save(tmp_path / "other.npy", np.zeros((1, *shape), dtype) if shape else np.zeros((), dtype))
    (tmp_path / "other.txt").write_text(content(0) + "\n")
    with caplog.at_level(logging.WARNING, "tagseg"):
        assert known(tmp_path) == []
    assert "features of another shape" in caplog.text


def test_two_writers_at_once_lose_nothing(tmp_path):
    caches, barrier = [FeatureCache(tmp_path, SHAPE) for _ in range(2)], threading.Barrier(2)
    values = [rows(10, seed) for seed in range(2)]

    def write(which):
        with caches[which].writer(10) as writer:
            barrier.wait()
            for index in range(10):
                writer.add([content(10 * which + index)], values[which][index : index + 1])

    threads = [threading.Thread(target=write, args=(which,)) for which in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    read = FeatureCache(tmp_path, SHAPE).read([content(index) for index in range(20)])
    assert torch.equal(read, torch.cat(values))


def test_two_who_write_the_same_photo_leave_one_of_both(tmp_path):
    values = [written(tmp_path, [0], seed=seed) for seed in range(2)]
    read = FeatureCache(tmp_path, SHAPE).read([content(0)])
    assert any(torch.equal(read, one) for one in values)


def test_a_disk_that_is_full_from_the_start_is_one_line(tmp_path):
    cache = FeatureCache(tmp_path / "cache", SHAPE)
    expected = r"features could not be written .*--features\.folder"
    with full_disk(64), pytest.raises(TagsegError, match=expected) as caught, cache.writer(100):
        pass
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_disk_that_fills_up_is_one_line_and_what_was_written_counts(tmp_path, monkeypatch):
    cache, values = FeatureCache(tmp_path, SHAPE), rows(2)

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def write():
        with cache.writer(2) as writer:
            writer.add([content(0)], values[:1])
            monkeypatch.setattr(os, "fsync", full)
            writer.add([content(1)], values[1:])

    with pytest.raises(TagsegError, match="No space left on device") as caught:
        write()
    assert "\n" not in str(caught.value)
    assert known(tmp_path) == [0]


def test_a_file_in_the_place_of_the_folder_is_one_line(tmp_path):
    (tmp_path / "taken").write_text("")
    cache = FeatureCache(tmp_path / "taken" / "key", SHAPE)
    with pytest.raises(TagsegError, match=r"taken.*: features could not be written"), cache.writer(1):
        pass


def test_another_error_stays_what_it_is(tmp_path):
    with pytest.raises(FileNotFoundError), FeatureCache(tmp_path, SHAPE).writer(1):
        raise FileNotFoundError("something else")


def test_a_batch_whose_lines_do_not_fit_leaves_none_of_them(tmp_path, monkeypatch):
    """Else the rest of the batch would be computed in another one, with another rounding."""
    cache, values = FeatureCache(tmp_path, SHAPE), rows(4)
    with cache.writer(3) as writer:
        writer.add([content(0)], values[:1])
        monkeypatch.setattr(writer, "lines", Part(writer.lines))
        with pytest.raises(TagsegError, match="could not be written"):
            writer.add([content(1), content(2)], values[1:3])
    assert known(tmp_path) == [0]
    assert only(tmp_path, ".txt").stat().st_size == LINE


class Part:
    """A file that takes a part of what is written, as one on a full disk."""

    def __init__(self, file):
        self.file, self.name, self.fileno, self.close = file, file.name, file.fileno, file.close

    def write(self, data):
        return self.file.write(data[: len(data) // 2 + 3])


def test_shards_that_killed_writers_left_empty_are_removed_and_no_others(tmp_path):
    written(tmp_path, [0])
    hour_ago = time.time() - 3600
    living = FeatureCache(tmp_path, SHAPE).writer(2)
    writer = living.__enter__()
    for name in ("old", "young", "torn"):
        (tmp_path / f"{name}.txt").touch()
        (tmp_path / f"{name}.npy").write_bytes(b"" if name == "torn" else b"\x93NUMPY")
    for path in (tmp_path / "old.txt", tmp_path / "torn.txt", writer.path.with_suffix(".txt")):
        os.utime(path, (hour_ago, hour_ago))
    FeatureCache(tmp_path, SHAPE)
    assert {path.stem for path in tmp_path.glob("*.npy")} == {path.stem for path in tmp_path.glob("*.txt")}
    assert not (tmp_path / "old.npy").exists()
    assert not (tmp_path / "torn.txt").exists()
    assert (tmp_path / "young.npy").exists(), "it may be of a writer that has just begun"
    assert writer.path.with_suffix(".npy").exists(), "its writer lives"
    living.__exit__(None, None, None)
    assert known(tmp_path) == [0]

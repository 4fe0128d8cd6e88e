import logging
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tagseg.errors import TagsegError
from tagseg.inference import batches
from tagseg.inference.batches import GPU_PHOTOS, LOOK_AHEAD, Batches, in_groups

from .conftest import photo

CPU = torch.device("cpu")


@given(st.lists(st.integers(0, 3), max_size=60), st.integers(1, 5), st.integers(1, 5))
def test_groups_hold_every_item_once_with_equal_keys(keys, most, room):
    groups = list(in_groups(enumerate(keys), lambda item: item[1], lambda _: min(room, most), most))
    assert sorted(index for group in groups for index, _ in group) == list(range(len(keys)))
    for group in groups:
        assert 1 <= len(group) <= min(room, most)
        assert len({key for _, key in group}) == 1
    firsts = [group[0][0] for group in groups]
    assert firsts == sorted(firsts)


def test_equal_sizes_are_searched_in_a_bounded_window():
    taken = []
    keys = [0, *[1] * 100, 0]
    source = (taken.append(index) or (index, key) for index, key in enumerate(keys))
    first = next(in_groups(source, lambda item: item[1], lambda _: 2, 2))
    assert first == [(0, 0)], "the other 0 is too far away"
    assert len(taken) == LOOK_AHEAD * 2


@pytest.fixture
def folder(tmp_path: Path) -> list[Path]:
    """Two sizes in turn, and in the middle a file that is no image and one cut off behind its header."""
    paths = [tmp_path / f"{index:02}.png" for index in range(12)]
    for index, path in enumerate(paths):
        Image.fromarray(photo(40 + 16 * (index % 2), 40, seed=index)).save(path)
    paths[4].write_bytes(b"no image")
    paths[6].write_bytes(paths[6].read_bytes()[:200])
    return paths


def run(work: Batches, paths: list[Path], look, device=CPU):
    return dict(work.each(paths, lambda height, width: ((height, width),), look, device))


@pytest.mark.parametrize("read_ahead", [False, True])
@pytest.mark.parametrize("batch", [1, 2, 4, 50])
def test_equal_sizes_meet_and_broken_photos_do_not_stop_the_others(folder, batch, read_ahead):
    shapes = []

    def look(photos):
        shapes.append([photo.shape for photo in photos])
        return [int(photo.sum()) for photo in photos]

    results = run(Batches(batch, read_ahead), folder, look)
    assert sorted(results) == list(range(12))
    for index, path in enumerate(folder):
        if index in (4, 6):
            assert path.name in results[index]
        else:
            assert results[index] == int(np.asarray(Image.open(path)).sum())
    assert all(len(set(batch_shapes)) == 1 for batch_shapes in shapes)
    assert max(map(len, shapes)) == min(batch, 6)


def test_automatic_is_one_at_a_time_on_a_cpu_and_asks_for_no_size(folder, monkeypatch):
    monkeypatch.setattr("tagseg.inference.photos.image_size", None)
    counts = []
    run(Batches(), folder, lambda photos: counts.append(len(photos)) or photos)
    assert set(counts) == {1}


def test_automatic_on_a_gpu_keeps_to_the_budget(folder, monkeypatch):
    counts = []
    look = lambda photos: counts.append(len(photos)) or photos  # noqa: E731
    run(Batches(), folder, look, torch.device("cuda"))
    assert max(counts) == 6 <= GPU_PHOTOS
    counts.clear()
    monkeypatch.setattr(batches, "GPU_PIXELS", 3 * 2 * 40 * 56)
    run(Batches(), folder, look, torch.device("cuda"))
    assert max(counts) == 3, "mirror images count"


def test_several_threads_read_for_a_gpu_and_remarks_keep_their_order(folder):
    deep = photo(40, 40)[..., 0].astype(np.uint16) << 4  # 12 bits a value, which is remarked on
    for index in (2, 8, 10):
        Image.fromarray(deep).save(folder[index])
    work, plain = Batches(4), Batches(4)
    threads: set[str] = set()

    def look(photos):
        threads.update(thread.name for thread in threading.enumerate())
        return [int(photo.sum()) for photo in photos]

    assert run(work, folder, look, torch.device("cuda")) == run(plain, folder, look)
    assert work.remarks == plain.remarks != {}
    assert any(name.startswith("tagseg-read") for name in threads)
    assert not any(thread.name.startswith("tagseg") for thread in threading.enumerate())


@pytest.mark.parametrize("error", [torch.cuda.OutOfMemoryError(), MemoryError(), RuntimeError("not enough memory: x")])
def test_a_batch_too_large_for_memory_is_halved_with_one_warning(folder, caplog, error):
    counts = []

    def look(photos):
        counts.append(len(photos))
        if len(photos) > 2:
            raise error
        return [photo.shape for photo in photos]

    with caplog.at_level(logging.WARNING):
        results = run(Batches(4), folder, look)
    assert sorted(results) == list(range(12))
    assert sum(isinstance(one, str) for one in results.values()) == 2, "only the broken ones"
    assert [record.message for record in caplog.records] == [
        "3 photos at once do not fit into memory, fewer are taken from here on: lower batch"
    ]
    assert sum(count > 2 for count in counts) <= 2, "a read-ahead batch may still be large, later ones are not"


def test_a_photo_that_fails_in_a_batch_is_found(folder):
    def look(photos):
        if any(photo.sum() == culprit.sum() for photo in photos):
            raise TagsegError("a strange photo")
        return [0 for _ in photos]

    culprit = np.asarray(Image.open(folder[3]))
    results = run(Batches(8), folder, look)
    assert results[3] == f"{folder[3]}: a strange photo"
    assert sum(one == 0 for one in results.values()) == 9


def test_an_error_that_is_no_photos_is_not_hidden(folder):
    def look(_):
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        run(Batches(2), folder, look)


def test_a_negative_batch():
    with pytest.raises(TagsegError, match="batch is -2"):
        Batches(-2)

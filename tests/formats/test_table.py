"""Formats by name; several at once, in threads, on a full disk."""

import json
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tagseg.errors import TagsegError
from tagseg.formats.table import FORMATS, OUTPUTS, Formats, formats_named

from ..conftest import full_disk
from .conftest import Photo, plan_of


def test_names():
    assert (
        formats_named("png,coco")
        == formats_named(("png", "coco"))
        == formats_named(" png , coco,png")
        == ("png", "coco")
    )


@pytest.mark.parametrize("given", ["", (), "png,", "xml", "coco,yolov8", ("png", "PNG")])
def test_what_is_no_format_is_told_with_the_list(given):
    with pytest.raises(TagsegError, match=r"format is '.*', expected one or more of png, coco, .*voc-server"):
        formats_named(given)


def test_the_nearest_is_named():
    with pytest.raises(TagsegError, match="did you mean labelstudio"):
        formats_named("label-studio")


@pytest.mark.parametrize("given", [None, 3, [1], b"png"])
def test_what_is_no_name(given, unchecked):
    with pytest.raises(TagsegError, match="expected names of formats"):
        formats_named(given)


def test_outputs_are_told_apart():
    assert len(set(OUTPUTS)) == len(OUTPUTS)


@pytest.mark.slow
def test_threads_give_what_one_thread_gives(tmp_path):
    rng, before = np.random.default_rng(0), threading.active_count()
    photos = {f"p{k}": Photo(rng.integers(0, 4, (6, 6)).astype(np.uint8)) for k in range(12)}
    every = ["png", "coco", "coco-polygons", "yolo", "labelstudio", "cvat"]
    for folder, threads in (("one", 1), ("many", 8)):
        writing = Formats(every, plan_of(photos, tmp_path / folder))
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda name: writing.add(photos[name], name), photos))  # noqa: B023
        writing.close()
    for path in (tmp_path / "one").rglob("*.*"):
        other = tmp_path / "many" / path.relative_to(tmp_path / "one")
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as a, zipfile.ZipFile(other) as b:
                assert {name: a.read(name) for name in a.namelist()} == {name: b.read(name) for name in b.namelist()}
        else:
            assert path.read_bytes() == other.read_bytes()
    assert threading.active_count() <= before  # none is left


def add_and_close(writing, photo, name):
    writing.add(photo, name)
    writing.close()


@pytest.mark.parametrize("name", ["coco", "labelstudio", "cvat", "png", "yolo"])
def test_a_full_disk_is_one_line_and_leaves_nothing_broken(name, tmp_path):
    noise = np.random.default_rng(0).integers(0, 4, (40, 40)).astype(np.uint8)
    photos = {"small": Photo(np.ones((2, 2), np.uint8)), "large": Photo(noise)}
    writing = Formats([name], plan_of(photos, tmp_path / "out"))
    with full_disk(1000):
        writing.add(photos["small"], "small")
        with pytest.raises(TagsegError, match="cannot write") as error:
            add_and_close(writing, photos["large"], "large")
        assert "\n" not in str(error.value)
    assert not list((tmp_path / "out").rglob(".*")), "a temporary file"
    assert not list((tmp_path / "out").rglob("large*"))


def test_a_format_that_fails_at_the_end_does_not_stop_the_others(tmp_path, monkeypatch):
    photos = {"a": Photo(np.ones((2, 2), np.uint8))}
    writing = Formats(["coco", "labelstudio"], plan_of(photos, tmp_path))
    writing.add(photos["a"], "a")

    def fail(*_):
        raise TagsegError("no room")

    monkeypatch.setattr(FORMATS["coco"], "_write", fail, raising=True)
    with pytest.raises(TagsegError, match="no room"):
        writing.close()
    assert len(json.loads((tmp_path / "labelstudio.json").read_text())) == 1

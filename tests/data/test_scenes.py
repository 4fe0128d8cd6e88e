"""Procedural scenes: what is drawn, and the source that stores it."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tagseg.data.config import DataConfig
from tagseg.data.dataset import IGNORE
from tagseg.data.folder import folder
from tagseg.data.scenes import source
from tagseg.data.scenes.scenery import NAMES, SIZE, Scene, draw_scene
from tagseg.data.scenes.source import scenes
from tagseg.errors import TagsegError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def drawn() -> list[Scene]:
    return [draw_scene(0, index) for index in range(40)]


def config(root: Path, count: int = 8) -> DataConfig:
    return DataConfig(source="scenes", root=str(root), scenes=count)


def test_same_seed_and_index_same_scene():
    one, again = draw_scene(3, 5), draw_scene(3, 5)
    np.testing.assert_array_equal(one.image, again.image)
    np.testing.assert_array_equal(one.mask, again.mask)
    assert (draw_scene(3, 6).image != one.image).any()
    assert (draw_scene(4, 5).image != one.image).any()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), index=st.integers(0, 10**6), size=st.sampled_from([96, 128, 161]))
def test_tags_are_the_classes_of_the_mask(seed: int, index: int, size: int):
    scene = draw_scene(seed, index, size)
    assert scene.image.shape == (size, size, 3)
    assert scene.mask.shape == scene.part.shape == (size, size)
    shown = np.setdiff1d(scene.mask, [0, IGNORE])
    assert tuple(shown - 1) == scene.tags
    assert 1 <= len(scene.tags) <= 3
    assert all(0 <= tag < len(NAMES) for tag in scene.tags)
    assert (scene.mask == 0).any()


def test_every_class_occurs_and_not_always(drawn: list[Scene]):
    counts = np.bincount([tag for scene in drawn for tag in scene.tags], minlength=len(NAMES))
    assert (counts > 3).all()
    assert (counts < 30).all()


def test_telling_part_is_small_but_there(drawn: list[Scene]):
    """A CAM that finds only the telling part misses most of the object."""
    for kind in range(len(NAMES)):
        masks = [scene.mask == kind + 1 for scene in drawn if kind in scene.tags]
        parts = [scene.part for scene in drawn if kind in scene.tags]
        body = sum(int(mask.sum()) for mask in masks)
        part = sum(int((mask & part).sum()) for mask, part in zip(masks, parts, strict=True))
        assert 0.02 < part / body < 0.25, NAMES[kind]


def test_border_is_thin(drawn: list[Scene]):
    ignored = np.mean([(scene.mask == IGNORE).mean() for scene in drawn])
    objects = np.mean([((scene.mask > 0) & (scene.mask != IGNORE)).mean() for scene in drawn])
    assert 0 < ignored < 0.25 * objects
    assert 0.08 < objects < 0.5


def test_source_writes_what_it_drew(tmp_path: Path):
    train, val = (scenes(config(tmp_path), split, masks=True) for split in ("train", "val"))
    assert (len(train), len(val)) == (8, 2)
    assert train.classes == NAMES
    assert train.tags_from == "the drawing"
    for split, data in enumerate((train, val)):
        for index, sample in enumerate(data.samples):
            scene = draw_scene(split, index)
            assert sample.tags == scene.tags
            np.testing.assert_array_equal(np.asarray(Image.open(sample.image)), scene.image)
            assert sample.mask is not None
            np.testing.assert_array_equal(sample.mask(), scene.mask)
    assert train.samples[0].image.parent == tmp_path / "scenes" / "train" / "images"
    assert all(sample.mask is None for sample in scenes(config(tmp_path), "train", masks=False).samples)


def test_folder_source_reads_it_too(tmp_path: Path):
    drawn = scenes(config(tmp_path), "train", masks=True)
    read = folder(DataConfig(root=str(tmp_path / "scenes/train"), val_split="", classes=NAMES), "train", masks=True)
    assert read.samples == drawn.samples


def test_drawn_once_and_fewer_are_a_beginning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    eight = scenes(config(tmp_path), "train", masks=False)
    monkeypatch.setattr(source, "draw_scene", None)  # drawing again would fail
    assert scenes(config(tmp_path), "train", masks=False) == eight
    assert scenes(config(tmp_path, 4), "train", masks=False).samples == eight.samples[:4]


@pytest.mark.parametrize("change", [{"drawing": 0}, {"count": 4}, {"seed": 7}, {"size": SIZE + 1}])
def test_other_scenes_are_drawn_anew(tmp_path: Path, change: dict[str, int]):
    expected = scenes(config(tmp_path), "train", masks=False)
    recipe = tmp_path / "scenes/train/drawn.json"
    recipe.write_text(json.dumps({**json.loads(recipe.read_text()), **change}))
    (tmp_path / "scenes/train/images/0007.png").write_bytes(b"stale")
    assert scenes(config(tmp_path), "train", masks=False) == expected
    Image.open(expected.samples[7].image).load()


def test_interrupted_drawing_is_not_taken_for_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def interrupted(seed: int, index: int) -> Scene:
        if index == 3:
            raise KeyboardInterrupt
        return draw_scene(seed, index)

    with monkeypatch.context() as patch:
        patch.setattr(source, "draw_scene", interrupted)
        with pytest.raises(KeyboardInterrupt):
            scenes(config(tmp_path), "train", masks=False)
    assert len(scenes(config(tmp_path), "train", masks=False)) == 8
    assert not list(tmp_path.rglob(".*"))


def test_errors_say_what_to_do(tmp_path: Path):
    with pytest.raises(TagsegError, match="'test', expected one of: train, val"):
        scenes(config(tmp_path), "test", masks=False)
    with pytest.raises(TagsegError, match=r"data.scenes is 3"):
        scenes(config(tmp_path, 3), "train", masks=False)
    (tmp_path / "file").touch()
    with pytest.raises(TagsegError, match=r"choose another data.root"):
        scenes(config(tmp_path / "file"), "train", masks=False)

"""Probabilities on bounded disk, and what is left of them."""

import numpy as np
import pytest

from tagseg.errors import TagsegError
from tagseg.formats.npz import read_scores
from tagseg.formats.settings import FormatSettings

from .conftest import CLASSES, Photo, write


@pytest.fixture
def photo() -> Photo:
    logits = np.random.default_rng(0).normal(0, 3, (len(CLASSES) + 1, 30, 40))
    probs = np.exp(logits) / np.exp(logits).sum(axis=0)
    return Photo(probs.argmax(axis=0).astype(np.uint8), probs=probs.astype(np.float16))


def test_eight_bits_are_at_most_half_a_step_off(photo, tmp_path):
    path = write("npz", {"sub/a": photo}, tmp_path) / "scores" / "sub" / "a.npz"
    scores, classes = read_scores(path)
    assert classes == ("background", *CLASSES)
    assert scores.dtype == np.float32
    assert np.abs(scores - photo.probs).max() <= 0.5 / 255 + 1e-6
    assert path.stat().st_size < photo.probs.size + 2000, "a byte for each probability at most"


def test_sixteen_bits_are_exact(photo, tmp_path):
    scores, _ = read_scores(write("npz", {"a": photo}, tmp_path, scores_as="float16") / "scores" / "a.npz")
    np.testing.assert_array_equal(scores, photo.probs)


@pytest.mark.parametrize("top", [1, 2, 9])
def test_the_largest_few(photo, tmp_path, top):
    scores, _ = read_scores(write("npz", {"a": photo}, tmp_path, scores_as=f"top{top}") / "scores" / "a.npz")
    kept = min(top, len(photo.probs))
    rank = np.argsort(np.argsort(-photo.probs, axis=0, kind="stable"), axis=0)
    assert (scores[rank >= kept] == 0).all()
    assert np.abs(scores - photo.probs)[rank < kept].max() <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize("value", ["uint4", "top0", "top256", "top", "3"])
def test_other_ways_to_store_are_refused(value):
    with pytest.raises(TagsegError, match=f"scores_as is '{value}', expected uint8, float16, or top1 to top255"):
        FormatSettings(scores_as=value)


def test_other_files_are_refused(tmp_path):
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    (tmp_path / "text.npz").write_text("no archive")
    for name in ("other.npz", "text.npz", "missing.npz"):
        with pytest.raises(TagsegError, match=f"{name} is not readable"):
            read_scores(tmp_path / name)


def save(path, **changes):
    arrays = {"scores": np.zeros((2, 3, 4), np.uint8), "classes": np.array(["background", "cat"])} | changes
    np.savez_compressed(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scores": np.zeros((3, 4), np.uint8)}, "scores of the type uint8 and 2 dimensions"),
        ({"scores": np.zeros((2, 3, 4), np.int64)}, "scores of the type int64 and 3 dimensions"),
        ({"scores": np.full((2, 3, 4), np.nan, np.float16)}, "scores that are no numbers"),
        ({"classes": np.array(["background"])}, "scores of 2 labels and 1 names"),
        ({"classes": np.array([0, 1])}, "classes that are no names"),
        ({"labels": np.full((2, 3, 4), 2, np.uint8)}, "the label 2 of 2"),
        ({"labels": np.zeros((1, 3, 4), np.uint8)}, r"labels of the shape \(1, 3, 4\)"),
        ({"classes": None}, "is not readable"),
    ],
)
def test_arrays_that_do_not_fit_are_one_line(tmp_path, changes, message):
    with pytest.raises(TagsegError, match=message) as error:
        read_scores(save(tmp_path / "a.npz", **changes))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("place", [0, 30, 200, -30])
def test_a_damaged_archive_is_one_line(tmp_path, place):
    whole = save(tmp_path / "a.npz").read_bytes()
    damaged = bytearray(whole)
    damaged[place] ^= 255
    (tmp_path / "a.npz").write_bytes(damaged)
    with pytest.raises(TagsegError, match="write them again"):
        read_scores(tmp_path / "a.npz")

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

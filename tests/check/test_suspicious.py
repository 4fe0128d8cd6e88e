"""Wrong tags are found by what all other photos say."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tagseg.check import suspicious
from tagseg.check.config import SuspiciousConfig
from tagseg.check.suspicious import FOLDS, calibrated, cross_validated, doubts, folds_of, suspicious_tags
from tagseg.data.dataset import Sample, TaggedImages
from tagseg.frozen.config import FeatureConfig

from ..conftest import TINY

CLASSES = ("red", "green", "blue")


def tagged(tags):
    samples = tuple(Sample(str(n), Path(f"{n}.jpg"), tuple(some)) for n, some in enumerate(tags))
    return TaggedImages("photos", CLASSES, samples, "labels.csv")


def features_of(tags, seed=0):
    """Features in which each class has a direction of its own, under some noise."""
    rng = np.random.default_rng(seed)
    matrix = tagged(tags).tag_matrix() @ np.eye(3, 12) * 4
    return torch.from_numpy(matrix + rng.normal(0, 0.1, matrix.shape)).float()


def doubted(true, given):
    folds = [n % FOLDS for n in range(len(true))]
    images = tagged(given)
    tags = torch.from_numpy(images.tag_matrix())
    return doubts(images, 30 * cross_validated(features_of(true), tags, folds))  # of thousands of photos, as sure


TRUE: list[tuple[int, ...]] = [(n % 3,) for n in range(60)]


def test_right_tags_are_not_doubted():
    assert doubted(TRUE, TRUE) == []


def test_a_swapped_tag_is_the_worst_and_both_its_sides_are_said():
    given = [*TRUE]
    given[7], given[20] = (2,), ()
    first, second = doubted(TRUE, given)
    assert first.sample.name == "7"
    assert first.seen is not None
    assert first.doubted is not None
    assert (first.seen[0], first.doubted[0]) == ("green", "blue")
    assert first.seen[1] > 0.5 > first.doubted[1]
    assert first.text().startswith("looks like green (")
    assert second.sample.name == "20", "which lacks its tag"
    assert second.doubted is None


def test_a_tag_too_many_is_doubted():
    given = [*TRUE]
    given[9] = (0, 1)
    [only] = doubted(TRUE, given)
    assert (only.sample.name, only.seen) == ("9", None)
    assert only.text().startswith("hardly like green (")


def test_calibrated_logits_say_how_often_they_are_right():
    logits = torch.tensor([[0.1]] * 100)
    tags = torch.tensor([[1.0]] * 90 + [[0.0]] * 10)
    assert float(calibrated(logits, tags)[0].sigmoid()) == pytest.approx(0.9, abs=0.02)
    assert torch.equal(calibrated(logits, tags).argsort(0), logits.argsort(0))


def test_no_photo_is_judged_by_itself_or_its_copy():
    features = torch.eye(10)
    tags = torch.zeros(10, 1)
    tags[:5] = 1
    first = cross_validated(features, tags, [n % FOLDS for n in range(10)])
    tags[0] = 0
    other = cross_validated(features, tags, [n % FOLDS for n in range(10)])
    assert first[0] == other[0], "its own tag does not matter"
    folds = folds_of(["b", "a", "b", "c", "a"])
    assert folds[0] == folds[2]
    assert folds[1] == folds[4]
    assert sorted(set(folds)) == [0, 1, 2]


@pytest.fixture
def coloured(tmp_path):
    """Photos of one colour and some noise, one with a wrong tag."""
    rng = np.random.default_rng(0)
    samples = []
    for n in range(30):
        pixels = rng.integers(0, 60, (40, 40, 3), np.uint8)
        pixels[..., n % 3] += 180
        path = tmp_path / f"{n:02}.png"
        Image.fromarray(pixels).save(path)
        samples.append(Sample(path.stem, path, (1 if n == 12 else n % 3,)))
    return TaggedImages("photos", CLASSES, tuple(samples), "labels.csv")


@pytest.mark.slow
def test_the_worst_are_drawn_and_listed_and_the_features_kept(tmp_path, coloured, monkeypatch):
    features = FeatureConfig(size=32, folder=str(tmp_path / "features"))
    config = SuspiciousConfig(TINY, features, str(tmp_path / "out"))
    torch.manual_seed(0)
    [finding], sheet = suspicious_tags({"train": coloured}, config)
    assert finding.severity == "warning"
    assert finding.examples[0].startswith("12.png looks like red (")
    assert sheet == str(tmp_path / "out" / "suspicious.jpg")
    with Image.open(sheet) as picture:
        assert min(picture.size) > 100
    rows = list(csv.reader((tmp_path / "out" / "suspicious.csv").open()))
    assert rows[0] == ["image", "score", "doubted", "its_probability", "looks_like", "its_probability"]
    assert [rows[1][0], rows[1][2], rows[1][4]] == ["12.png", "green", "red"]
    assert len(list((tmp_path / "features").iterdir())) == 1

    def encode(*_: object) -> None:
        raise AssertionError("features are computed again")

    monkeypatch.setattr(suspicious.Network, "normalise", encode)
    torch.manual_seed(0)
    assert suspicious_tags({"train": coloured}, config)[0] == (finding,)


def test_too_few_photos_to_judge_by_are_said(coloured, tmp_path, caplog):
    few = {"train": coloured.first(5)}
    assert suspicious_tags(few, SuspiciousConfig(TINY, FeatureConfig(32), str(tmp_path))) == ((), "")
    assert "takes 10 tagged photos" in caplog.text

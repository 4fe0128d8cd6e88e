"""Label maps know what they were made from: any change of it makes them anew, and only those it concerns."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tagseg.beyond.made_from import FILE, Origin
from tagseg.data.dataset import Sample, TaggedImages

CLASSES = ("ant", "bee")
SETTINGS = {"size": 48, "share": 0.3}


@pytest.fixture
def images(tmp_path):
    samples = []
    for index in range(5):
        path = tmp_path / f"{index}.jpg"
        path.write_bytes(b"x" * (10 + index))
        samples.append(Sample(str(index), path, (index % 2,)))
    return TaggedImages("test", CLASSES, tuple(samples), "labels.csv")


def everywhere(_name: str) -> bool:
    return True


def test_the_same_again_is_kept(images, tmp_path):
    origin = Origin.of(images, "weights", SETTINGS)
    origin.write(tmp_path)
    again = Origin.of(images, "weights", dict(SETTINGS))
    assert again.outdated(tmp_path, everywhere).names == set()


@pytest.mark.parametrize(
    ("weights", "settings", "classes", "said"),
    [
        ("other", SETTINGS, CLASSES, "weights changed"),
        ("weights", SETTINGS | {"share": 0.2}, CLASSES, "settings changed"),
        ("weights", SETTINGS, ("bee", "ant"), "classes changed"),
        ("other", SETTINGS, ("ant", "bee", "cat"), "classes and weights changed"),
    ],
)
def test_what_all_depend_on(images, tmp_path, weights, settings, classes, said):
    Origin.of(images, "weights", SETTINGS).write(tmp_path)
    outdated = Origin.of(replace(images, classes=classes), weights, settings).outdated(tmp_path, everywhere)
    assert outdated.names == {"0", "1", "2", "3", "4"}
    assert said in outdated.reason


def test_changed_tags_concern_their_photos_alone(images, tmp_path, caplog):
    caplog.set_level("INFO", "tagseg")
    Origin.of(images, "weights", SETTINGS).write(tmp_path)
    samples = (replace(images.samples[0], tags=(0, 1)), replace(images.samples[1], tags=()), *images.samples[2:])
    outdated = Origin.of(replace(images, samples=samples), "weights", SETTINGS).outdated(tmp_path, everywhere)
    assert outdated.names == {"0", "1"}
    outdated.tell()
    assert caplog.messages == ["tags of 2 photos changed (0, 1): their label maps are made anew"]


def test_another_photo_of_the_same_name(images, tmp_path):
    Origin.of(images, "weights", SETTINGS).write(tmp_path)
    images.samples[3].image.write_bytes(b"another photo, and a longer one")
    outdated = Origin.of(images, "weights", SETTINGS).outdated(tmp_path, everywhere)
    assert outdated.names == {"3"}
    assert outdated.reason == "the file of 1 photo changed (3)"


def test_a_new_photo_has_no_label_map_that_could_be_outdated(images, tmp_path):
    Origin.of(replace(images, samples=images.samples[:4]), "weights", SETTINGS).write(tmp_path)
    origin = Origin.of(images, "weights", SETTINGS)
    assert origin.outdated(tmp_path, lambda name: name != "4").names == set()


@pytest.mark.parametrize("record", [None, "", "{}", "[1]", '{"common": 3, "photos": {}}'])
def test_label_maps_without_a_readable_record_are_made_anew(images, tmp_path, record):
    if record is not None:
        (tmp_path / FILE).write_text(record)
    outdated = Origin.of(images, "weights", SETTINGS).outdated(tmp_path, everywhere)
    assert len(outdated.names) == 5
    assert "no record" in outdated.reason
    assert Origin.of(images, "weights", SETTINGS).outdated(tmp_path, lambda name: False).names == set()


def test_weights_whose_file_is_gone_are_not_compared(images, tmp_path):
    Origin.of(images, "weights", SETTINGS).write(tmp_path)
    assert Origin.of(images, "", SETTINGS).outdated(tmp_path, everywhere).names == set()


def test_those_about_to_be_made_are_not_recorded_until_they_are(images, tmp_path: Path):
    """An interrupted making leaves a record that makes them again."""
    origin = Origin.of(images, "weights", SETTINGS)
    origin.write(tmp_path, without=["1", "2"])
    assert set(json.loads((tmp_path / FILE).read_text())["photos"]) == {"0", "3", "4"}
    assert origin.outdated(tmp_path, everywhere).names == {"1", "2"}

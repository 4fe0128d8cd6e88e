import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tagseg.data.class_map import class_map
from tagseg.data.config import DataConfig
from tagseg.data.dataset import IGNORE, Sample, TaggedImages
from tagseg.data.mapped_classes import in_mapped_classes
from tagseg.data.palette import colour
from tagseg.data.relabel import in_classes_of
from tagseg.data.sources import load

from ..conftest import assert_refused, make_folder
from .conftest import true_mask

CLASSES = ("cat", "kitten", "dog", "wall", "blur")


@dataclass(frozen=True)
class Mask:
    def __call__(self) -> np.ndarray:
        return np.array([[0, 1, 2, 3, 4, 5, IGNORE]], np.uint8)


def data() -> TaggedImages:
    samples = (
        Sample("masked", Path("a.jpg"), (0, 1, 2, 3, 4), Mask()),
        Sample("tagged", Path("b.jpg"), (1, 3)),
        Sample("blurred", Path("c.jpg"), (0, 4)),
        Sample("wall", Path("d.jpg"), (3,)),
        Sample("unknown", Path("e.jpg"), (), tags_known=False),
    )
    return TaggedImages("photos", CLASSES, samples, "labels.csv")


def mapped(**content: object) -> TaggedImages:
    return in_mapped_classes(data(), class_map(content, "map.yaml"))


def test_tags_and_masks_are_merged_dropped_ignored_and_put_in_order():
    images = mapped(classes={"Hund": "dog", "cat": "kitten"}, drop=["wall"], ignore=["blur"])
    assert images.classes == ("Hund", "cat")
    assert {sample.name: sample.tags for sample in images.samples} == {
        "masked": (0, 1), "tagged": (1,), "wall": (), "unknown": (),
    }  # fmt: skip
    assert true_mask(images.samples[0]).tolist() == [[0, 2, 2, 1, 0, IGNORE, IGNORE]]
    texts = [str(note) for note in images.notes]
    assert texts == [
        "class map map.yaml: 5 classes of the data become 2; Hund = dog, cat = cat + kitten; background: wall; "
        "neither learnt nor scored: blur",
        "1 images are left out, as they show what is ignored (blur) and have no mask of where: blurred",
    ]


def test_others_are_kept_behind_in_the_order_of_the_data():
    images = mapped(classes={"dog": None}, others="keep", ignore=["blur"])
    assert images.classes == ("dog", "cat", "kitten", "wall")
    assert true_mask(images.samples[0]).tolist() == [[0, 2, 3, 1, 4, IGNORE, IGNORE]]


def test_others_are_background_where_they_are_dropped():
    images = mapped(classes={"dog": None}, others="drop")
    assert true_mask(images.samples[0]).tolist() == [[0, 0, 0, 1, 0, 0, IGNORE]]
    assert len(images) == 5


def test_colours_are_those_of_the_map_and_no_other_class_has_them():
    assert mapped(drop=["wall"]).colours == ()
    first = colour(1)
    images = mapped(classes={"cat": None, "kitten": {"colour": list(first)}}, others="keep")
    assert images.colours[2] == first
    assert images.colours[0] == (0, 0, 0)
    assert len(set(images.colours)) == len(images.classes) + 1


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ({"classes": {"cat": "kiten"}}, ("'kiten'", "did you mean 'kitten'?")),
        ({"classes": {"cat": "kitten"}}, ("does not say what becomes of dog, wall, blur", "others: keep")),
        ({"drop": list(CLASSES)}, ("keeps no class",)),
    ],
)
def test_maps_that_do_not_fit_the_data_are_refused(content, parts):
    assert_refused(lambda: mapped(**content), "map.yaml", *parts)


def test_a_tag_of_all_images_that_is_ignored_is_refused():
    images = TaggedImages("photos", ("cat", "blur"), (Sample("a", Path("a.jpg"), (1,)),), "labels.csv")
    assert_refused(
        lambda: in_mapped_classes(images, class_map({"ignore": ["blur"]}, "map.yaml")), "ignores a tag of each image"
    )


def test_mapped_masks_follow_a_network_with_its_classes_in_another_order():
    images = mapped(classes={"dog": None, "cat": "kitten"}, drop=["wall"], ignore=["blur"])
    again = in_classes_of(images, ("ant", "cat", "dog"))
    assert true_mask(again.samples[0]).tolist() == [[0, 2, 2, 3, 0, IGNORE, IGNORE]]
    assert again.samples[0].tags == (1, 2)


def test_the_map_of_a_folder_is_found_and_said(tmp_path):
    make_folder(tmp_path)
    (tmp_path / "class_map.yaml").write_text("classes:\n  round: circle\n  edged: [square, triangle]\n")
    config = DataConfig(root=str(tmp_path))
    images = load(config, "train")
    assert images.classes == ("round", "edged")
    assert any("class_map.yaml: 3 classes of the data become 2" in str(note) for note in images.notes)
    plain = load(DataConfig(root=str(tmp_path), class_map="none"), "train")
    assert plain.classes == ("circle", "square", "triangle")
    for sample, before in zip(images.samples, plain.samples, strict=True):
        assert sample.tags == tuple(sorted({min(tag, 1) for tag in before.tags}))
        np.testing.assert_array_equal(true_mask(sample), np.minimum(true_mask(before), 2))


def test_images_whose_tags_are_all_dropped_are_background(tmp_path):
    make_folder(tmp_path)
    tagged = [row for row in csv.DictReader((tmp_path / "labels.csv").open()) if row["split"] == "train"]
    config = DataConfig(root=str(tmp_path), class_map={"drop": ["circle"]})
    assert len(load(config, "train")) == len(tagged)
    without = [row for row in tagged if row["labels"] in ("", "circle")]
    only = DataConfig(root=str(tmp_path), class_map={"drop": ["circle"]}, untagged=False)
    assert len(load(only, "train")) == len(tagged) - len(without)

from pathlib import Path

import numpy as np
import pytest

from tagseg.data.dataset import Sample, TaggedImages
from tagseg.data.learnable import hard_to_learn


def images(classes: str, *tags: str) -> TaggedImages:
    """Classes and tags of one letter each."""
    samples = [
        Sample(str(n), Path(f"{n}.jpg"), tuple(sorted(classes.index(tag) for tag in some)))
        for n, some in enumerate(tags)
    ]
    return TaggedImages("photos", tuple(classes), tuple(samples), "labels.csv")


def said(data: TaggedImages, supervised: bool = False) -> str:
    notes = hard_to_learn(data, supervised)
    assert all(note.warning for note in notes)
    return "\n".join(str(note) for note in notes)


def test_classes_that_tags_tell_apart_give_no_word():
    assert said(images("ab", "a", "b", "ab", "a", "b", "ab", "")) == ""


def test_a_class_in_every_image():
    text = said(images("ab", "a", "ab", "ab", "ab", "a", "a"))
    assert "a is in every image: tags alone cannot separate it from the background" in text
    assert len(text.splitlines()) == 1


def test_several_classes_in_every_image_are_named_once():
    text = said(images("abc", "ab", "abc", "abc", "abc", "ab"))
    assert "a, b are in every image" in text
    assert "always in the same images" not in text


def test_one_class_only():
    assert "a is the only class and in every image" in said(images("a", "a", "a", "a"))
    assert said(images("a", "a", "", "a", "a")) == "", "with images that lack it, it can be learnt"


def test_a_class_in_no_image():
    text = said(images("abc", "a", "b", "a", "b", "a", "b"))
    assert text == "no image is tagged with c: what has no image cannot be learnt"


def test_a_class_in_one_or_two_images():
    text = said(images("abcd", "ac", "b", "ad", "bd", "a", "b"))
    assert text == "c, d are in one or two images alone, too few to learn them by"


def test_classes_that_always_occur_together():
    text = said(images("abcd", "abd", "ab", "c", "abc", "cd", "d"))
    assert text.startswith("a and b are always in the same images (3): tags alone cannot tell them apart")
    assert len(text.splitlines()) == 1


def test_together_by_chance_in_two_images_is_no_word():
    assert "always in the same images" not in said(images("abc", "ab", "ab", "c", "c", "c"))


def test_masks_tell_apart_what_tags_do_not():
    assert said(images("abc", "abc", "abc", "abc"), supervised=True) == ""
    assert "no image is tagged with c" in said(images("abc", "a", "b", "a", "b", "a", "b"), supervised=True)


@pytest.mark.parametrize("count", [0, 1])
def test_hardly_any_image(count):
    assert "b" in said(images("ab", *["a"] * count))


def test_a_large_list_takes_no_time():
    rng = np.random.default_rng(0)
    tags = [Sample(str(n), Path("p"), tuple(np.flatnonzero(rng.random(80) < 0.04).tolist())) for n in range(12_000)]
    data = TaggedImages("photos", tuple(f"c{k}" for k in range(80)), tuple(tags), "labels.csv")
    assert hard_to_learn(data) == ()

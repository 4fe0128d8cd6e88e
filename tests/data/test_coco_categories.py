"""Which categories become classes: background, roots of exports, twins."""

from pathlib import Path

import pytest

from tagseg.data.coco_categories import Labels, label_categories
from tagseg.data.coco_file import Category, CocoFile
from tagseg.errors import TagsegError


def label(
    *categories: tuple[int, str, str],
    annotated: set[int],
    chosen: tuple[str, ...] = (),
    no_tag: tuple[str, ...] = (),
    elsewhere: set[int] | None = None,
) -> Labels:
    every = tuple(Category(*each) for each in categories)
    file = CocoFile(Path("a.json"), every, (), frozenset(annotated), frozenset(), ())
    return label_categories(file, chosen, lambda: frozenset(elsewhere or ()), no_tag)


def texts(labels: Labels) -> str:
    return " / ".join(map(str, labels.notes))


@pytest.mark.parametrize("name", ["background", "_background_", "BG", "Background "])
def test_background_is_label_0_at_any_id(name):
    found = label((0, "cat", ""), (1, name, ""), (5, "dog", ""), annotated={0, 1, 5})
    assert found.classes == ("cat", "dog")
    assert found.label_of == {0: 1, 5: 2}
    assert "is the background, label 0" in texts(found)


def test_a_root_without_annotations_is_left_out():
    pets = [(0, "pets", "none"), (1, "cat", "pets"), (2, "dog", "pets")]
    found = label(*pets, annotated={1, 2})
    assert (found.classes, found.label_of) == (("cat", "dog"), {1: 1, 2: 2})
    assert "supercategories of others, left out: pets" in texts(found)
    assert label(*pets, annotated={0, 1, 2}).classes == ("pets", "cat", "dog")
    assert label(*pets, annotated={1, 2}, elsewhere={0}).classes == ("pets", "cat", "dog")
    assert label(*pets, annotated={1, 2}, chosen=("dog", "pets")).classes == ("dog", "pets")


def test_a_category_that_is_its_own_supercategory_is_no_root():
    found = label((1, "person", "person"), (2, "car", "vehicle"), annotated={2})
    assert found.classes == ("person", "car")
    assert "1 categories without annotations in this file, kept as classes: person" in texts(found)


def test_one_name_twice_is_one_class_and_said():
    found = label((3, "Cat", ""), (1, "cat", ""), (2, "dog", ""), annotated={1, 2, 3})
    assert (found.classes, found.label_of) == (("Cat", "dog"), {3: 1, 1: 1, 2: 2})
    assert any(note.warning and "Cat (3, 1)" in str(note) for note in found.notes)
    root = label((0, "cat", "none"), (1, "cat", "cat"), (2, "dog", "cat"), annotated={1, 2})
    assert root.classes == ("cat", "dog")


def test_one_name_twice_with_two_meanings_stops():
    with pytest.raises(TagsegError, match=r"'mouse' twice, with the ids 1 \(of animal\) and 2 \(of device\)"):
        label((1, "mouse", "animal"), (2, "mouse", "device"), annotated={1, 2})
    assert label((1, "mouse", "animal"), (2, "mouse", "device"), annotated={2}).classes == ("mouse",)


def test_a_category_without_a_name():
    assert label((1, "", ""), (2, "cat", ""), annotated={2}).classes == ("cat",)
    with pytest.raises(TagsegError, match="objects of the category 1, whose name is ''"):
        label((1, "", ""), (2, "cat", ""), annotated={1, 2})


def test_more_than_a_mask_can_hold_is_one_line():
    with pytest.raises(TagsegError, match=r"the categories of a\.json gives 300 classes, expected 1 to 254"):
        label(*[(i, f"c{i}", "") for i in range(300)], annotated={1})
    with pytest.raises(TagsegError, match=r"0 classes"):
        label((0, "background", ""), annotated={0})


def test_names_that_the_settings_call_no_tag_are_background():
    assert label((1, "other", ""), (2, "cat", ""), annotated={1, 2}, no_tag=("Other",)).label_of == {2: 1}

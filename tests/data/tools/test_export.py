"""Which labels of an export are tags: of whole images, of regions, of one question of several."""

from pathlib import Path

import pytest

from tagseg.data.tools.export import Export, Labelled, entries_of
from tagseg.errors import TagsegError

from .exports import said, tags_of


def export(*labels: dict[str, tuple[str, ...]], regions: tuple[str, ...] = ("box",)) -> Export:
    images = tuple(Labelled(f"{number}.jpg", number, each) for number, each in enumerate(labels))
    return Export(Path("x.json"), images, "task", frozenset(regions))


def test_labels_of_whole_images_are_tags():
    read = export({"animal": ("cat",)}, {"animal": ("cat", "dog")}, {"animal": ()})
    assert tags_of(read) == {"0.jpg": ("cat",), "1.jpg": ("cat", "dog"), "2.jpg": ()}
    assert entries_of(read).notes == ()


def test_without_them_labels_of_regions_are_and_it_is_said():
    read = export(
        {"box": ("cat", "dog")}, {"box": ("cat",), "brush": ("fox",)}, {"animal": ()}, regions=("box", "brush")
    )
    assert tags_of(read) == {"0.jpg": ("cat", "dog"), "1.jpg": ("cat", "fox"), "2.jpg": ()}
    assert "no labels of whole images: those of its regions are the tags, box (cat, dog)" in said(entries_of(read))


def test_both_count_where_they_share_names():
    read = export({"animal": ("cat",), "box": ("Cat", "dog")}, {"box": ("dog",)}, {"animal": ("dog",)})
    assert tags_of(read) == {"0.jpg": ("cat", "Cat", "dog"), "1.jpg": ("dog",), "2.jpg": ("dog",)}
    assert "labels of regions of x.json count as tags too" in said(entries_of(read))


def test_it_stops_where_regions_are_of_other_things():
    read = export({"weather": ("sunny",), "box": ("cat",)}, {"weather": ("rainy",)})
    with pytest.raises(TagsegError, match=r"set --data\.column weather or --data\.column box$") as caught:
        entries_of(read)
    assert "\n" not in str(caught.value)
    assert tags_of(read, "weather") == {"0.jpg": ("sunny",), "1.jpg": ("rainy",)}
    assert tags_of(read, "box") == {"0.jpg": ("cat",)}
    assert "!1 images have labels, but none of 'box', which are the tags: left out: 1.jpg" in said(
        entries_of(read, "box")
    )


def test_it_stops_at_several_questions_until_one_is_chosen():
    read = export({"animal": ("cat",), "quality": ("blurred",)}, {"animal": ("dog",)})
    with pytest.raises(
        TagsegError, match=r"several questions, animal \(cat, dog\), quality \(blurred\).*column animal"
    ):
        entries_of(read)
    assert tags_of(read, "animal") == {"0.jpg": ("cat",), "1.jpg": ("dog",)}
    assert tags_of(read, "animal, quality") == {"0.jpg": ("cat", "blurred"), "1.jpg": ("dog",)}
    for wrong in ("colour", ""):
        with pytest.raises(TagsegError, match=r"expected labels that x\.json has: animal, quality"):
            entries_of(read, wrong)


def test_what_is_annotated_without_label_has_no_class_and_is_counted():
    read = export({"animal": ("cat",)}, {})
    assert tags_of(read) == {"0.jpg": ("cat",), "1.jpg": ()}
    assert "1 images are annotated without any label: they have no class: 1.jpg" in said(entries_of(read))


def test_an_export_without_annotated_images_is_refused():
    with pytest.raises(TagsegError, match=r"x\.json has no annotated image, expected labels: annotate some"):
        entries_of(export())

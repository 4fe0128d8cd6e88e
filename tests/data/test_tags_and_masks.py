from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagseg.data.comparison import CLASS_IMAGES, MOST
from tagseg.data.dataset import IGNORE, Sample, TaggedImages
from tagseg.data.notes import Note
from tagseg.data.relabel import in_classes_of
from tagseg.data.tags_and_masks import TagsAgainstMasks, compare_sample
from tagseg.errors import TagsegError

CLASSES = ("ant", "bee", "cow", "doe")


@dataclass(frozen=True)
class Drawn:
    """A mask of some background and a pixel row of each id."""

    ids: tuple[int, ...]

    def __call__(self) -> np.ndarray:
        mask = np.zeros((len(self.ids) + 1, 6), np.uint8)
        mask[1:] = np.array(self.ids, np.uint8).reshape(-1, 1)
        return mask


def images(
    tags: Sequence[Sequence[int]],
    ids: Sequence[Sequence[int]],
    classes: tuple[str, ...] = CLASSES,
    source: str = "photos",
    known: bool = True,
) -> TaggedImages:
    samples = [
        Sample(f"i{n}", Path(f"i{n}.jpg"), tuple(sorted(t)), Drawn(tuple(i)), tags_known=known)
        for n, (t, i) in enumerate(zip(tags, ids, strict=True))
    ]
    return TaggedImages(source, classes, tuple(samples), "labels.csv")


def right(tags: Sequence[Sequence[int]]) -> list[list[int]]:
    return [[tag + 1 for tag in some] for some in tags]


def stopped(data: TaggedImages) -> str:
    with pytest.raises(TagsegError) as error:
        compare_sample(data, "stop")
    assert "\n" not in str(error.value)
    assert str(error.value).endswith("accept it with --data.contradictions warn")
    (note,) = compare_sample(data, "warn")
    assert note.warning
    assert str(note) in str(error.value)
    return str(error.value)


some_tags = st.lists(st.sets(st.integers(0, len(CLASSES) - 1)), min_size=1, max_size=12)


@given(some_tags, st.booleans())
def test_consistent_data_give_no_word(tags, ignored):
    ids = [[*some, IGNORE] if ignored else some for some in right([sorted(t) for t in tags])]
    assert compare_sample(images([sorted(t) for t in tags], ids), "stop") == ()


@given(some_tags, some_tags)
def test_a_contradiction_is_always_noticed_and_stops_above_the_share(tags, shown):
    count = min(len(tags), len(shown))
    tags, shown = [sorted(t) for t in tags[:count]], [sorted(t) for t in shown[:count]]
    data = images(tags, right(shown))
    wrong = sum(t != s for t, s in zip(tags, shown, strict=True))
    something = sum(bool(t or s) for t, s in zip(tags, shown, strict=True))
    missing = [
        (sum(k in t for t in tags), sum(k in t and k not in s for t, s in zip(tags, shown, strict=True)))
        for k in range(len(CLASSES))
    ]
    of_a_class = any(total >= CLASS_IMAGES and gone > MOST * total for total, gone in missing)
    alone = any(tags) and not any(shown)
    if wrong > MOST * something or of_a_class or alone:
        assert f"contradict the tags in {wrong} of {count} images" in stopped(data)
    elif wrong:
        (note,) = compare_sample(data, "stop")
        assert note.warning
        assert f"contradict the tags in {wrong} of {count} images" in note.text
    else:
        assert compare_sample(data, "stop") == ()


def most_are_wrong(tags, order):
    """Whether the permutation changes what more than the share of the images seem to show."""
    return sum({order[t] for t in some} != set(some) for some in tags) > MOST * sum(map(bool, tags))


@given(st.permutations(range(len(CLASSES))), st.integers(0, 10_000))
def test_a_permutation_of_the_ids_is_noticed_and_worked_out(order, seed):
    rng = np.random.default_rng(seed)
    alone = [[k] for k in range(len(CLASSES))] * 3  # each class is seen without the others
    tags = alone + [sorted(np.flatnonzero(rng.random(len(CLASSES)) < 0.3).tolist()) for _ in range(8)]
    data = images(tags, [[order[t] + 1 for t in some] for some in tags])
    if list(order) == sorted(order):
        assert compare_sample(data, "stop") == ()
        return
    found = compare_sample(data, "warn")
    assert len(found) == 1
    text = found[0].text
    if most_are_wrong(tags, order):
        assert stopped(data).startswith(text)
    for k, name in enumerate(CLASSES):
        assert (f"{order[k] + 1} looks like '{name}'" in text) == (order[k] != k)
    written = [CLASSES[order.index(i)] for i in range(len(CLASSES))]
    assert f"e.g. {','.join(written)}" in text


def test_two_swapped_classes_of_many_stop_though_most_images_agree():
    classes = tuple(f"c{k}" for k in range(20))
    tags = [[k] for k in range(20)] * 3
    data = images(tags, [[{3: 8, 8: 3}.get(t, t) + 1 for t in some] for some in tags], classes)
    text = stopped(data)
    assert "9 looks like 'c3', 4 looks like 'c8'" in text
    assert "contradict the tags in 6 of 60 images" in text


@pytest.mark.parametrize(("by", "word"), [(1, "shifted by 1 up"), (-1, "shifted by 1 down")])
def test_shifted_ids(by, word):
    classes = ("ant", "bee", "cow", "doe", "elk", "fox")
    tags = [[1], [2], [3], [1, 2], [2, 3], [3, 4], [4], [1]]
    assert word in stopped(images(tags, [[t + 1 + by for t in some] for some in tags], classes))


def test_ids_that_count_anew_in_each_image():
    tags = [[0], [1], [2], [0, 2], [1, 3], [3]] * 3
    data = images(tags, [list(range(1, len(some) + 1)) for some in tags])
    assert "count anew in each image" in stopped(data)


def test_one_id_for_all_objects():
    tags = [[0], [1], [2], [3], [2], [1]]
    assert "every object has the id 1, so the masks tell no classes" in stopped(images(tags, [[1]] * len(tags)))


def test_objects_written_as_255():
    text = stopped(images([[0], [1], [0, 1]], [[IGNORE]] * 3))
    assert "contradict the tags in 3 of 3 images, i0, i1, i2" in text
    assert "tagged without a pixel: ant in 2 images, bee in 2 images" in text
    assert "the objects are written as 255, which is ignored" in text


def test_nearly_all_objects_are_crowds():
    text = stopped(images([[0], [1], [0, 1], [0]], [[IGNORE], [IGNORE], [IGNORE], [1]], source="coco (d), split val"))
    assert "contradict the tags in 3 of 4" in text
    assert "iscrowd" in text


def test_background_alone():
    assert "they hold no id of a class" in stopped(images([[0], [1]], [[], []]))


def test_background_alone_without_tags():
    assert "show background alone" in stopped(images([[], []], [[], []], known=False))
    assert "written as 255" in stopped(images([[], []], [[IGNORE], []], known=False))
    assert compare_sample(images([[], []], [[], []]), "stop") == (), "photos of nothing, and it is known"


def test_masks_of_images_whose_tags_are_not_known_are_no_contradiction():
    assert compare_sample(images([[], []], [[1], [2]], known=False), "stop") == ()


def test_a_few_contradictions_are_a_warning():
    tags = [[0], [1], [0], [1], [0]] * 2
    ids = right(tags)
    ids[3] = [2, 3]
    (note,) = compare_sample(images(tags, ids), "stop")
    assert note == Note(
        "the masks of photos contradict the tags in 1 of 10 images, i3 (shown without a tag: cow in 1 image)",
        warning=True,
    )


def test_a_sample_of_many_is_spread_and_said():
    tags = [[k % 4] for k in range(50)]
    data = images(tags, [[1]] * 50)
    with pytest.raises(TagsegError, match=r"on a sample of 10 of 50") as error:
        compare_sample(data, "stop", most=10)
    assert "in 7 of 10 images (on a sample of 10 of 50), i5, i10, i15 and 4 more" in str(error.value)


def test_no_image_with_a_mask():
    data = TaggedImages("photos", CLASSES, (Sample("a", Path("a"), (0,)),), "labels.csv")
    assert compare_sample(data, "stop") == ()


def test_ids_are_named_as_in_the_files_after_a_match_of_names():
    own = ("bee", "ant")
    tags = [[0], [1], [0], [1]]
    swapped = images(tags, [[{0: 1, 1: 0}[t] + 1 for t in some] for some in tags], own)
    text = stopped(in_classes_of(swapped, ("ant", "bee")))
    assert "mask id 1 looks like 'ant', 2 looks like 'bee'" in text
    assert "e.g. ant,bee" in text


def test_collected_while_scoring_is_the_same_as_of_a_sample():
    tags = [[0], [1], [2]]
    data = images(tags, [[1], [2], [4]])
    collected = TagsAgainstMasks(data)
    for sample in data.samples:
        assert sample.mask is not None
        collected.add(sample, sample.mask())
    compared = collected.comparison()
    assert compared.absent == ("cow",)
    assert compared.share == pytest.approx(1 / 3)
    assert not compared.contradicts

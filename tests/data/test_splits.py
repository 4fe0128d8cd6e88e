import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy import ndarray

from tagseg.data.splits import split
from tagseg.errors import TagsegError

SHARES = {"train": 0.8, "val": 0.2}


def photos(count: int, classes: int, seed: int = 0) -> tuple[list[str], ndarray]:
    """Names and tags, of frequent and of rare classes, some without any."""
    rng = np.random.default_rng(seed)
    often = 0.5 / 2.0 ** np.arange(classes)
    return [f"photo{index}" for index in range(count)], (rng.random((count, classes)) < often).astype(np.float32)


def of_split(tags: ndarray, names: list[str], splits: dict[str, str], name: str) -> ndarray:
    return tags[[splits[each] == name for each in names]]


def test_each_tag_is_in_each_split_in_its_proportion():
    names, tags = photos(1000, 6)
    splits = split(names, tags, {"train": 70.0, "val": 20.0, "test": 10.0})
    for name, share in (("train", 0.7), ("val", 0.2), ("test", 0.1)):
        own = of_split(tags, names, splits, name)
        assert len(own) == pytest.approx(1000 * share, abs=6)
        np.testing.assert_allclose(own.sum(axis=0), tags.sum(axis=0) * share, atol=3)


def test_a_rare_tag_is_on_both_sides_where_chance_would_often_miss_it():
    names, tags = photos(200, 3)
    tags[:, 2] = 0
    tags[:4, 2] = 1
    for seed in range(10):
        splits = split(names, tags, SHARES, seed)
        assert of_split(tags, names, splits, "val")[:, 2].sum() == 1


def test_a_tag_of_one_photo_is_for_training():
    assert split(["a", "b", "c", "d", "e", "f"], np.eye(6), SHARES)["a"] in SHARES
    names, tags = photos(40, 2)
    tags = np.hstack([tags, np.eye(40)[:, :1]])
    assert all(split(names, tags, SHARES, seed)[names[0]] == "train" for seed in range(10))


@settings(max_examples=40)
@given(st.integers(1, 60), st.integers(0, 4), st.integers(0, 3), st.floats(0.05, 0.5), st.data())
def test_groups_stay_together_and_the_order_of_the_images_does_not_count(count, classes, seed, share, data):
    names, tags = photos(count, classes, seed)
    groups = data.draw(st.lists(st.lists(st.integers(0, count - 1), min_size=2, max_size=4), max_size=5))
    shares = {"train": 1 - share, "val": share}
    splits = split(names, tags, shares, seed, groups)
    assert list(splits) == names
    assert set(splits.values()) <= set(shares)
    for group in groups:
        assert len({splits[names[index]] for index in group}) == 1
    order = data.draw(st.permutations(range(count)))
    moved = [[order.index(index) for index in group] for group in groups]
    assert split([names[i] for i in order], tags[order], shares, seed, moved) == splits


@given(st.integers(2, 12), st.integers(0, 5))
def test_no_split_is_empty_where_there_are_photos_enough(count, seed):
    splits = split([str(index) for index in range(count)], np.eye(count), {"train": 0.98, "val": 0.02}, seed)
    assert set(splits.values()) == {"train", "val"}


def test_a_split_that_would_be_empty_takes_no_photo_that_alone_shows_a_class():
    tags = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 1, 0]])
    splits = split(list("abcd"), tags, {"train": 0.99, "val": 0.01})
    assert [splits[name] for name in "ac"] == ["train", "train"]
    assert sorted([splits["b"], splits["d"]]) == ["train", "val"]


def test_the_seed_chooses():
    names, tags = photos(100, 3)
    first, second = (split(names, tags, SHARES, seed) for seed in (0, 1))
    assert first != second
    assert split(names, tags, SHARES, 0) == first


def test_no_photo_and_no_tag():
    assert split([], np.zeros((0, 3)), SHARES) == {}
    splits = split(["a", "b", "c", "d", "e"], np.zeros((5, 0)), SHARES)
    assert sorted(splits.values()) == ["train"] * 4 + ["val"]


@pytest.mark.parametrize("shares", [{}, {"train": 1.0, "val": 0.0}, {"train": -1.0}])
def test_shares_that_are_none_are_refused(shares):
    with pytest.raises(TagsegError, match="all above 0"):
        split(["a"], np.zeros((1, 1)), shares)


def test_a_name_twice_is_refused():
    with pytest.raises(TagsegError, match="'a' is there twice"):
        split(["a", "b", "a"], np.zeros((3, 1)), SHARES)


def test_ten_thousand_photos_are_divided_in_seconds():
    names, tags = photos(10_000, 20)
    splits = split(names, tags, SHARES, groups=[[index, index + 1] for index in range(0, 2000, 2)])
    assert list(splits.values()).count("val") == pytest.approx(2000, abs=20)

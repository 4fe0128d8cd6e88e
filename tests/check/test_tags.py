import pytest

from tagseg.check.tags import respelled_tags, similar_classes, unknown_tags
from tagseg.data.notes import RESPELLED, Note


def test_unknown_tags_are_named_with_the_nearest_class_the_most_frequent_first():
    [finding] = unknown_tags({"dgo": 2, "xylophone": 5}, ("cat", "dog"))
    assert finding.examples == ("'xylophone' (5)", "'dgo' (2, like 'dog')")
    assert finding.severity == "error"
    assert unknown_tags({}, ("cat",)) == ()


def test_respelled_tags_are_those_that_the_reader_noticed():
    notes = [Note("tags 'Dog', read as the class 'dog'", 3, kind=RESPELLED), Note("something else", 9)]
    [finding] = respelled_tags([*notes, *notes])
    assert (finding.count, finding.examples) == (3, ("tags 'Dog', read as the class 'dog'",))
    assert respelled_tags(notes[1:]) == ()


@pytest.mark.parametrize(
    ("a", "b"),
    [("traffic light", "traffic_light"), ("cat", "cats"), ("T-shirt", "tshirt"), ("fire.truck", "fire truck")],
)
def test_names_that_differ_by_joints_or_a_plural_are_named_whatever_their_numbers(a, b):
    [finding] = similar_classes((a, b, "zebra"), (90, 100, 80))
    assert finding.examples == (f"{a!r} (90) and {b!r} (100)",)


@pytest.mark.parametrize(
    ("rare", "often"), [("hrose", "horse"), ("dgo", "dog"), ("aeroplan", "aeroplane"), ("motorbicke", "motorbike")]
)
def test_a_rare_name_that_is_nearly_a_frequent_one_may_be_misspelt(rare, often):
    [finding] = similar_classes((often, rare), (100, 1))
    assert finding.examples == (f"{rare!r} (1) and {often!r} (100)",)


@pytest.mark.parametrize(
    ("names", "counts"),
    [(("cat", "car"), (100, 1)), (("horse", "house"), (100, 90)), (("bus", "boat"), (100, 1)),
     (("horse", "hrose"), (100, 0)), (("horse", "hrose"), (1, 1))],
)  # fmt: skip
def test_names_of_other_things_give_no_word(names, counts):
    assert similar_classes(names, counts) == ()

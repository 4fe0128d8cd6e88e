"""Names of classes: what counts as the same, as the background, as no tag."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagseg.data.names import (
    fold,
    is_background,
    is_doubtful,
    is_ignored,
    is_nothing,
    is_nothing_folder,
    is_untagged,
    natural_order,
)


@pytest.mark.parametrize(
    "other",
    ["traffic light", " Traffic  LIGHT", "traffic\u00a0light\u200b", "\ufefftraffic\tlight", "TRAFFIC\u3000light"],
)
def test_case_and_white_space_do_not_count(other):
    assert fold(other) == "traffic light"


def test_unicode_normalisation_does_not_count_and_other_differences_do():
    assert fold(unicodedata.normalize("NFD", "Ölkanne")) == fold("ölkanne") == "ölkanne"
    assert fold("Straße") == fold("STRASSE")
    assert len({fold(name) for name in ("cat", "cats", "c at", "c_at", "cât")}) == 5


@given(st.text())
def test_what_is_folded_stays_as_it_is(name):
    assert fold(fold(name)) == fold(name)
    assert fold(unicodedata.normalize("NFD", name)) == fold(unicodedata.normalize("NFC", name))


@pytest.mark.parametrize(
    "name",
    ["background", "Background", "BACKGROUND ", "_background_", "__bg__", "<BG>", "back-ground", "背景", "Hintergrund"],
)
def test_spellings_of_the_background(name):
    assert is_background(name)
    assert not is_nothing(name)


@pytest.mark.parametrize(
    "name", ["", " ", "nan", "NaN", "None", "NULL", "N/A", "[]", "-", "<NA>", "no_label", "No tags"]
)
def test_spellings_of_no_tag(name):
    assert is_nothing(name)
    assert not is_background(name)


@pytest.mark.parametrize("name", ["no finding", "No_Finding", "normal", "Other", "unknown", "?"])
def test_names_that_may_be_either(name):
    assert is_doubtful(name)
    assert not is_nothing(name)


@pytest.mark.parametrize(
    "name", ["cat", "0", "nonet", "banana", "foreground", "bgr", "background noise", "no entry", "naan"]
)
def test_classes_are_none_of_these(name):
    assert not any(test(name) for test in (is_background, is_nothing, is_doubtful, is_ignored))


@pytest.mark.parametrize("name", ["__ignore__", "Void"])
def test_names_of_ignored_pixels(name):
    assert is_ignored(name)


def test_numbers_in_names_are_ordered_by_value():
    names = ["b", "class10", "class2b", "class2", "10", "9", "Z", "", "class02"]
    assert sorted(names, key=natural_order) == ["", "9", "10", "Z", "b", "class02", "class2", "class2b", "class10"]


@pytest.mark.parametrize(
    "name", ["good", "GOOD", "ok", "Normal", "no_finding", "No-Objects", "none", "_background_", "n/a"]
)
def test_names_of_folders_of_images_of_nothing(name):
    assert is_nothing_folder(name)
    assert not is_untagged(name)


@pytest.mark.parametrize("name", ["unlabeled", "Unlabelled", "unannotated", "_untagged_"])
def test_names_of_folders_that_nobody_tagged(name):
    assert is_untagged(name)
    assert not is_nothing_folder(name)


def test_other_names_of_folders_are_classes():
    assert not any(
        is_nothing_folder(name) or is_untagged(name) for name in ("cat", "goods", "other", "unknown", "no_mask")
    )


@given(st.text(alphabet=st.characters(max_codepoint=127)))
def test_names_of_ascii_alone_are_folded_as_all_others(name):
    plain = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
    assert fold(name) == " ".join(plain.split())

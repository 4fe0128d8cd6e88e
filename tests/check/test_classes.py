import pytest

from tagseg.check.classes import class_findings

from .samples import images


def found(data, supervised=False):
    return {finding.code: finding for finding in class_findings(data, supervised)}


def test_classes_in_enough_photos_give_no_word():
    assert found(images("ab", *["a", "b", "ab", ""] * 10)) == {}


def test_a_class_in_every_photo_cannot_be_told_from_the_background():
    findings = found(images("ab", *["a"] * 10, *["ab"] * 10))
    assert set(findings) == {"class_in_every_photo"}
    assert findings["class_in_every_photo"].severity == "error"
    assert findings["class_in_every_photo"].examples == ("a",)


def test_photos_without_the_only_class_make_it_learnable():
    assert "class_in_every_photo" in found(images("a", *["a"] * 10))
    assert found(images("a", *["a", ""] * 10)) == {}


def test_a_class_in_nearly_every_photo():
    findings = found(images("ab", *["a"] * 11, *["ab"] * 12, "b"))
    assert findings["class_in_nearly_every_photo"].examples == ("a (23 of 24)",)
    assert findings["class_in_nearly_every_photo"].severity == "warning"
    assert found(images("ab", *["a"] * 9, *["ab"] * 12, *["b"] * 3)) == {}, "21 of 24 are fewer than 90 %"


def test_classes_in_no_photo_in_two_and_in_nine():
    findings = found(images("abcd", *["a"] * 12, *["c"] * 2, *["d"] * 9))
    assert findings["class_without_photos"].examples == ("b",)
    assert findings["hardly_any_photos"].examples == ("c (2)",)
    assert findings["few_photos"].examples == ("d (9)",)
    assert [findings[code].severity for code in findings] == ["warning", "warning", "note"]


def test_no_tag_at_all_is_one_error_alone():
    findings = found(images("ab", "", "", ""))
    assert set(findings) == {"no_tags"}
    assert findings["no_tags"].severity == "error"


def test_imbalance_names_the_rarest_first_and_leaves_out_what_is_few_anyway():
    data = images("abcd", *["a"] * 300, *["b"] * 12, *["c"] * 10, *["d"] * 5)
    findings = found(data)
    assert findings["imbalance"].examples == ("c (10)", "b (12)")
    assert "a (300)" in findings["imbalance"].message
    assert "imbalance" not in found(images("ab", *["a"] * 300, *["b"] * 16)), "less than 20 times"


def test_masks_show_what_tags_of_all_photos_do_not():
    assert found(images("ab", *["a"] * 10, *["ab"] * 10), supervised=True) == {}
    assert "no_tags" not in found(images("a", ""), supervised=True)


@pytest.mark.parametrize("count", [1, 2])
def test_hardly_any_photo_at_all(count):
    assert "class_without_photos" in found(images("ab", *["a"] * count))

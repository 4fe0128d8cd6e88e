from pathlib import Path

import numpy as np

from tagseg.check.masks import mask_findings
from tagseg.data.dataset import Sample, TaggedImages
from tagseg.errors import TagsegError


def mask(*labels):
    return np.array([[0, *labels]], np.uint8)


def refuse():
    raise TagsegError("the mask a.png is 3×3, expected its image's 4×4")


def found(*samples):
    made = tuple(Sample(str(n), Path(f"{n}.jpg"), tags, read) for n, (tags, read) in enumerate(samples))
    images = TaggedImages("photos", ("cat", "dog"), made, "labels.csv")
    return {finding.code: finding for finding in mask_findings(images, "val", quiet=True)}


def test_masks_that_say_what_the_tags_say_give_no_word():
    assert found(((0,), lambda: mask(1)), ((1,), lambda: mask(2, 255)), ((), lambda: mask()), ((0,), None)) == {}


def test_a_mask_that_cannot_be_used_does_not_hide_the_others():
    findings = found(((0,), refuse), ((0,), lambda: mask(1)), ((0,), lambda: mask(2)), ((1,), lambda: mask(2)))
    assert findings["unreadable_masks"].examples == ("0: the mask a.png is 3×3, expected its image's 4×4",)
    assert findings["unreadable_masks"].severity == "error"
    assert findings["masks_contradict_tags"].count == 1
    assert findings["masks_contradict_tags"].severity == "warning"
    assert findings["masks_contradict_tags"].examples == (
        "cat tagged without a pixel in 1",
        "dog shown without a tag in 1",
    )


def test_ids_in_another_order_are_an_error_and_the_order_is_named():
    swapped = [((k,), lambda label=2 - k: mask(label)) for k in (0, 1) for _ in range(4)]
    finding = found(*swapped)["masks_contradict_tags"]
    assert (finding.severity, finding.count) == ("error", 8)
    assert "mask id 2 looks like 'cat', 1 looks like 'dog'" in finding.way_out


def test_masks_of_background_alone():
    finding = found(*[((0,), mask) for _ in range(4)])["masks_contradict_tags"]
    assert finding.severity == "error"
    assert "no id of a class" in finding.way_out


def test_ids_that_count_anew_in_each_image_are_an_error_though_most_masks_agree():
    made = [((0,), lambda: mask(1))] * 6 + [((1,), lambda: mask(1))] * 3
    finding = found(*made)["masks_contradict_tags"]
    assert (finding.severity, finding.count) == ("error", 3)

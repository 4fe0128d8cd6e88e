"""What can be found without opening a photo: it takes no time, so that ``train`` does it too."""

from __future__ import annotations

from tagseg.check.classes import class_findings
from tagseg.check.finding import Finding
from tagseg.check.pairs import pair_findings
from tagseg.check.tags import similar_classes
from tagseg.data.dataset import TaggedImages
from tagseg.data.notes import Note
from tagseg.errors import TagsegError

CANNOT_WORK = ("no_tags",)
"""Findings that a training stops on; it goes on after all others, which it says."""


def fast_findings(images: TaggedImages, supervised: bool = False) -> tuple[Finding, ...]:
    """What the tags of the training images say of classes and pairs of them.

    Args:
        images: the training images.
        supervised: whether ground-truth masks are trained on, which tell apart what tags do not.
    """
    counts = images.tag_counts().tolist()
    return (
        *class_findings(images, supervised),
        *(() if supervised else pair_findings(images)),
        *similar_classes(images.classes, counts),
    )


def warnings_before_training(images: TaggedImages, supervised: bool) -> tuple[Note, ...]:
    """The errors and warnings of ``fast_findings``, as a training says them at its start.

    Raises:
        TagsegError: one of them leaves nothing to train.
    """
    findings = fast_findings(images, supervised)
    for finding in findings:
        if finding.code in CANNOT_WORK:
            raise TagsegError(f"{images.source}: {finding.message}: {finding.way_out}")
    return tuple(finding.note() for finding in findings if finding.severity != "note")

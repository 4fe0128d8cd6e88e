"""Classes that the photos teach badly: in none or few of them, in all or nearly all, or far rarer than another."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from tagseg.check.finding import Finding, found
from tagseg.data.dataset import TaggedImages

HARDLY = 2
"""A class in so few photos, or fewer, is hardly learnt."""
FEW = 10
"""A class in fewer photos is learnt badly."""
NEARLY_ALL = 0.9
"""A class in a larger share of the photos has little to be told from."""
IMBALANCE = 20
"""A class that is so many times rarer than the most frequent one is easily overlooked."""


def class_findings(images: TaggedImages, supervised: bool = False) -> tuple[Finding, ...]:
    """Classes whose numbers of photos speak against learning them.

    Args:
        images: the training images.
        supervised: whether ground-truth masks are trained on, which show what tags of all photos do not.
    """
    counts: Int[ndarray, " K"] = images.tag_counts()
    photos = len(images)
    if not counts.any() and not supervised:
        return found(
            "no_tags", "error", list(images.classes), "no photo is tagged with any class, so nothing can be learnt",
            "add tags, or choose where they come from with --data.tags",
        )  # fmt: skip
    hardly, few = np.flatnonzero((counts > 0) & (counts <= HARDLY)), np.flatnonzero((counts > HARDLY) & (counts < FEW))
    return (
        *(() if supervised else _in_all(images, counts)),
        *found(
            "class_without_photos", "warning", _named(images, np.flatnonzero(counts == 0)),
            "no photo is tagged with these classes, and what has no photo cannot be learnt",
            "add photos of them, or remove them from the class list",
        ),
        *found(
            "hardly_any_photos", "warning", _named(images, hardly, counts) if photos > HARDLY else (),
            "classes in one or two photos alone, too few to learn them by",
            f"add photos, {FEW} at least and better 50, or join the class with another",
        ),
        *found(
            "few_photos", "note", _named(images, few, counts) if photos >= FEW else (),
            f"classes in fewer than {FEW} photos, which are learnt badly",
            f"add photos, {FEW} at least and better 50",
        ),
        *_imbalance(images, counts),
    )  # fmt: skip


def _in_all(images: TaggedImages, counts: Int[ndarray, " K"]) -> tuple[Finding, ...]:
    """Classes that are in each photo, or nearly."""
    photos = len(images)
    each, nearly = counts == photos, (counts < photos) & (counts > NEARLY_ALL * photos)
    return (
        *found(
            "class_in_every_photo", "error", _named(images, np.flatnonzero(each)),
            "classes in every image: tags alone cannot separate them from the background, so masks may cover anything",
            "add images without them (no tags)",
        ),
        *found(
            "class_in_nearly_every_photo", "warning",
            [f"{images.classes[k]} ({counts[k]} of {photos})" for k in np.flatnonzero(nearly)] if photos >= FEW else (),
            f"classes in over {NEARLY_ALL:.0%} of the photos, which have little to be told from",
            "add photos without them (no tags)",
        ),
    )  # fmt: skip


def _imbalance(images: TaggedImages, counts: Int[ndarray, " K"]) -> tuple[Finding, ...]:
    most = int(np.argmax(counts)) if len(counts) else 0
    rare = np.flatnonzero((counts >= FEW) & (counts * IMBALANCE <= counts.max(initial=0)))  # others are named as few
    return found(
        "imbalance", "warning", _named(images, rare[np.argsort(counts[rare], kind="stable")], counts),
        f"classes {IMBALANCE} times rarer than {images.classes[most]} ({counts[most]}), which are easily overlooked",
        "add photos of them; --method fsr can show the rare ones more often (--beyond.repeat_below)",
    )  # fmt: skip


def _named(images: TaggedImages, indices: Int[ndarray, " n"], counts: Int[ndarray, " K"] | None = None) -> list[str]:
    return [images.classes[k] if counts is None else f"{images.classes[k]} ({counts[k]})" for k in indices]

"""Why a photo stands where it stands in the queue: the signal that lowers its estimate most, in words."""

from __future__ import annotations

import numpy as np

from tagseg.errors import list_some
from tagseg.reviewing.estimate import Estimate
from tagseg.reviewing.measure import Measured

DIFFER = "prediction and tags differ: "
LITTLE = 0.02
"""A signal that lowers the estimate by no more than this is no reason."""


def reason(measured: Measured, estimate: Estimate, classes: tuple[str, ...]) -> str:
    """The reason in a few words; tags that differ are named whatever else lowers the estimate.

    Args:
        measured: the signals and the classes of the photo.
        estimate: how much each signal lowers it. What the network expects of itself is no reason, only its outcome.
        classes: names of the K classes.
    """
    differing = _tags(measured, classes)
    if differing:
        return DIFFER + differing
    pulls = {name: pull for name, pull in estimate.pulls.items() if name not in ("expected_iou", "tags")}
    pull, name = min(((pull, name) for name, pull in pulls.items()), default=(0.0, ""))
    if pull > -LITTLE:
        return "nothing stands out"
    value = measured.signals[name]
    return {
        "entropy": "the classes nearly tie in many pixels",
        "margin": "what was found is hardly likelier than the next class",
        "uncertain": f"{100 * value:.0f} % of what may be foreground is uncertain",
        "mirror": f"the mirrored photo is labelled differently: they agree by {100 * value:.0f} %",
        "scales": f"smaller and larger photo are labelled differently: they agree by {100 * value:.0f} %",
        "tag_prior": _prior(measured, classes),
        "thinness": "nothing was found" if not measured.labels.any() else "what was found is thin or in many parts",
        "share": f"{100 * value:.1f} % of the photo was found",
        "labels": f"prediction and the labels told the tags differ: they agree by {100 * value:.0f} %",
    }[name]  # fmt: skip


def _tags(measured: Measured, classes: tuple[str, ...]) -> str:
    """``cat is tagged, not found; dog is found, not tagged``; empty where they agree or tags are not known."""
    if measured.tags is None:
        return ""
    found = measured.found
    missed = [name for name, tag, seen in zip(classes, measured.tags, found, strict=True) if tag and not seen]
    extra = [name for name, tag, seen in zip(classes, measured.tags, found, strict=True) if seen and not tag]
    parts = [(missed, "tagged, not found"), (extra, "found, not tagged")]
    return "; ".join(
        f"{list_some(names)} {'is' if len(names) == 1 else 'are'} {what}" for names, what in parts if names
    )


def _prior(measured: Measured, classes: tuple[str, ...]) -> str:
    """What was found most, and how likely the photo as a whole shows it; or what it looks like where nothing was."""
    counts = np.bincount(measured.labels.ravel(), minlength=len(classes) + 1)[1:]
    if not counts.any():
        return f"nothing was found, but the photo as a whole looks like {classes[int(measured.likely.argmax())]}"
    most = int(counts.argmax())
    return f"{classes[most]} was found, but is unlikely ({100 * measured.likely[most]:.0f} %) for the photo as a whole"

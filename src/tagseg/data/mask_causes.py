"""Why masks contradict tags, worked out from both: ids in another order, counted anew, 255, background alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool
from numpy import ndarray

from tagseg.data.assignment import best_assignment
from tagseg.data.comparison import Comparison
from tagseg.data.dataset import IGNORE
from tagseg.errors import list_some

IGNORED_OBJECT = 0.01
"""An image with a larger share of ignored pixels may have an object there."""

EXPLAINED = 0.5
"""A cause is named if it explains at least this share of the contradictory images."""


def likely_cause(comparison: Comparison) -> str:
    """The likely cause of the contradictions and its mending; empty if none fits."""
    causes: tuple[Callable[[Comparison], str], ...] = (_other_ids, _ignored, _counted_anew, _background_alone)
    return next(filter(None, (cause(comparison) for cause in causes)), "")


def _other_ids(c: Comparison) -> str:
    """Ids that mean other classes than in the class list: permuted, shifted, 0 or 255 as an object."""
    id_of = matching_ids(c.tagged[c.known], c.shown[c.known])
    if len(id_of) == 0:
        return ""
    left = _contradictory_with(c, id_of)
    if left > (1 - EXPLAINED) * c.contradictory.sum():
        return ""
    changed = {k: i for k, i in id_of.items() if i != k + 1}
    if set(changed.values()) <= {0, IGNORE}:
        return ""  # only objects that have no id of their own: said by ``_ignored`` and ``_background_alone``
    looks = list_some([f"{c.written[i]} looks like {c.classes[k]!r}" for k, i in sorted(changed.items())], most=10)
    distances = {i - k - 1 for k, i in changed.items()}
    shifted = ""
    if len(changed) > 1 and len(distances) == 1:
        by = distances.pop()
        shifted = f", shifted by {abs(by)} {'up' if by > 0 else 'down'}"
    return (
        f"mask id {looks}{shifted}: correct the ids or the order of the class list (--data.classes){_order(c, id_of)}"
    )


def _order(c: Comparison, id_of: dict[int, int]) -> str:
    """The class list that agrees with the masks, if it is known as a whole."""
    written = {c.written[i]: c.classes[k] for k, i in id_of.items()}
    if len(written) < len(c.classes) or set(written) != set(range(1, len(c.classes) + 1)) or len(written) > 20:
        return ""
    return f", e.g. {','.join(written[i] for i in sorted(written))}"


def _counted_anew(c: Comparison) -> str:
    """Ids that begin with 1 in each image, as labelme's export of a single file writes them."""
    counts = c.objects.sum(axis=1)
    anew = c.known & (counts > 0) & (counts == c.tagged.sum(axis=1))
    anew &= (c.objects == (np.arange(len(c.classes)) < counts[:, None])).all(axis=1)
    objects = c.known & (counts > 0)
    if not objects.any() or not (anew == objects).all():
        return ""
    if not c.objects[:, 1:].any():
        return f"every object has the id {c.written[1]}, so the masks tell no classes: write one id for each class"
    return "the ids seem to count anew in each image (1 to the number of its classes): write one id for each class"


def _ignored(c: Comparison) -> str:
    """Tagged objects of which nothing is left but ignored pixels."""
    gone = c.missing.any(axis=1) & ~c.untagged.any(axis=1) & (c.ignored > IGNORED_OBJECT)
    if not gone.any() or gone.sum() < EXPLAINED * c.contradictory.sum():
        return ""
    if c.source.startswith("coco"):
        how = "count crowd regions with --data.crowd objects"
        return f"the objects are crowd regions (iscrowd 1) or have no outline, which scoring ignores: {how}"
    return f"the objects are written as {IGNORE}, which is ignored: write the id of their class"


def _background_alone(c: Comparison) -> str:
    if c.objects.any():
        return ""
    if not c.contradictory.any() and (c.ignored > IGNORED_OBJECT).any():
        return f"what is no background is written as {IGNORE}, which is ignored: write the id of its class"
    return "they hold no id of a class: choose other masks, or write the ids of the classes"


def matching_ids(tagged: Bool[ndarray, "n K"], shown: Bool[ndarray, "n 256"]) -> dict[int, int]:
    """The mask id that is in the same images as each tagged class, by the best assignment of all.

    Args:
        tagged: whether the tags have the class.
        shown: whether the mask has a pixel of the id.

    Returns:
        Class index → id, for the classes that are tagged anywhere, as far as a mask has the id where the class is
        tagged.
    """
    present = np.flatnonzero(tagged.any(axis=0))
    if not len(present):
        return {}
    tags, ids = tagged[:, present].astype(np.float64), shown.astype(np.float64)
    both = tags.T @ ids
    equal = both + (1 - tags).T @ (1 - ids)
    own = present + 1
    equal[np.arange(len(present)), own] += 0.5  # of equally good ones, the id as it is written
    assigned = best_assignment(equal)
    return {int(k): int(i) for k, i, row in zip(present, assigned, both, strict=True) if row[i]}


def _contradictory_with(c: Comparison, id_of: dict[int, int]) -> int:
    """Number of images that would contradict their tags if the ids meant these classes."""
    objects = np.zeros_like(c.tagged)
    for k, i in id_of.items():
        objects[:, k] = c.shown[:, i]
    rest = np.ones(IGNORE + 1, bool)
    rest[[0, IGNORE, *id_of.values()]] = False
    wrong = (objects != c.tagged).any(axis=1) | c.shown[:, rest].any(axis=1)
    return int((wrong & c.known).sum())

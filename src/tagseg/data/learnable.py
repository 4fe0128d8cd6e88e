"""What tags alone cannot teach: classes in every image, in none, in one or two, or always together."""

from __future__ import annotations

import numpy as np

from tagseg.data.dataset import TaggedImages
from tagseg.data.notes import Note
from tagseg.errors import list_some

FEW = 2
"""A class in so few images, or fewer, is hardly learnt."""

TOGETHER = 3
"""So many images must show two classes before it is no chance that neither is seen without the other."""

_NAMED = 10


def hard_to_learn(images: TaggedImages, supervised: bool = False) -> tuple[Note, ...]:
    """Warnings of classes that the tags of the training images do not tell apart, with what it means for the result.

    Args:
        images: the training images.
        supervised: whether ground-truth masks are trained on, which tell apart what tags do not.
    """
    tags = images.tag_matrix() > 0
    counts = tags.sum(axis=0)
    each, few = np.flatnonzero(counts == len(tags)), np.flatnonzero((counts > 0) & (counts <= FEW))
    texts = [_absent(images, counts)]
    if not supervised:
        texts += [_everywhere(images, each)]
    if len(few) and len(images.classes) and len(tags) > FEW:
        named = _names(images, few)
        texts.append(f"{named} {_is(few)} in one or two images alone, too few to learn {_it(few)} by")
    if not supervised:
        texts += _together(images, tags, counts)
    return tuple(Note(text, warning=True) for text in texts if text)


def _absent(images: TaggedImages, counts: np.ndarray) -> str:
    absent = np.flatnonzero(counts == 0)
    if not len(absent):
        return ""
    return f"no image is tagged with {_names(images, absent)}: what has no image cannot be learnt"


def _everywhere(images: TaggedImages, each: np.ndarray) -> str:
    """One class that is in each image has nothing to be told from, several neither."""
    if not len(each):
        return ""
    named = _names(images, each)
    alone = "the only class and " if len(images.classes) == 1 else ""
    return (
        f"{named} {_is(each)} {alone}in every image: tags alone cannot separate {_it(each)} from the background, so "
        f"masks of {_it(each)} may cover anything; add images without {_it(each)} (no tags)"
    )


def _together(images: TaggedImages, tags: np.ndarray, counts: np.ndarray) -> list[str]:
    """Groups of classes with the same images, but for those that have all images or none, which are named already."""
    groups: dict[bytes, list[int]] = {}
    for k in np.flatnonzero((counts >= TOGETHER) & (counts < len(tags))):
        groups.setdefault(tags[:, k].tobytes(), []).append(int(k))
    texts = [
        f"{' and '.join(images.classes[k] for k in same)} are always in the same images ({counts[same[0]]}): tags "
        "alone cannot tell them apart, so their masks may be mixed up; add images with one of them, or join them"
        for same in groups.values()
        if len(same) > 1
    ]
    return texts[:_NAMED]


def _names(images: TaggedImages, indices: np.ndarray) -> str:
    return list_some([images.classes[k] for k in indices], _NAMED)


def _is(indices: np.ndarray) -> str:
    return "is" if len(indices) == 1 else "are"


def _it(indices: np.ndarray) -> str:
    return "it" if len(indices) == 1 else "them"

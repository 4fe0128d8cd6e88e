"""The same photo twice: across splits, which makes scores too good, with other tags, or just again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import compress

import numpy as np

from tagseg.check.finding import Finding, found
from tagseg.check.photos import Photo
from tagseg.data.near_duplicates import near_duplicates

Group = list[Photo]


def duplicates(photos: Sequence[Photo]) -> tuple[Finding, ...]:
    """Groups of photos with the same bytes, and of photos that look the same but for compression, size or a margin."""
    readable = [photo for photo in photos if not photo.error]
    same = _groups(readable)
    shown = [photo for photo in readable if not photo.blank]  # blank ones look like each other, and are named as such
    looks = np.array([photo.looks for photo in shown], np.uint64)
    near = [group for indices in near_duplicates(looks) if _contents(group := [shown[index] for index in indices]) > 1]
    across, within = _apart([_one_of_each(group) for group in near])
    leaking, again = _apart(same)
    return (
        *found(
            "duplicates_across_splits", "error", [_shown(group) for group in leaking],
            "photos are in both splits, so scores are too good", "keep all copies of a photo in one split",
        ),
        *found(
            "near_duplicates_across_splits", "warning", [_shown(group) for group in across],
            "photos look like one of the other split, so scores may be too good",
            "keep all views of a thing in one split",
        ),
        *found(
            "duplicates_with_other_tags", "error", [_shown(group) for group in same if _tags(group) > 1],
            "photos are there twice, with other tags each time", "keep one of them, with all its tags",
        ),
        *found(
            "duplicates", "warning", [_shown(group) for group in again if _tags(group) < 2],
            "photos are there several times, under other names", "keep one of each",
        ),
        *found(
            "near_duplicates", "note", [_shown(group) for group in within],
            "groups of photos that look alike: they count as several and teach as one",
            "nothing, if they are views of one thing; keep them in one split",
        ),
    )  # fmt: skip


def _groups(photos: Sequence[Photo]) -> list[Group]:
    """Photos with the same bytes, two or more samples each."""
    by_content: defaultdict[bytes, Group] = defaultdict(list)
    for photo in photos:
        by_content[photo.content].append(photo)
    return [group for group in by_content.values() if len(group) > 1]


def _one_of_each(group: Group) -> Group:
    """Without photos of the same bytes in the same split, which are counted already."""
    return list({(photo.split, photo.content): photo for photo in group}.values())


def _contents(group: Group) -> int:
    return len({photo.content for photo in group})


def _tags(group: Group) -> int:
    """How many different sets of tags photos have."""
    return len({photo.sample.tags for photo in group if photo.sample.tags_known})


def _apart(groups: list[Group]) -> tuple[list[Group], list[Group]]:
    """The groups with photos of several splits, and those within one."""
    split = [len({photo.split for photo in group}) > 1 for group in groups]
    return list(compress(groups, split)), list(compress(groups, (not across for across in split)))


def _shown(group: Group) -> str:
    """``train: a.jpg = val: b.jpg``; of more than three the first two and the last."""
    names = [f"{photo.split}: {photo.sample.name}" if len({p.split for p in group}) > 1 else photo.sample.name
             for photo in group]  # fmt: skip
    return " = ".join(names if len(names) <= 3 else [names[0], f"… ({len(names)})", names[-1]])

"""All checks of the photos and tags that the data settings name, before any training."""

from __future__ import annotations

import logging
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tagseg.check.duplicates import duplicates
from tagseg.check.fast import fast_findings
from tagseg.check.finding import Finding, worst_first
from tagseg.check.loading import Loaded, load_all
from tagseg.check.masks import mask_findings
from tagseg.check.photos import Photo, read_photos
from tagseg.check.reading_notes import note_findings
from tagseg.check.result import CheckResult
from tagseg.check.sizes import size_findings
from tagseg.check.tags import respelled_tags
from tagseg.check.unreadable import unreadable
from tagseg.data.config import DataConfig
from tagseg.data.dataset import TaggedImages
from tagseg.data.reading import reading_of

logger = logging.getLogger("tagseg")

if TYPE_CHECKING:
    from tagseg.check.suspicious import SuspiciousConfig


def check(data: DataConfig, suspicious: SuspiciousConfig | None = None, quiet: bool = False) -> CheckResult:
    """Look for everything that would stop a training or spoil its result.

    Args:
        data: the settings of the data, as for a training.
        suspicious: also look for tags that a linear model on frozen features doubts, and how.
        quiet: show neither what was read nor progress.

    Raises:
        TagsegError: a path or source of the settings does not exist, or there is nothing to read there.
        KeyboardInterrupt: stopped by the user.
    """
    started = time.perf_counter()
    loaded = load_all(data)
    if not quiet:
        without_warnings = {name: replace(images, notes=()) for name, images in loaded.splits.items()}
        reading_of(data, without_warnings).show()
        if loaded.not_scored and data.val_split:
            logger.info("%s", loaded.not_scored)
    photos = read_photos(loaded.splits, quiet)
    readable = _readable(loaded.splits, photos)
    findings = [
        *loaded.findings,
        *unreadable(photos),
        *duplicates(photos),
        *_of_tags(data, loaded),
        *size_findings(photos),
        *(finding for split, images in readable.items() for finding in mask_findings(images, split, quiet)),
        *note_findings(loaded.notes),
    ]
    sheet = ""
    if suspicious is not None:
        from tagseg.check.suspicious import suspicious_tags  # takes seconds to import

        more, sheet = suspicious_tags(readable, suspicious)
        findings += more
    return CheckResult(
        os.path.abspath(os.path.expanduser(data.root)),
        worst_first(findings),
        {name: len(images) for name, images in loaded.splits.items()},
        _counts(loaded.splits),
        time.perf_counter() - started,
        loaded.not_scored,
        sheet,
    )


def _of_tags(data: DataConfig, loaded: Loaded) -> tuple[Finding, ...]:
    training = loaded.splits.get(data.train_split)
    of_classes = fast_findings(training) if training is not None and training.tags_from else ()
    return (*respelled_tags(loaded.notes), *of_classes)


def _readable(splits: dict[str, TaggedImages], photos: list[Photo]) -> dict[str, TaggedImages]:
    """The splits without photos that cannot be read."""
    broken: set[Path] = {photo.sample.image for photo in photos if photo.error}
    return {
        name: replace(images, samples=tuple(sample for sample in images.samples if sample.image not in broken))
        for name, images in splits.items()
    }


def _counts(splits: dict[str, TaggedImages]) -> dict[str, dict[str, int]]:
    """Class → split → photos."""
    counts: dict[str, dict[str, int]] = {}
    for split, images in splits.items():
        for name, count in zip(images.classes, images.tag_counts().tolist(), strict=True):
            counts.setdefault(name, {})[split] = count
    return counts

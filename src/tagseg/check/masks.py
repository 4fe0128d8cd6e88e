"""Masks that cannot be read, do not fit their photo or the classes, or contradict the tags."""

from __future__ import annotations

from jaxtyping import UInt8
from numpy import ndarray

from tagseg.check.finding import KEPT, Finding, found
from tagseg.data.comparison import Comparison
from tagseg.data.dataset import Sample, TaggedImages
from tagseg.data.mask_causes import likely_cause
from tagseg.data.tags_and_masks import SAMPLE, TagsAgainstMasks
from tagseg.errors import TagsegError
from tagseg.progress import in_threads

SOME = 0.1
"""Where one cause explains most contradictions, and more than this share of the photos has one, it is no accident."""

Mask = UInt8[ndarray, "H W"]


def mask_findings(images: TaggedImages, split: str, quiet: bool = False) -> tuple[Finding, ...]:
    """What is wrong with the masks of a split, and what they say against its tags.

    Args:
        images: some of them with masks; photos that cannot be read left out.
        split: its name.
        quiet: no progress bar.
    """
    masked = images.with_masks()
    some = masked.every(-(-len(masked) // SAMPLE)) if len(masked) else masked
    collected = TagsAgainstMasks(some, of=len(masked))
    refused: list[str] = []
    for sample, (mask, error) in zip(
        some.samples, in_threads(some.samples, _read, "looking at masks", quiet=quiet), strict=True
    ):
        if mask is None:
            refused.append(f"{sample.name}: {error}")
        else:
            collected.add(sample, mask)
    return (
        *found(
            "unreadable_masks", "error", refused, f"of {len(some)} masks of {split} cannot be used",
            "mend them, or remove them: their photos are then not scored",
        ),
        *(_contradictions(collected.comparison(), split) if len(some) > len(refused) else ()),
    )  # fmt: skip


def _contradictions(found_in: Comparison, split: str) -> tuple[Finding, ...]:
    """Where the masks show other classes than the tags say, by class."""
    wrong = int(found_in.contradictory.sum())
    if not (wrong or found_in.contradicts):
        return ()
    cause = likely_cause(found_in)
    cells = [(found_in.missing, "tagged without a pixel"), (found_in.untagged, "shown without a tag")]
    counts = [(int(n), name, what) for some, what in cells
              for n, name in zip(some.sum(axis=0), found_in.classes, strict=True) if n]  # fmt: skip
    by_class = [f"{name} {what} in {n}" for n, name, what in sorted(counts, key=lambda each: -each[0])]
    return (
        Finding(
            "masks_contradict_tags",
            "error" if found_in.contradicts or (cause and found_in.share > SOME) else "warning",
            wrong or len(found_in.names),
            tuple(by_class[:KEPT]) or ("every mask is background alone",),
            f"of {len(found_in.names)} masks of {split} contradict the tags",
            cause or "correct the tags or the masks",
        ),
    )


def _read(sample: Sample) -> tuple[Mask | None, str]:
    """The mask, or why there is none."""
    assert sample.mask is not None  # with_masks() left no other
    try:
        return sample.mask(), ""
    except TagsegError as error:
        return None, str(error)

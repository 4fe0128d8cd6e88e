"""Where the files of the dataset are: in folders side by side, as Ultralytics reads them, or as PASCAL VOC's."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Literal, NamedTuple

from tagseg.data.dataset import Sample, TaggedImages
from tagseg.errors import TagsegError
from tagseg.labelling.image_files import ImageFile, image_file
from tagseg.progress import progress

Layout = Literal["folders", "voc"]
"""``folders``: ``images/train``, ``masks/train``, …; ``voc``: ``VOCdevkit/VOC2012``."""
VOC = "VOCdevkit/VOC2012"
"""Where torchvision and others look for PASCAL VOC in a dataset's folder."""


class Job(NamedTuple):
    """One photo of the dataset.

    Attributes:
        sample: the photo and its tags.
        file: what becomes of its file.
        name: of its files without ending, within the folder of its split.
        image: its file, relative to the dataset's folder.
        mask: its mask, likewise.
    """

    sample: Sample
    file: ImageFile
    name: str
    image: str
    mask: str


def jobs_of(splits: dict[str, TaggedImages], layout: Layout, quiet: bool = False) -> dict[str, list[Job]]:
    """The photos of each split with the names of their files; headers of the photos are read.

    Raises:
        TagsegError: an unreadable photo, or two that would be written as one file.
    """
    jobs: dict[str, list[Job]] = {}
    owners: dict[str, Sample] = {}
    with progress(sum(map(len, splits.values())), "looking at photos", quiet=quiet) as bar:
        for split, images in splits.items():
            jobs[split] = []
            for sample in images.samples:
                job = _job(sample, split, layout)
                # disks that do not tell case apart would keep one of two
                owner = owners.setdefault(job.mask.casefold(), sample)
                if owner is not sample:
                    raise TagsegError(
                        f"{owner.image} and {sample.image} would both have the mask {job.mask}, expected names that "
                        "differ by more than their ending or case: rename one"
                    )
                jobs[split].append(job)
                bar.update()
    return jobs


def _job(sample: Sample, split: str, layout: Layout) -> Job:
    name, file = _safe(sample.name), image_file(sample.image, jpeg=layout == "voc")
    if layout == "voc":
        return Job(sample, file, name, f"{VOC}/JPEGImages/{name}.jpg", f"{VOC}/SegmentationClass/{name}.png")
    return Job(sample, file, name, f"images/{split}/{name}{file.suffix}", f"masks/{split}/{name}.png")


def _safe(name: str) -> str:
    """The name without a way out of its folder, and without a folder ``images``, which loaders would replace."""
    parts = [part for part in PurePosixPath(name.replace("\\", "/")).parts if part not in ("/", "..", ".")]
    return "/".join([*(f"{part}_" if part == "images" else part for part in parts[:-1]), *parts[-1:]]) or "_"

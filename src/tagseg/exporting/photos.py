"""The photos that an exported network is compared on: those of the run, those that are given, or random images."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image

from tagseg.config_file import NAME, read_config
from tagseg.data import sources
from tagseg.data.images import read_image
from tagseg.errors import NothingToScore, TagsegError
from tagseg.exporting.graph import ExportGraph
from tagseg.inference.jobs import jobs_of

MOST = 20
"""Photos that parity is checked on by default."""
logger = logging.getLogger("tagseg")


@dataclass(frozen=True)
class PhotoFiles:
    """Photos on disk, read anew by each iteration."""

    paths: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.paths)

    def __iter__(self) -> Iterator[UInt8[ndarray, "_H _W 3"]]:
        return map(read_image, self.paths)


@dataclass(frozen=True)
class RandomImages:
    """Smooth random images of given sizes, the same ones each time."""

    sizes: tuple[tuple[int, int], ...]

    def __len__(self) -> int:
        return len(self.sizes)

    def __iter__(self) -> Iterator[UInt8[ndarray, "_H _W 3"]]:
        rng = np.random.default_rng(0)
        for height, width in self.sizes:
            blobs = Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8))
            yield np.array(blobs.resize((width, height), Image.Resampling.BICUBIC))


def random_images(graph: ExportGraph) -> RandomImages:
    """Images whose inputs have other shapes than the one a graph was traced with: a size that was fixed by it shows."""
    patch = graph.patch
    return RandomImages(((5 * patch, 3 * patch), (2 * patch, 9 * patch), (7 * patch, 7 * patch)))


def sample_photos(
    model: object, given: str | Path | Sequence[str | Path] | None, output: Path, most: int = MOST
) -> PhotoFiles | None:
    """Up to ``most`` photos, evenly from those that there are.

    Args:
        model: as given to ``export``; a run folder names its photos.
        given: image files or folders; ``None``: the photos of the run, those for validation first.
        output: the export's folder, whose files are no photos.
        most: of them.

    Returns:
        The photos; ``None`` where none are given and those of the run are not there.

    Raises:
        TagsegError: photos are given, and there is none.
    """
    if given is not None:
        return PhotoFiles(_evenly([image for image, _ in jobs_of(given, output).named], most))
    paths = _of_run(Path(model).expanduser()) if isinstance(model, str | Path) else []
    return PhotoFiles(_evenly(paths, most)) if paths else None


def _of_run(model: Path) -> list[Path]:
    """The photos of a run; none where it has no configuration or its photos are gone, which is told."""
    config_file = (model if model.is_dir() else model.parent) / NAME
    if not config_file.is_file():
        return []
    try:
        data = read_config(config_file).data
        for split in filter(None, (data.val_split, data.train_split)):
            try:
                images = sources.load(data, split, masks=False, tags=False)
            except NothingToScore:
                continue
            paths = [sample.image for sample in images.samples if sample.image.is_file()]
            if paths:
                return paths
    except TagsegError as error:
        logger.info("the photos of the run are not there (%s)", error)
    return []


def _evenly(paths: Sequence[Path], most: int) -> tuple[Path, ...]:
    step = max(1.0, len(paths) / most)
    return tuple(paths[int(index * step)] for index in range(min(most, len(paths))))

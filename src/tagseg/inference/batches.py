"""Photos whose network input has the same size go through the network together.

A photo keeps its shape: padding photos to one size would change what the network sees, so only equal sizes meet.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

import torch
from jaxtyping import UInt8
from numpy import ndarray

from tagseg.data.images import image_size, read_image
from tagseg.errors import TagsegError
from tagseg.inference.attempt import attempt, is_out_of_memory
from tagseg.inference.background import ahead

LOOK_AHEAD = 8
"""Equal sizes are searched among the next so many batches of photos; only their headers are read for that."""
GPU_PIXELS = 1 << 23
"""On a GPU, pixels of one pass at the largest scale, mirror images included: nine photos of 500 x 375 at scale 1.5.
A ViT-B then takes about 1 GB, by its layers' sizes; not measured on a GPU."""
GPU_PHOTOS = 32
"""And at most so many photos."""

S = TypeVar("S")
T = TypeVar("T")
Photo = UInt8[ndarray, "_H _W 3"]
Sizes = tuple[tuple[int, int], ...]
"""Height and width in pixels of a photo's network input at each scale."""

_log = logging.getLogger(__name__)


class Batches:
    """How many photos go through the network together, and whether the next ones are read meanwhile.

    Args:
        batch: at most so many; 1: each alone; 0: on a GPU as many as ``GPU_PIXELS`` allows, on a CPU each alone, since
            its cores are busy with one photo (docs/predict.md).
        read_ahead: a thread reads the next batch while the network is at work.

    Raises:
        TagsegError: a negative batch.
    """

    def __init__(self, batch: int = 0, read_ahead: bool = True) -> None:
        if batch < 0:
            raise TagsegError(f"batch is {batch}, expected a number of photos, 1 for one at a time, or 0 for automatic")
        self.batch = batch
        self.read_ahead = read_ahead
        self._fits: int | None = None  # photos at once that a memory has taken, once it was found too small for more

    def each(
        self,
        images: Sequence[Path],
        sizes: Callable[[int, int], Sizes],
        look: Callable[[list[Photo]], list[S]],
        device: torch.device,
    ) -> Iterator[tuple[int, S | str]]:
        """Each image's index and what ``look`` makes of its photo, or why nothing: batch by batch, not in order.

        Args:
            images: the files.
            sizes: input sizes of a photo of this height and width.
            look: photos of equal input sizes → one result each.
            device: where ``look`` computes.
        """
        most = self.batch or (GPU_PHOTOS if device.type == "cuda" else 1)

        def size_of(job: tuple[int, Path]) -> Hashable:
            try:
                return sizes(*image_size(job[1]))
            except TagsegError:
                return object()  # equal to no other: reading it will tell what is wrong

        def room(size: Hashable) -> int:
            fits = most if self._fits is None else min(most, self._fits)
            return fits if self.batch or not isinstance(size, tuple) else min(fits, _photos_on_gpu(size))

        groups = in_groups(enumerate(images), size_of, room, most)
        for group in ahead(_read, groups, int(self.read_ahead)):
            yield from ((index, photo) for index, _, photo in group if isinstance(photo, str))
            yield from self._together(
                look, [(index, path, photo) for index, path, photo in group if not isinstance(photo, str)]
            )

    def _together(
        self, look: Callable[[list[Photo]], list[S]], group: list[tuple[int, Path, Photo]]
    ) -> list[tuple[int, S | str]]:
        """All of a group at once; where that fails, its halves, which in the end finds the photo that does."""
        if len(group) <= 1:
            return [(index, attempt(partial(_look_at_one, look, photo), path)) for index, path, photo in group]
        try:
            found = look([photo for _, _, photo in group])
            return [(index, one) for (index, _, _), one in zip(group, found, strict=True)]
        except TagsegError:
            pass
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            self._shrink(len(group))
        half = len(group) // 2  # outside the except: what the failed attempt holds is free by now
        return [*self._together(look, group[:half]), *self._together(look, group[half:])]

    def _shrink(self, photos: int) -> None:
        if self._fits is None:
            _log.warning("%d photos at once do not fit into memory, fewer are taken from here on: lower batch", photos)
        larger_half = photos - photos // 2
        self._fits = min(self._fits or larger_half, larger_half)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def in_groups(
    items: Iterable[T], key: Callable[[T], Hashable], room: Callable[[Hashable], int], most: int
) -> Iterator[list[T]]:
    """Items of equal key together, in the order of each group's first item.

    Args:
        items: in order; at most ``LOOK_AHEAD`` × ``most`` of them are held.
        key: of an item; not asked for where ``most`` is 1.
        room: for how many items of a key a group has room, asked for anew for each group.
        most: items of a group, whatever its key.
    """
    if most == 1:
        yield from ([item] for item in items)
        return
    source = ((key(item), item) for item in items)
    window: list[tuple[Hashable, T]] = []
    while window := [*window, *islice(source, LOOK_AHEAD * most - len(window))]:
        first = window[0][0]
        chosen = [place for place, (size, _) in enumerate(window) if size == first][: room(first)]
        yield [window[place][1] for place in chosen]
        window = [entry for place, entry in enumerate(window) if place not in set(chosen)]


def _photos_on_gpu(sizes: Sizes) -> int:
    return max(1, GPU_PIXELS // (2 * max(height * width for height, width in sizes)))


def _read(group: list[tuple[int, Path]]) -> list[tuple[int, Path, Photo | str]]:
    return [(index, path, attempt(partial(read_image, path), path)) for index, path in group]


def _look_at_one(look: Callable[[list[Photo]], list[S]], photo: Photo) -> S:
    return look([photo])[0]

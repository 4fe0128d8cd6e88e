"""Batches of photos whose network inputs have the same size.

Photos are not padded to a common size: that would change the input of the network.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

import torch
from jaxtyping import UInt8
from numpy import ndarray

from tagseg.data.images import Picture
from tagseg.errors import TagsegError
from tagseg.inference.attempt import attempt, is_out_of_memory
from tagseg.inference.background import ahead
from tagseg.inference.photos import Source, read_source, source_name, source_size

LOOK_AHEAD = 8
"""Photos of equal size are searched among those of the next 8 batches; for that only headers are read."""
GPU_PIXELS = 1 << 23
"""Most pixels of one pass on a GPU at the largest scale, flipped images included: nine photos of 500 x 375 at 1.5.
A ViT-B then takes about 1 GB, computed from the sizes of its layers; not measured on a GPU."""
GPU_PHOTOS = 32
"""Most photos of one pass on a GPU."""
GPU_READERS = 4
"""Threads that read the photos of the next batch for a GPU, which may label them faster than one thread reads them."""

S = TypeVar("S")
T = TypeVar("T")
Photo = UInt8[ndarray, "_H _W 3"]
Sizes = tuple[tuple[int, int], ...]
"""Height and width in pixels of a photo's network input at each scale."""

_log = logging.getLogger(__name__)


class Batches:
    """Batch size, and whether the next batch is read in the background.

    Args:
        batch: most photos of a batch; 0: on a GPU as many as ``GPU_PIXELS`` allows, on a CPU one, which keeps all its
            cores busy (docs/predict.md).
        read_ahead: read the next batch in a thread while the network is busy.

    Raises:
        TagsegError: a negative batch.
    """

    def __init__(self, batch: int = 0, read_ahead: bool = True) -> None:
        if batch < 0:
            raise TagsegError(f"batch is {batch}, expected a number of photos, 1 for one at a time, or 0 for automatic")
        self.batch = batch
        self.read_ahead = read_ahead
        self.remarks: dict[str, list[str]] = {}  # how photos were read other than literally → their files
        self._fits: int | None = None  # largest batch that fits into memory, once a larger one did not

    def each(
        self,
        images: Iterable[Source],
        sizes: Callable[[int, int], Sizes],
        process: Callable[[list[Photo]], list[S]],
        device: torch.device,
        look_ahead: int = LOOK_AHEAD,
    ) -> Iterator[tuple[int, S | str]]:
        """Each image's index and the result of its photo, or an error message; batch by batch, not in order.

        Args:
            images: the photos; taken in the caller's thread, as they are needed.
            sizes: height and width of a photo → sizes of its network input.
            process: photos of equal input sizes → one result each.
            device: where ``process`` computes.
            look_ahead: photos of equal size are searched among those of this many batches.
        """
        yield from self.each_with_index(
            images, sizes, lambda group: process([photo for _, photo in group]), device, look_ahead
        )

    def each_with_index(
        self,
        images: Iterable[Source],
        sizes: Callable[[int, int], Sizes],
        process: Callable[[list[tuple[int, Photo]]], list[S]],
        device: torch.device,
        look_ahead: int = LOOK_AHEAD,
    ) -> Iterator[tuple[int, S | str]]:
        """As ``each``; ``process`` is also told the index of each photo."""
        for results in self.in_batches(images, sizes, process, device, look_ahead):
            yield from results

    def in_batches(
        self,
        images: Iterable[Source],
        sizes: Callable[[int, int], Sizes],
        process: Callable[[list[tuple[int, Photo]]], list[S]],
        device: torch.device,
        look_ahead: int = LOOK_AHEAD,
    ) -> Iterator[list[tuple[int, S | str]]]:
        """As ``each_with_index``, the results of each batch together, as soon as ``process`` has returned them.

        On a GPU that may be before it has computed them.
        """
        most = self.batch or (GPU_PHOTOS if device.type == "cuda" else 1)

        def size_of(job: tuple[int, Source]) -> Hashable:
            try:
                return sizes(*source_size(job[1]))
            except TagsegError:
                return object()  # equal to no other; the error message follows on reading

        def room(size: Hashable) -> int:
            fits = most if self._fits is None else min(most, self._fits)
            return fits if self.batch or not isinstance(size, tuple) else min(fits, _photos_on_gpu(size))

        groups = in_groups(enumerate(images), size_of, room, most, look_ahead)
        with ExitStack() as stack:
            several = self.read_ahead and device.type == "cuda"
            pool = stack.enter_context(ThreadPoolExecutor(GPU_READERS, "tagseg-read")) if several else None
            for group in ahead(partial(self._read, pool), groups, int(self.read_ahead)):
                unreadable = [(index, photo) for index, _, photo in group if isinstance(photo, str)]
                photos = [(index, name, photo) for index, name, photo in group if not isinstance(photo, str)]
                yield [*unreadable, *self._together(process, photos)]

    def _read(
        self, pool: ThreadPoolExecutor | None, group: list[tuple[int, Source]]
    ) -> list[tuple[int, str, Photo | str]]:
        named = [(source_name(source, index), source) for index, source in group]
        # Two of a list's photos may be the same Pillow image, which only one thread may load.
        each = map if pool is None or not all(isinstance(source, Path) for _, source in named) else pool.map
        pictures = each(lambda one: attempt(partial(read_source, one[1]), one[0]), named)
        together = zip(group, named, pictures, strict=True)
        return [(index, name, self._noted(picture, name)) for (index, _), (name, _), picture in together]

    def read(self, source: Source, name: str) -> Photo:
        """A photo as RGB; how it was read is remembered under its name.

        Raises:
            TagsegError: an unreadable photo.
        """
        return self._remembered(read_source(source), name)

    def _noted(self, picture: Picture | str, name: str) -> Photo | str:
        return picture if isinstance(picture, str) else self._remembered(picture, name)

    def _remembered(self, picture: Picture, name: str) -> Photo:
        for remark in picture.remarks:
            self.remarks.setdefault(remark, []).append(name)
        return picture.pixels

    def _together(
        self, process: Callable[[list[tuple[int, Photo]]], list[S]], group: list[tuple[int, str, Photo]]
    ) -> list[tuple[int, S | str]]:
        """A group in one batch; if that fails, its halves, down to the photo that causes the error."""
        if len(group) <= 1:
            return [
                (index, attempt(partial(_process_one, process, (index, photo)), name)) for index, name, photo in group
            ]
        try:
            results = process([(index, photo) for index, _, photo in group])
            return [(index, result) for (index, _, _), result in zip(group, results, strict=True)]
        except TagsegError:
            pass
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            self._shrink(len(group))
        half = len(group) // 2  # after the except block, so that the memory of the failed attempt is free
        return [*self._together(process, group[:half]), *self._together(process, group[half:])]

    def _shrink(self, photos: int) -> None:
        if self._fits is None:
            _log.warning("%d photos at once do not fit into memory, fewer are taken from here on: lower batch", photos)
        larger_half = photos - photos // 2
        self._fits = min(self._fits or larger_half, larger_half)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def in_groups(
    items: Iterable[T],
    key: Callable[[T], Hashable],
    room: Callable[[Hashable], int],
    most: int,
    look_ahead: int = LOOK_AHEAD,
) -> Iterator[list[T]]:
    """Groups of items with equal keys, in the order of their first items.

    Args:
        items: at most ``look_ahead`` × ``most`` of them are held at a time.
        key: item → key; not called if ``most`` is 1.
        room: key → largest size of a group, called for each group.
        most: largest size of any group.
        look_ahead: number of groups of that size whose items are held.
    """
    if most == 1:
        yield from ([item] for item in items)
        return
    source = ((key(item), item) for item in items)
    window: list[tuple[Hashable, T]] = []
    while window := [*window, *islice(source, look_ahead * most - len(window))]:
        first = window[0][0]
        chosen = [place for place, (size, _) in enumerate(window) if size == first][: room(first)]
        yield [window[place][1] for place in chosen]
        window = [entry for place, entry in enumerate(window) if place not in set(chosen)]


def _photos_on_gpu(sizes: Sizes) -> int:
    return max(1, GPU_PIXELS // (2 * max(height * width for height, width in sizes)))


def _process_one(process: Callable[[list[tuple[int, Photo]]], list[S]], photo: tuple[int, Photo]) -> S:
    return process([photo])[0]

"""Photos in memory or files → results; ``predict`` and ``evaluate`` stand on it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Literal, get_args, overload

from numpy import ndarray
from PIL import Image

from tagseg.arguments import check_kinds, check_path, refuse
from tagseg.data.notes import Note
from tagseg.data.palette import label_names
from tagseg.errors import TagsegError
from tagseg.fast.workspace import Workspaces
from tagseg.inference.attempt import attempt
from tagseg.inference.batches import LOOK_AHEAD, Batches
from tagseg.inference.label_maps import Labelled, Wanted, in_budget, label_maps, overlaps, photos_at_once
from tagseg.inference.multi_scale import MultiScale, PhotoLogits
from tagseg.inference.photos import Source, kept, several, source_name, source_of
from tagseg.inference.precision import Precision
from tagseg.inference.result import Result
from tagseg.inference.segment import MAX_SIDE, SCALES, Sizing, pick_device
from tagseg.model.checkpoint import load_network, trained_maps
from tagseg.model.network import Network
from tagseg.pairwise.config import PUBLISHED_CRF, CrfConfig

OnError = Literal["raise", "skip"]
_AHEAD_IN_ORDER = 2
"""Batches among whose photos equal sizes are searched where results keep their order: more would wait in memory."""
logger = logging.getLogger("tagseg")


class Predictor:
    """A network that labels photos: ``tagseg.load("runs/photos")(photo).mask``; ``tagseg.load`` is its other name.

    Args:
        model: run or exported folder, ``.safetensors`` file, ``hf://OWNER/NAME`` on a Hugging Face hub, or a network
            (which is put into evaluation mode on ``device``).
        scales: factors of the image size for multi-scale testing.
        mirror: test-time flip augmentation (image and horizontal flip).
        size: side in pixels of a square that photos are resized to for the network; default: native size.
        max_side: longest side of a photo in pixels; larger ones are downsampled for the network. 0: no limit.
        plain: make label maps without a CRF; always on if ``crf`` is off.
        crf: make label maps after a dense CRF.
        crf_settings: the CRF's kernels.
        scores: also return the probability of each label at each pixel, as ``probs`` of the results.
        precision: ``32``, or ``bf16``: matrix products in bfloat16.
        batch: batch size for photos of equal input size; see ``predict``.
        read_ahead: of several photos the next ones are read in the background.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` …

    Attributes:
        network: in evaluation mode on the device.
        classes: names of the K foreground classes; label k+1 is ``classes[k]``.
        names: the name of each label; 0 is ``background``.
        colours: RGB of each label.

    Raises:
        TagsegError: no such model or device, or bad settings.
    """

    def __init__(
        self,
        model: str | Path | Network,
        *,
        scales: tuple[float, ...] = SCALES,
        mirror: bool = True,
        size: int | None = None,
        max_side: int | None = MAX_SIDE,
        plain: bool = False,
        crf: bool = False,
        crf_settings: CrfConfig = PUBLISHED_CRF,
        scores: bool = False,
        precision: Precision = "32",
        batch: int = 0,
        read_ahead: bool = True,
        device: str = "auto",
    ) -> None:
        check_kinds(
            locals(), scales="numbers", mirror="switch", size="whole?", max_side="whole?", plain="switch", crf="switch",
            scores="switch", precision="text", batch="whole", read_ahead="switch",
        )  # fmt: skip
        if not isinstance(crf_settings, CrfConfig):
            raise refuse("crf_settings", crf_settings, "a CrfConfig of tagseg.pairwise.config")
        self.multi_scale = MultiScale(scales, mirror, Sizing(size, max_side), precision)
        self.wanted = Wanted(plain=plain or not crf, crf=crf_settings if crf else None, scores=scores)
        self.batches = Batches(batch, read_ahead)
        self.network = open_network(model, device)
        self.classes = self.network.classes
        self.names, self.colours = dict(enumerate(label_names(self.classes))), self.network.colours
        self._workspaces = Workspaces()
        self._unsegmented = not isinstance(model, Network) and "segmentation" not in trained_maps(model)
        self._model = model

    @overload
    def __call__(
        self, photos: Image.Image | ndarray, *, probs: bool | None = None, on_error: OnError = "raise"
    ) -> Result: ...
    @overload
    def __call__(
        self,
        photos: list[Any] | tuple[Any, ...] | Iterator[Any],
        *,
        probs: bool | None = None,
        on_error: OnError = "raise",
    ) -> Iterator[Result]: ...
    @overload
    def __call__(self, photos: str | Path, *, probs: bool | None = None, on_error: OnError = "raise") -> Any: ...
    def __call__(self, photos: Any, *, probs: bool | None = None, on_error: OnError = "raise") -> Any:
        """Label a photo, or several: a ``Result``, or an iterator of them in order.

        Args:
            photos: one photo: a file, a Pillow image (its EXIF rotation is not applied) or an array uint8 (H, W, 3) in
                RGB order; or several: a folder, with its sub-folders, or a list, tuple or iterator of photos. They are
                read as the iterator of results is advanced, at most a few ahead.
            probs: also the probability of each label at each pixel; default: the setting ``scores``.
            on_error: what the iterator does at a photo that cannot be read or labelled: ``raise`` a ``TagsegError``
                that names it and end, or ``skip`` it with a warning; there are then fewer results than photos.

        Raises:
            TagsegError: another type or shape, a folder without photos, or an unreadable photo.
        """
        check_kinds(locals(), probs="switch?")
        if on_error not in get_args(OnError):
            raise refuse("on_error", on_error, f"one of: {', '.join(get_args(OnError))}")
        wanted = self.wanted if probs is None else replace(self.wanted, scores=probs)
        sources = several(photos)
        source = kept(source_of(photos)) if sources is None else None
        self._check_segmentation()
        if source is None:
            assert sources is not None
            return self._in_order(sources, wanted, on_error)
        name = str(source) if isinstance(source, Path) else "the photo"
        found = attempt(partial(self._one, source, name, wanted), name)
        self._tell_remarks()
        if isinstance(found, str):
            raise TagsegError(found)
        return found

    def label_files(self, images: Iterable[Path]) -> Iterator[tuple[int, Result | str]]:
        """Each file's index and its result, or an error message; as they are ready, not in order."""
        self._check_segmentation()
        return self._as_ready(images, self.wanted, LOOK_AHEAD, overlap=True)

    def remarks(self) -> tuple[Note, ...]:
        """How the files that were labelled were read, where that is not literally as 8-bit RGB."""
        return tuple(note for text, names in sorted(self.batches.remarks.items()) for note in Note.of(text, names))

    def _check_segmentation(self) -> None:
        if self._unsegmented:
            raise TagsegError(
                f"{self._model}: its decoder was not trained, as its method trains a classifier alone: score its CAM "
                "with tagseg evaluate RUN --what cam, or train with --method fsr"
            )

    def _one(self, source: Source, name: str, wanted: Wanted) -> Result:
        logits = self.multi_scale.logits(self.network, [self.batches.read(source, name)])
        return self._result(source, label_maps(logits, self.multi_scale.sizing, wanted, self._workspaces)[0])

    def _in_order(self, sources: Iterator[Source], wanted: Wanted, on_error: OnError) -> Iterator[Result]:
        """The results in the order of their photos; those that are ready too early wait."""
        early: dict[int, Result | str] = {}
        following = 0
        try:
            for index, found in self._as_ready(sources, wanted, _AHEAD_IN_ORDER):
                early[index] = found
                while following in early:
                    result = early.pop(following)
                    following += 1
                    if not isinstance(result, str):
                        yield result
                    elif on_error == "raise":
                        raise TagsegError(result)
                    else:
                        logger.warning("skipped: %s", result)
        finally:
            self._tell_remarks()

    def _tell_remarks(self) -> None:
        for note in self.remarks():
            logger.log(logging.WARNING if note.warning else logging.INFO, "%s", note)
        self.batches.remarks.clear()

    def _as_ready(
        self, sources: Iterable[Source], wanted: Wanted, look_ahead: int, overlap: bool = False
    ) -> Iterator[tuple[int, Result | str]]:
        """Each photo's index and its result, or an error message; as they are ready, not in order.

        ``overlap``: results may wait for the next batch, which the photos of a camera would have to wait for.
        """
        device = next(self.network.parameters()).device
        taken: dict[int, Source] = {}  # whose results are not ready yet

        def taking() -> Iterator[Source]:
            for index, source in enumerate(sources):
                taken[index] = source
                yield source

        batches = self.batches.in_batches(
            taking(),
            lambda height, width: self.multi_scale.sizes(height, width, self.network.patch_size),
            lambda group: self.multi_scale.logits(self.network, [photo for _, photo in group]),
            device,
            look_ahead,
        )
        label = self._overlapped if overlap and overlaps(device, wanted) else self._one_after_the_other
        return label(batches, taken, wanted)

    def _one_after_the_other(
        self, batches: Iterator[list[tuple[int, PhotoLogits | str]]], taken: dict[int, Source], wanted: Wanted
    ) -> Iterator[tuple[int, Result | str]]:
        """As many photos as the cores, or one, are labelled and handed out."""
        at_once = photos_at_once(self.network, wanted)
        waiting: dict[int, PhotoLogits] = {}
        for index, logits in chain.from_iterable(batches):
            if isinstance(logits, str):
                del taken[index]
                yield index, logits
                continue
            waiting[index] = logits
            if len(waiting) == at_once:
                yield from self._label_all(waiting, taken, wanted)
                waiting = {}
        yield from self._label_all(waiting, taken, wanted)

    def _overlapped(
        self, batches: Iterator[list[tuple[int, PhotoLogits | str]]], taken: dict[int, Source], wanted: Wanted
    ) -> Iterator[tuple[int, Result | str]]:
        """On a GPU: a batch's results are handed out while the network computes the next batch.

        The next batch's kernels are queued when ``batches`` returns it; what the caller does with the results then
        takes none of the GPU's time. The same results as one after the other, a batch later.
        """
        ready: list[tuple[int, Result | str]] = []
        for batch in batches:
            yield from ready
            ready = [(index, logits) for index, logits in batch if isinstance(logits, str)]
            for index, _ in ready:
                del taken[index]
            photos = [(index, logits) for index, logits in batch if not isinstance(logits, str)]
            for some in in_budget(photos, self.multi_scale.sizing):
                ready += self._label_all(dict(some), taken, wanted)
        yield from ready

    def _label_all(
        self, waiting: dict[int, PhotoLogits], taken: dict[int, Source], wanted: Wanted
    ) -> list[tuple[int, Result | str]]:
        """All of them at once; if that fails, one by one, so that only the photo with the error fails."""
        if not waiting:
            return []
        first = min(waiting)
        work = partial(label_maps, list(waiting.values()), self.multi_scale.sizing, wanted, self._workspaces)
        labelled = attempt(work, source_name(taken[first], first))
        if not isinstance(labelled, str):
            both = zip(waiting, labelled, strict=True)
            return [(index, self._result(taken.pop(index), one)) for index, one in both]
        if len(waiting) == 1:
            del taken[first]
            return [(first, labelled)]
        return [self._label_all({index: logits}, taken, wanted)[0] for index, logits in waiting.items()]

    def _result(self, source: Source, labelled: Labelled) -> Result:
        path = source if isinstance(source, Path) else None
        return Result(labelled.labels, self.names, self.colours, path, labelled.scores, labelled.photo, labelled.plain)


def open_network(model: str | Path | Network, device: str) -> Network:
    """The network in evaluation mode on the device.

    Raises:
        TagsegError: no such model or device.
    """
    place = pick_device(device)
    if not isinstance(model, Network):
        check_path("model", model, "a run folder or .safetensors file (str or Path), or a network")
    network = model if isinstance(model, Network) else load_network(model, device=str(place))
    return network.to(place).eval()


load = Predictor
"""``tagseg.load(RUN_OR_FILE, **settings)``: the name under which other libraries open a model."""

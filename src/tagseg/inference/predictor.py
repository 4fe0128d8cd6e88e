"""Photos in memory or files → label maps; used by ``predict`` and ``evaluate``."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image

from tagseg.arguments import check_kinds, check_path, refuse
from tagseg.data.images import read_image
from tagseg.data.notes import Note
from tagseg.data.pixels import IN_MEMORY, to_rgb
from tagseg.errors import TagsegError
from tagseg.fast.workspace import Workspaces
from tagseg.inference.attempt import attempt
from tagseg.inference.batches import Batches
from tagseg.inference.label_maps import Labelled, Wanted, label_maps, photos_at_once
from tagseg.inference.multi_scale import MultiScale, PhotoLogits
from tagseg.inference.precision import Precision
from tagseg.inference.segment import MAX_SIDE, SCALES, Sizing, pick_device
from tagseg.model.checkpoint import load_network, trained_maps
from tagseg.model.network import Network
from tagseg.pairwise.config import PUBLISHED_CRF, CrfConfig


class Predictor:
    """A network that labels photos: ``Predictor("runs/photos")(photo).labels``.

    Args:
        model: run folder, ``.safetensors`` file or a network (which is put into evaluation mode on ``device``).
        scales: factors of the image size for multi-scale testing.
        mirror: test-time flip augmentation (image and horizontal flip).
        size: side in pixels of a square that photos are resized to for the network; default: native size.
        max_side: longest side of a photo in pixels; larger ones are downsampled for the network. 0: no limit.
        plain: make label maps without a CRF; always on if ``crf`` is off.
        crf: make label maps after a dense CRF.
        crf_settings: the CRF's kernels.
        scores: also return the score of each class at each pixel.
        precision: ``32``, or ``bf16``: matrix products in bfloat16.
        batch: batch size for photos of equal input size; see ``predict``.
        read_ahead: ``label_files`` reads the next photos in the background.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` …

    Attributes:
        network: in evaluation mode on the device.
        classes: names of the K foreground classes; label k+1 is ``classes[k]``.

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
        self._workspaces = Workspaces()
        self._unsegmented = not isinstance(model, Network) and "segmentation" not in trained_maps(model)
        self._model = model

    def __call__(self, photo: UInt8[ndarray, "_H _W 3"] | Image.Image | str | Path) -> Labelled:
        """Label one photo: an RGB array, a Pillow image (its EXIF rotation is not applied) or a file.

        Raises:
            TagsegError: another type or shape, or an unreadable file.
        """
        pixels = _pixels(photo)
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
            raise TagsegError(
                f"a photo is an array of {pixels.dtype} {pixels.shape}, expected uint8 (height, width, 3) in RGB order"
            )
        self._check_segmentation()
        logits = self.multi_scale.logits(self.network, [pixels])
        return label_maps(logits, self.multi_scale.sizing, self.wanted, self._workspaces)[0]

    def label_files(self, images: Sequence[Path]) -> Iterator[tuple[int, Labelled | str]]:
        """Each file's index and its label maps, or an error message; as they are ready, not in order."""
        self._check_segmentation()
        at_once = photos_at_once(self.network, self.wanted)
        waiting: dict[int, PhotoLogits] = {}
        for index, logits in self.batches.each(
            images,
            lambda height, width: self.multi_scale.sizes(height, width, self.network.patch_size),
            partial(self.multi_scale.logits, self.network),
            next(self.network.parameters()).device,
        ):
            if isinstance(logits, str):
                yield index, logits
                continue
            waiting[index] = logits
            if len(waiting) == at_once:
                yield from self._label_all(waiting, images)
                waiting = {}
        yield from self._label_all(waiting, images)

    def remarks(self) -> tuple[Note, ...]:
        """How the files that were labelled were read, where that is not literally as 8-bit RGB."""
        return tuple(note for text, names in sorted(self.batches.remarks.items()) for note in Note.of(text, names))

    def _check_segmentation(self) -> None:
        if self._unsegmented:
            raise TagsegError(
                f"{self._model}: its decoder was not trained, as its method trains a classifier alone: score its CAM "
                "with tagseg evaluate RUN --what cam, or train with --method fsr"
            )

    def _label_all(self, waiting: dict[int, PhotoLogits], images: Sequence[Path]) -> list[tuple[int, Labelled | str]]:
        """All of them at once; if that fails, one by one, so that only the photo with the error fails."""
        if not waiting:
            return []
        work = partial(label_maps, list(waiting.values()), self.multi_scale.sizing, self.wanted, self._workspaces)
        labelled = attempt(work, images[min(waiting)])
        if not isinstance(labelled, str):
            return list(zip(waiting, labelled, strict=True))
        if len(waiting) == 1:
            return [(index, labelled) for index in waiting]
        return [self._label_all({index: logits}, images)[0] for index, logits in waiting.items()]


def _pixels(photo: object) -> ndarray:
    """A photo of any kind as an array.

    Raises:
        TagsegError: another type, or an unreadable photo.
    """
    if isinstance(photo, str | os.PathLike):
        return read_image(Path(photo))
    if isinstance(photo, Image.Image):
        try:
            return np.array(to_rgb(photo, IN_MEMORY)[0])
        except (OSError, SyntaxError, ValueError) as error:
            raise TagsegError(f"a Pillow image cannot be read ({error}), expected a photo") from error
    if not isinstance(photo, ndarray):
        raise refuse("a photo", photo, "a file, a Pillow image, or an array uint8 (height, width, 3) in RGB order")
    return photo


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

"""What a dense CRF is given, checked and brought into one form: probabilities and pictures of the same size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from tagseg.data.pixels import IN_MEMORY, to_rgb
from tagseg.errors import TagsegError
from tagseg.pairwise.config import CrfConfig

Numbers: TypeAlias = Any
"""A tensor or a NumPy array; any other object is refused in one line."""
Pictures: TypeAlias = Any
"""Numbers (B, 3, H, W), a Pillow image, or several of them."""

_SUM_ERROR = 1e-2  # half precision, as score files have it, sums to 1 within this
_DARK = 3.0
"""Floats up to here are taken for colours of 0 to 1, or normalised ones; no photo of 0 to 255 is that dark."""
_FORMS = "uint8 or values from 0 to 255, (B, 3, H, W), or Pillow images"


def crf_input(
    probabilities: Numbers, images: Pictures, config: CrfConfig
) -> tuple[Float[Tensor, "B C H W"], Float[Tensor, "B 3 H W"] | Tensor]:
    """Probabilities (B, C, H, W) and pictures (B, 3, H, W), uint8 or float32 of 0 to 255, of the same size.

    Raises:
        TagsegError: what are no probabilities or no pictures of 0 to 255, other axes, sizes that differ.
    """
    if not isinstance(config, CrfConfig):
        raise TagsegError(f"a dense CRF got {_named(config)} as its config, expected a CrfConfig")
    planes = _as_tensor(probabilities, "probabilities", "a tensor or an array (B, C, H, W)")
    if planes.ndim != 4:
        hint = ": add the batch axis with probabilities[None]" if planes.ndim == 3 else ""
        raise TagsegError(f"a dense CRF got probabilities {_shape(planes)}, expected (B, C, H, W){hint}")
    if planes.dtype not in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        planes = planes.float()
    pictures = _pictures(images)
    check_input(planes, len(pictures), pictures.shape[2], pictures.shape[3])
    return planes, _of_255(pictures)


def check_input(probabilities: Float[Tensor, "B C H W"], images: int, height: int, width: int) -> None:
    """Raise ``TagsegError`` unless there is a probability for each class and pixel of so many images of this size."""
    count, _, rows, columns = probabilities.shape
    if (count, rows, columns) != (images, height, width):
        ours, theirs = f"{count} of {columns} x {rows} pixels", f"{images} of {width} x {height}"
        turned = (rows, columns) == (width, height)
        way_out = ": turn one of them with transpose(2, 3)" if turned and rows != columns else ""
        raise TagsegError(f"a dense CRF got probabilities for {ours} and images: {theirs}, expected the same{way_out}")
    if not probabilities.numel():
        raise TagsegError(f"a dense CRF got probabilities of size {tuple(probabilities.shape)}, expected some pixels")
    if not torch.isfinite(probabilities).all():
        raise TagsegError("a dense CRF got probabilities that are not finite (NaN or infinite): check the network")
    if probabilities.amin() < 0:
        raise TagsegError(
            f"a dense CRF got a probability of {probabilities.amin():.3g}, expected 0 to 1: take the logits' softmax"
        )
    total = probabilities.float().sum(dim=1)
    off = (total - 1).abs().amax()
    if off > _SUM_ERROR:
        worst = total.flatten()[(total - 1).abs().argmax()]
        raise TagsegError(
            f"a dense CRF got probabilities that sum to {worst:.3g} in a pixel, expected 1: take the logits' softmax"
        )


def _pictures(images: Pictures) -> Tensor:
    """Any pictures as a tensor (B, 3, H, W)."""
    if isinstance(images, Image.Image):
        images = [images]
    if isinstance(images, list | tuple) and images and all(isinstance(one, Image.Image) for one in images):
        return _stacked(images)
    pictures = _as_tensor(images, "images", _FORMS)
    if pictures.ndim == 4 and pictures.shape[1] == 1:
        pictures = pictures.expand(-1, 3, -1, -1)  # grey
    if pictures.ndim == 4 and pictures.shape[1] == 3:
        return pictures
    if pictures.ndim == 3 and 3 in (pictures.shape[0], pictures.shape[2]):
        hint = "[None]" if pictures.shape[0] == 3 else "[None].permute(0, 3, 1, 2)"
        hint = f": add the batch axis with images{hint}"
    elif pictures.ndim == 4 and pictures.shape[3] in (3, 4):
        hint = ", channels before pixels: images.permute(0, 3, 1, 2)"
    elif pictures.ndim == 4 and pictures.shape[1] == 4:
        hint = ": leave out the fourth channel, e.g. transparency, with images[:, :3]"
    else:
        hint = ", the channels red, green and blue"
    raise TagsegError(f"a dense CRF got images {_shape(pictures)}, expected (B, 3, H, W){hint}")


def _stacked(images: Sequence[Image.Image]) -> Tensor:
    sizes = {image.size for image in images}
    if len(sizes) > 1:
        some = " and ".join(f"{width} x {height}" for width, height in sorted(sizes)[:2])
        raise TagsegError(f"a dense CRF got images of {some} pixels, expected one size: call it for each")
    try:
        arrays = [np.array(to_rgb(image, IN_MEMORY)[0]) for image in images]
    except (OSError, SyntaxError, ValueError) as error:
        raise TagsegError(f"a dense CRF got a Pillow image that cannot be read ({error}), expected a photo") from error
    return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2)


def _of_255(pictures: Tensor) -> Tensor:
    """Pictures as uint8 or float32, after a check that their values are 0 to 255."""
    if pictures.dtype == torch.uint8:
        return pictures
    if pictures.dtype == torch.bool:
        raise TagsegError(f"a dense CRF got images of true and false, expected {_FORMS}")
    values = pictures.flatten(1).to(torch.float64 if pictures.dtype == torch.float64 else torch.float32)
    if not torch.isfinite(values).all():
        raise TagsegError(f"a dense CRF got images that are not finite (NaN or infinite), expected {_FORMS}")
    low, most = float(values.amin()), values.amax(dim=1)
    if low < 0 or float(most.amax()) > 255:
        span = f"{low:.4g} to {float(most.amax()):.4g}"
        hint = "undo their normalisation" if low < 0 else "scale or clamp them"
        raise TagsegError(f"a dense CRF got images of values from {span}, expected {_FORMS}: {hint}")
    dark = most[(most > 0) & (most <= _DARK)]
    if pictures.is_floating_point() and len(dark):
        span = f"floats from {low:.3g} to {float(dark.amax()):.3g}"
        way_out = "multiply 0 to 1 by 255, or give a picture that dark as uint8"
        raise TagsegError(f"a dense CRF got an image of {span}, expected 0 to 255: {way_out}")
    return pictures.to(torch.float32 if pictures.is_floating_point() else torch.uint8)


def _as_tensor(values: Any, name: str, expected: str) -> Tensor:
    """A dense tensor of real numbers, from a tensor or an array."""
    if isinstance(values, np.ndarray):
        values = _from_numpy(values)
    if not isinstance(values, Tensor):
        raise TagsegError(f"a dense CRF got {_named(values)} as {name}, expected {expected}")
    if values.is_complex() or values.layout != torch.strided or values.is_quantized or values.device.type == "meta":
        what = f"a tensor of {values.dtype}, {values.layout}, on {values.device}"
        raise TagsegError(f"a dense CRF got {name} as {what}, expected real numbers: {expected}")
    return values.detach()


def _from_numpy(array: np.ndarray) -> Tensor | str:
    """An array of any real type as a tensor; a description of any other."""
    kind = array.dtype.kind
    if kind == "f":
        return torch.from_numpy(np.array(array, np.float32 if array.dtype.itemsize <= 4 else np.float64))
    if kind in "ui":
        small = array.dtype == np.uint8
        if kind == "u" and array.dtype.itemsize == 8:
            array = np.minimum(array, np.uint64(np.iinfo(np.int64).max))  # which is refused as well
        return torch.from_numpy(np.array(array, np.uint8 if small else np.int64))
    return torch.from_numpy(np.array(array)) if kind == "b" else f"an array of {array.dtype}"


def _named(value: object) -> str:
    return value if isinstance(value, str) and value.startswith("an array") else f"a {type(value).__name__}"


def _shape(values: Tensor) -> str:
    return f"of shape {tuple(values.shape)}"

"""Tensors from weight files, read without executing anything they hold."""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from tagseg.errors import TagsegError


def refuse_packed(path: Path) -> None:
    """Raise ``ValueError`` for a PyTorch file whose parts are compressed, which PyTorch writes none of, but unpacks.

    A few kilobytes could fill the memory.
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            packed = next((each for each in archive.infolist() if each.compress_type != zipfile.ZIP_STORED), None)
        if packed is not None:
            raise ValueError(f"its part {packed.filename} is compressed, which PyTorch's own are not: save it again")


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read tensors from a ``.safetensors`` file or a PyTorch checkpoint, without executing anything it holds.

    A PyTorch checkpoint may wrap its tensors in ``model``, ``state_dict`` or ``student``.

    Raises:
        TagsegError: missing, unreadable, or not made of tensors.
    """
    if not path.is_file():
        raise TagsegError(f"{path}: no such file, expected weights (.safetensors or .pth)")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        refuse_packed(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on what a damaged file claims to be: it ends in an error
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # safetensors and pickle raise many kinds
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise TagsegError(f"{path}: not a readable weights file ({reason}), expected .safetensors or .pth") from error
    for key in ("model", "state_dict", "student"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict) or not any(isinstance(v, Tensor) for v in state.values()):
        raise TagsegError(f"{path}: holds no named tensors, expected a state dict")
    return {name.removeprefix("module."): value for name, value in state.items() if isinstance(value, Tensor)}

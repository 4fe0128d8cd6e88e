"""The widely used ``cls_labels_onehot.npy``: a pickled dict of tags, read without executing code from the file."""

from __future__ import annotations

import io
import pickle
import pickletools
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray

from tagseg.data.file_size import read_whole
from tagseg.errors import TagsegError


class _Dtype:
    """Replaces ``numpy.dtype`` in a pickle; numbers, text and objects only."""

    def __init__(self, code: str, *_: object) -> None:
        if not re.fullmatch(r"[biufSU]\d+|O8?", code):
            raise pickle.UnpicklingError(f"it holds arrays of {code!r}")
        self.code = code
        self.byte_order = "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.byte_order = state[1]

    def values(self, data: Any, shape: tuple[int, ...], order: str = "C") -> ndarray | list[Any]:
        """The content of an array; a list if it holds objects."""
        if self.code.startswith("O"):
            return list(data)
        return np.frombuffer(data, np.dtype(self.byte_order + self.code)).reshape(shape, order=order)  # type: ignore[call-overload]


class _Array:
    """Replaces ``numpy.ndarray``; its content comes with the state."""

    def __init__(self, *_: object) -> None:
        self.content: ndarray | list[Any] = []

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, fortran, data = state
        self.content = dtype.values(data, shape, "F" if fortran else "C")


def _scalar(dtype: _Dtype, data: bytes) -> Any:
    return dtype.values(data, (1,))[0]


def _from_buffer(data: Any, dtype: _Dtype, shape: tuple[int, ...], order: str) -> _Array:
    array = _Array()
    array.content = dtype.values(data, shape, order)
    return array


_NUMPY_1_AND_2 = ("numpy.core", "numpy._core")
_STAND_INS: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): lambda text, _: text.encode("latin1"),
    **{(f"{core}.multiarray", "_reconstruct"): _Array for core in _NUMPY_1_AND_2},
    **{(f"{core}.multiarray", "scalar"): _scalar for core in _NUMPY_1_AND_2},
    **{(f"{core}.numeric", "_frombuffer"): _from_buffer for core in _NUMPY_1_AND_2},
}
"""Everything that a pickle of arrays refers to, replaced by the code above. No function that the file names is called.
Neither is numpy's own unpickling, which trusts its input."""


class _ArrayUnpickler(pickle.Unpickler):
    """Reads arrays, numbers, text and containers; refuses a file that refers to anything else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _STAND_INS:
            raise pickle.UnpicklingError(f"it refers to {module}.{name}")
        return _STAND_INS[module, name]


def read_onehot(path: Path, classes: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Read a ``.npy`` file that holds a dict of image id → array (K,) of 0 and 1, in the order of the classes.

    Returns:
        Image id → class names.

    Raises:
        TagsegError: the file is damaged, has another content, or refers to anything but arrays.
    """
    expected = f"expected a dict of image id → array of {len(classes)} zeros and ones"
    try:
        table = _load(path)
        tags = {_key(key): _names(value, classes) for key, value in table.items()}
    except Exception as error:  # a damaged pickle raises nearly anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise TagsegError(f"{path} cannot be read ({reason}), {expected}: set --data.tags to xml or a CSV") from error
    return tags


def _load(path: Path) -> dict[Any, Any]:
    with io.BytesIO(read_whole(path, "a dict of arrays")) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a header of Python 2, which is read just as well
        version = np.lib.format.read_magic(file)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read_header(file)
        if shape != () or not dtype.hasobject:
            raise ValueError(f"it holds an array of {dtype} of shape {shape}")
        begin, size = file.tell(), file.getbuffer().nbytes
        for opcode, index, _ in pickletools.genops(file):  # also raises where a text claims to be longer than the file
            if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT") and int(index or 0) > size:
                raise ValueError("a place in memory beyond its size")
        file.seek(begin)
        content = _ArrayUnpickler(file).load()
    if isinstance(content, _Array) and len(content.content) == 1:
        content = content.content[0]
    if not isinstance(content, dict):
        raise ValueError(f"it holds a {type(content).__name__}")
    return content


def _key(key: Any) -> str:
    return key.decode() if isinstance(key, bytes) else str(int(key) if isinstance(key, float | np.floating) else key)


def _names(onehot: Any, classes: tuple[str, ...]) -> tuple[str, ...]:
    values = np.asarray(onehot.content if isinstance(onehot, _Array) else onehot)
    values = values.reshape(-1) if values.size == max(values.shape, default=0) else values  # (1, K)
    if values.shape != (len(classes),) or not np.isin(values, (0, 1)).all():
        raise ValueError(f"a row has the shape {values.shape} or values other than 0 and 1")
    return tuple(name for name, present in zip(classes, values, strict=True) if present)

"""The formats of ``export``: name → how a graph is written, and how the written file is run."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from jaxtyping import UInt8
from numpy import ndarray

from tagseg.errors import TagsegError
from tagseg.exporting.graph import ExportGraph
from tagseg.exporting.parity import Run, Tolerance


@runtime_checkable
class Photos(Protocol):
    """Photos to compare (and to calibrate) an exported network on; they are read anew by each iteration."""

    def __len__(self) -> int:
        """Number of photos, one at least."""
        ...

    def __iter__(self) -> Iterator[UInt8[ndarray, "_H _W 3"]]:
        """RGB of each photo."""
        ...


@dataclass(frozen=True)
class Job:
    """What a writer is given.

    Attributes:
        graph: to be written.
        folder: where to write; what stands there under its final name was written by this export for another format.
        about: facts to keep in the file, JSON (``about.py``).
        photos: to calibrate on, where a format needs that.
        opset: of ONNX.
    """

    graph: ExportGraph
    folder: Path
    about: dict[str, Any]
    photos: Photos
    opset: int


@dataclass(frozen=True)
class ExportFormat:
    """A format.

    Attributes:
        files: names of its files; the first is the one to open.
        write: writes all of them to ``job.folder``; returns facts for ``export.json``, e.g. the opset.
        open: a function that runs a written file, given the path of the first.
        needs: modules it imports that plain tagseg does not install.
        extra: name of the extra that installs them.
        tolerance: what its parity check must keep.
    """

    files: tuple[str, ...]
    write: Callable[[Job], dict[str, Any]]
    open: Callable[[Path], Run]
    needs: tuple[str, ...] = ()
    extra: str = "export"
    tolerance: Tolerance = field(default_factory=Tolerance)
    warn_below: float = 0.0
    """Share of equal labels, 0 to 1, below which people are warned of what the format costs."""


def _formats() -> dict[str, ExportFormat]:
    from tagseg.exporting import float16, int8, onnx, openvino, torch_export

    needs = ("onnx", "onnxscript", "onnxruntime")
    return {
        "onnx": ExportFormat(("model.onnx",), onnx.write, onnx.open_file, needs),
        "torch": ExportFormat(("model.pt2",), torch_export.write, torch_export.open_file),
        "onnx-float16": ExportFormat(
            (float16.FILE,), float16.write, onnx.open_file, needs, tolerance=Tolerance(math.inf, 0.99)
        ),
        "onnx-int8": ExportFormat(
            (int8.FILE,), int8.write, onnx.open_file, needs, tolerance=Tolerance(math.inf, 0.8), warn_below=0.98
        ),
        "openvino": ExportFormat(
            openvino.FILES, openvino.write, openvino.open_file, ("onnx", "onnxscript", "openvino"), "export,openvino"
        ),
    }


FORMATS: dict[str, ExportFormat] = _formats()
"""By name. A format more is a file here with its writer and a line above."""


def chosen(names: str | Sequence[str]) -> dict[str, ExportFormat]:
    """The formats of names, commas between them or in a sequence, in the order given, each once.

    Raises:
        TagsegError: an unknown name, or none.
    """
    listed = [names] if isinstance(names, str) else list(names)
    flat = [part.strip() for name in listed for part in str(name).split(",") if part.strip()]
    unknown = [name for name in flat if name not in FORMATS]
    if unknown or not flat:
        raise TagsegError(f"format is {', '.join(unknown) or 'empty'}, expected one or more of: {', '.join(FORMATS)}")
    return {name: FORMATS[name] for name in dict.fromkeys(flat)}

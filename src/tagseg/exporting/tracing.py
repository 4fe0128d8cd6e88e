"""A graph of PyTorch operations from an ``ExportGraph``, by ``torch.export``."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jaxtyping
import torch
from torch.export import Dim, ExportedProgram

from tagseg.errors import TagsegError
from tagseg.exporting.graph import FEWEST_PATCHES, INPUT, ExportGraph

ANY_SIZE_SINCE = (2, 11)
"""The PyTorch since which graphs of any size were tested; 2.7 fixes the batch of the example and says so."""


def check_traceable(size: int | None) -> None:
    """Raise ``TagsegError`` where this PyTorch cannot trace a graph of any size (``size`` is ``None``)."""
    version = tuple(int(part) for part in torch.__version__.split(".")[:2])
    if size is None and version < ANY_SIZE_SINCE:
        since = ".".join(map(str, ANY_SIZE_SINCE))
        raise TagsegError(
            f"a graph of any size needs PyTorch {since} or newer, and this is {torch.__version__}: give --size N, a "
            "fixed size, or install a newer PyTorch"
        )


def traced(graph: ExportGraph) -> ExportedProgram:
    """The graph as operations, without what tells of the machine it was traced on.

    Raises:
        TagsegError: the encoder cannot be traced.
    """
    check_traceable(graph.size)
    try:
        with quietly(), _sizes_stay_symbols(graph):
            program = torch.export.export(graph, (graph.example(),), dynamic_shapes=_shapes(graph), strict=False)
    except Exception as error:  # torch.export raises errors of many kinds
        raise cannot(graph, "traced by torch.export", error) from error
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # names files of this machine
    return program


def cannot(graph: ExportGraph, what: str, error: Exception, other: str = "") -> TagsegError:
    """The error of an encoder that an exporter does not take; ``other`` is a way out to try first."""
    ways = [other, "--size N, a fixed size," if graph.size is None else "", "a newer PyTorch"]
    way_out = f"try {' or '.join(filter(None, ways))}"
    first = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
    encoder = graph.network.config.encoder
    return TagsegError(f"{encoder} cannot be {what} ({type(error).__name__}: {first}): {way_out}")


def _shapes(graph: ExportGraph) -> dict[str, dict[int, Any]] | None:  # ``Dim`` is a function in PyTorch 2.7
    """Which sizes are free: batch, and rows and columns of patches."""
    if graph.size is not None:
        return None
    rows, columns = (graph.patch * Dim(name, min=FEWEST_PATCHES) for name in ("rows", "columns"))
    return {INPUT: {0: Dim("batch"), 1: rows, 2: columns}}


@contextmanager
def _sizes_stay_symbols(graph: ExportGraph) -> Iterator[None]:
    """Inside, nothing makes a number of a symbolic size: that would fix the size of the example for good, silently.

    Where shapes are checked at run time (jaxtyping, in the tests), the checks pause. And timm's rotary positions call
    ``float`` on a size: their module gets PyTorch's ``sym_float`` under that name, which leaves other numbers floats.
    """
    rotary = graph.network.encoder.rotary
    names = vars(sys.modules[type(rotary.rope).__module__]) if rotary and graph.size is None else {}
    names["float"] = torch.sym_float
    checks = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", checks)
        del names["float"]


@contextmanager
def quietly() -> Iterator[None]:
    """Inside, exporters do not log their steps and warnings: the parity check says whether they succeeded."""
    names = [name for name in ("torch", "onnxscript", "onnx_ir") for name in (name, *_loggers_below(name))]
    before = {name: logging.getLogger(name).level for name in names}
    try:
        for name in names:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)


def _loggers_below(name: str) -> list[str]:
    return [known for known in logging.Logger.manager.loggerDict if known.startswith(f"{name}.")]

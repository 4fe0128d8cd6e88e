"""ONNX: one file with its weights inside, by PyTorch's dynamo exporter."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from numpy import ndarray

from tagseg.errors import TagsegError
from tagseg.exporting.graph import INPUT, LOGITS, ExportGraph
from tagseg.exporting.tracing import cannot, quietly, traced

if TYPE_CHECKING:
    from tagseg.exporting.formats import Job
    from tagseg.exporting.parity import Run

FILE = "model.onnx"
METADATA = "tagseg"
"""Key of the description, JSON, among the metadata of the file."""
OPSETS = (18, 20)
"""Lowest and highest opset that were tested."""
_MOST_BYTES = 2_000_000_000
"""A protobuf file has at most 2 GiB."""


def write(job: Job) -> dict[str, Any]:
    """Write ``model.onnx``; returns its opset.

    Raises:
        TagsegError: the network is too large for one file, or cannot be exported.
    """
    float32_file(job)
    return {"opset": job.opset}


def float32_file(job: Job) -> Path:
    """``model.onnx`` in the job's folder, which is written unless it is there: other formats are made of it."""
    path = job.folder / FILE
    if not path.is_file():
        _export(job.graph, path, job.about, job.opset)
    return path


def _export(graph: ExportGraph, path: Path, about: Mapping[str, Any], opset: int) -> None:
    size = sum(tensor.nbytes for tensor in graph.state_dict().values())
    if size > _MOST_BYTES:
        raise TagsegError(
            f"the network has {size / 1e9:.1f} GB of weights, expected at most {_MOST_BYTES / 1e9:.0f} GB for one ONNX "
            "file: take --format torch, or train with a smaller encoder"
        )
    program = traced(graph)
    try:
        with quietly():
            result = torch.onnx.export(
                program, dynamo=True, input_names=[INPUT], output_names=list(graph.outputs), opset_version=opset,
                external_data=False, verbose=False,
            )  # fmt: skip
    except Exception as error:  # the exporter raises errors of many kinds
        other = f"--opset {OPSETS[0]}" if opset != OPSETS[0] else ""
        raise cannot(graph, f"exported to ONNX opset {opset}", error, other) from error
    assert result is not None
    result.save(path, external_data=False)
    _describe(path, graph, about, opset)


def _describe(path: Path, graph: ExportGraph, about: Mapping[str, Any], opset: int) -> None:
    """Put the description into the file; leave out what tells of the machine it was made on; check the opset."""
    import onnx

    model = onnx.load(path)
    found = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    if found != opset:
        raise TagsegError(
            f"this PyTorch wrote ONNX opset {found}, expected {opset}: take --opset {found}, or a newer PyTorch"
        )
    for part in (*model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output):
        del part.metadata_props[:]
    for function in model.functions:
        for node in function.node:
            del node.metadata_props[:]
    del model.metadata_props[:], model.graph.metadata_props[:]
    model.graph.name, model.doc_string = "tagseg", ""
    entry = model.metadata_props.add()
    entry.key, entry.value = METADATA, json.dumps(about)
    onnx.checker.check_model(model, full_check=False)
    onnx.save(model, path)


def open_file(path: Path) -> Run:
    """The file, run by onnxruntime on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # its warnings are about speed
    options.intra_op_num_threads = min(torch.get_num_threads(), os.cpu_count() or 1)
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def run(image: ndarray) -> ndarray:
        logits: ndarray = session.run([LOGITS], {INPUT: image})[0]
        return logits

    return run

"""OpenVINO's own format, by its converter: ``model.xml`` and its weights, ``model.bin``, in float32."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from numpy import ndarray

from tagseg.exporting.graph import LOGITS
from tagseg.exporting.onnx import float32_file

if TYPE_CHECKING:
    from tagseg.exporting.formats import Job
    from tagseg.exporting.parity import Run

FILES = ("model.xml", "model.bin")


def write(job: Job) -> dict[str, Any]:
    """Write both files; returns the version of OpenVINO.

    Raises:
        TagsegError: the network cannot be exported.
    """
    import openvino

    model = openvino.convert_model(float32_file(job))
    openvino.save_model(model, job.folder / FILES[0], compress_to_fp16=False)
    return {"openvino": openvino.__version__.split("-")[0]}


def open_file(path: Path) -> Run:
    """The file, run by OpenVINO on the CPU in float32, with as many threads as PyTorch has."""
    import openvino

    settings = {"INFERENCE_NUM_THREADS": torch.get_num_threads(), "INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(path, "CPU", settings)

    def run(image: ndarray) -> ndarray:
        logits: ndarray = compiled({0: image})[LOGITS]
        return logits

    return run

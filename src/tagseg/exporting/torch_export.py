"""``torch.export``: a ``.pt2`` file that PyTorch runs without tagseg and timm."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from numpy import ndarray

from tagseg.exporting.tracing import quietly, traced

if TYPE_CHECKING:
    from tagseg.exporting.formats import Job
    from tagseg.exporting.parity import Run

FILE = "model.pt2"
DESCRIPTION = "tagseg.json"
"""Name of the description among the extra files of the archive."""


def write(job: Job) -> dict[str, Any]:
    """Write ``model.pt2``; returns the version of PyTorch that older ones may not read.

    Raises:
        TagsegError: the network cannot be traced.
    """
    program = traced(job.graph)
    with quietly():
        content = io.BytesIO()  # PyTorch, writing itself, ends the process where the disk is full
        torch.export.save(program, content, extra_files={DESCRIPTION: json.dumps(job.about)})
    (job.folder / FILE).write_bytes(content.getbuffer())
    return {"torch": torch.__version__.split("+")[0]}


def open_file(path: Path) -> Run:
    """The file, run by PyTorch on the CPU."""
    with quietly():
        module = torch.export.load(path).module()

    @torch.inference_mode()
    def run(image: ndarray) -> ndarray:
        outputs = module(torch.from_numpy(image))
        logits: ndarray = (outputs if isinstance(outputs, torch.Tensor) else outputs[0]).numpy()
        return logits

    return run

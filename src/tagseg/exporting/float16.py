"""ONNX in half precision: half the size; input and output stay float32."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tagseg.exporting.onnx import float32_file

if TYPE_CHECKING:
    from tagseg.exporting.formats import Job

FILE = "model.float16.onnx"
KEPT = ("Resize", "Softmax", "ReduceMean", "Exp", "Log")
"""Operations that stay float32 beside those that must: sums over all patches, and what resizes positions and logits."""


def write(job: Job) -> dict[str, Any]:
    """Write ``model.float16.onnx``; returns its opset and what stays float32.

    Raises:
        TagsegError: the network cannot be exported.
    """
    import onnx
    from onnxruntime.transformers import float16

    model = float16.convert_float_to_float16(
        onnx.load(float32_file(job)), keep_io_types=True, op_block_list=[*float16.DEFAULT_OP_BLOCK_LIST, *KEPT]
    )
    onnx.save(model, job.folder / FILE)
    return {"opset": job.opset, "float32_operations": list(KEPT)}

"""ONNX with 8-bit products of weights, by onnxruntime's static quantisation, calibrated on photos.

Weights have a scale for each output channel, activations one range each, which calibration finds. What is quantised was
chosen by measurement (docs/export.md): the linear layers of the blocks and the convolutions of the decoder. The patch
embedding, products of two activations (attention), softmax, normalisations and the tag prior stay float32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tagseg.errors import TagsegError
from tagseg.exporting.graph import INPUT, ExportGraph
from tagseg.exporting.onnx import float32_file
from tagseg.exporting.photos import RandomImages

if TYPE_CHECKING:
    from numpy import ndarray

    from tagseg.exporting.formats import Job, Photos

FILE = "model.int8.onnx"
QUANTISED = ("MatMul", "Conv")
"""Operations that become 8-bit where one factor is a weight."""


def write(job: Job) -> dict[str, Any]:
    """Write ``model.int8.onnx``; returns its opset and what was quantised on how many photos.

    Raises:
        TagsegError: the network cannot be exported, or there is no photo to calibrate on.
    """
    import onnx
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.quant_utils import add_pre_process_metadata

    if isinstance(job.photos, RandomImages):
        raise TagsegError(
            f"{FILE} needs photos to calibrate on and none is at hand, expected some like those it will see: name them "
            "with --photos FOLDER"
        )
    model = onnx.load(float32_file(job))
    kept = list(model.metadata_props)
    add_pre_process_metadata(model)  # the exporter has folded constants already; otherwise a warning says to do it
    quantize_static(
        model, job.folder / FILE, _reader(job.graph, job.photos), quant_format=QuantFormat.QDQ, per_channel=True,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, calibrate_method=CalibrationMethod.MinMax,
        op_types_to_quantize=list(QUANTISED), nodes_to_exclude=_kept_float(model),
    )  # fmt: skip
    written = onnx.load(job.folder / FILE)
    del written.metadata_props[:]
    written.metadata_props.extend(kept)
    written.producer_name = model.producer_name
    onnx.save(written, job.folder / FILE)
    count = sum(node.op_type == "DequantizeLinear" for node in written.graph.node)
    return {"opset": job.opset, "quantised_operations": list(QUANTISED), "calibration_photos": len(job.photos),
            "quantised_tensors": count}  # fmt: skip


def _kept_float(model: Any) -> list[str]:
    """Names of the products of which neither factor is a weight, and of the first convolution, the patch embedding."""
    weights = {weight.name for weight in model.graph.initializer}
    products = [node for node in model.graph.node if node.op_type == "MatMul"]
    embedding = next(node.name for node in model.graph.node if node.op_type == "Conv")
    return [embedding, *(node.name for node in products if not weights.intersection(node.input))]


def _reader(graph: ExportGraph, photos: Photos) -> Any:
    """The photos as onnxruntime's calibration reads them."""
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.left = iter(photos)

        def get_next(self) -> dict[str, ndarray] | None:
            """The next photo as input; ``None`` at the end."""
            photo = next(self.left, None)
            return None if photo is None else {INPUT: graph.input_of(photo)}

    return Reader()

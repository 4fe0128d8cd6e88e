"""Other precisions and runtimes: what is stored how, what stays float32, and that it still labels the same."""

import json
from collections import Counter

import numpy as np
import pytest

from tagseg.exporting.export import ABOUT, export
from tagseg.exporting.formats import FORMATS, ExportFormat
from tagseg.exporting.parity import Tolerance

from ..conftest import assert_refused

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def precise(run_folder, tagged_folder, tmp_path_factory):
    """The tiny network at one size, in float32, float16 and int8."""
    names = "onnx,onnx-float16,onnx-int8"
    return export(run_folder, tmp_path_factory.mktemp("precise"), format=names, size=32, quiet=True)


def weights_of(path):
    return Counter(onnx.TensorProto.DataType.Name(weight.data_type) for weight in onnx.load(path).graph.initializer)


def interface_of(path):
    graph = onnx.load(path).graph
    return [(value.name, value.type.tensor_type.elem_type) for value in (*graph.input, *graph.output)]


def test_input_and_output_stay_float32(precise):
    for files in precise.files.values():
        assert interface_of(files[0]) == [("image", onnx.TensorProto.FLOAT), ("logits", onnx.TensorProto.FLOAT)]


def test_float16_stores_half(precise):
    full, half = (precise.files[name][0] for name in ("onnx", "onnx-float16"))
    assert weights_of(half)["FLOAT16"] > 10 * weights_of(half)["FLOAT"]
    assert half.stat().st_size < 0.65 * full.stat().st_size
    assert precise.parity["onnx-float16"].equal_labels > 0.99
    assert 0 < precise.parity["onnx-float16"].max_difference < 0.05


def test_int8_has_every_linear_layer_and_no_product_of_activations(precise):
    graph = onnx.load(precise.files["onnx-int8"][0]).graph
    source = onnx.load(precise.files["onnx"][0]).graph
    weights = {weight.name for weight in source.initializer}
    linear = [n.name for n in source.node if n.op_type == "MatMul" and any(name in weights for name in n.input)]
    assert len(linear) == 4 * 4  # of four blocks: queries with keys and values, projection, two of the MLP
    dequantised = {name for node in graph.node if node.op_type == "DequantizeLinear" for name in node.output}
    embedding = next(node.name for node in source.node if node.op_type == "Conv")
    quantised = [node.name for node in graph.node if dequantised.issuperset(node.input[:2]) and len(node.input) > 1]
    convolutions = [node.name for node in source.node if node.op_type == "Conv"]
    assert {name.removesuffix("_quant") for name in quantised} == {*linear, *convolutions} - {embedding}
    assert len(convolutions) == 4  # the patch embedding and LargeFOV
    assert not any(
        dequantised & {*node.input} for node in graph.node if node.op_type in ("Softmax", "LayerNormalization")
    )


def test_int8_has_a_scale_for_each_channel(precise):
    graph = onnx.load(precise.files["onnx-int8"][0]).graph
    sizes = [int(np.prod(w.dims)) for w in graph.initializer if w.name.endswith("_scale")]
    assert max(sizes) == 4 * 48  # of the MLP


def test_int8_labels_nearly_the_same(precise):
    parity = precise.parity["onnx-int8"]
    assert parity.real
    assert 0.9 < parity.equal_labels < 1
    about = json.loads((precise.folder / ABOUT).read_text())
    assert about["files"]["onnx-int8"]["calibration_photos"] == parity.photos == 2
    assert about["parity"]["onnx-int8"]["tolerance"] == {"max_difference": None, "equal_labels": 0.8}


def test_files_describe_themselves(precise):
    for files in precise.files.values():
        (entry,) = onnx.load(files[0]).metadata_props
        assert (entry.key, json.loads(entry.value)["format"]) == ("tagseg", "tagseg-export-1")


def test_int8_is_not_calibrated_on_random_images(tiny, tmp_path):
    assert_refused(
        lambda: export(tiny, tmp_path, format="onnx-int8", size=32, quiet=True),
        "needs photos to calibrate on",
        "--photos",
    )
    assert not (tmp_path / "model.int8.onnx").exists()


def test_openvino(run_folder, tmp_path):
    pytest.importorskip("openvino")
    result = export(run_folder, tmp_path, format="openvino", size=32, quiet=True)
    assert [path.name for path in result.files["openvino"]] == ["model.xml", "model.bin"]
    assert result.parity["openvino"].within(Tolerance())
    assert str(tmp_path) not in (tmp_path / "model.xml").read_text()


def test_a_format_that_costs_much_is_warned_of(tiny, run_folder, tmp_path, monkeypatch, caplog):
    """Here one that gives other logits half of the time."""

    def write(job):
        (job.folder / "bad.bin").write_bytes(b"x")
        return {}

    def open_file(path):
        return lambda image: np.zeros((1, 4, image.shape[1] // 8, image.shape[2] // 8), np.float32)

    bad = ExportFormat(("bad.bin",), write, open_file, tolerance=Tolerance(np.inf, 0.0), warn_below=0.98)
    monkeypatch.setitem(FORMATS, "bad", bad)
    result = export(run_folder, tmp_path, format="bad", size=32, quiet=True)
    assert result.parity["bad"].equal_labels < 0.98
    warning = json.loads((tmp_path / ABOUT).read_text())["files"]["bad"]["warning"]
    assert f"{100 - 100 * result.parity['bad'].equal_labels:.1f} % of the labels differ" in warning
    assert f"bad.bin: {warning}" in caplog.text
    assert warning in (tmp_path / "README.md").read_text()

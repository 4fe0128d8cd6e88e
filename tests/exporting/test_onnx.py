"""What is in an ONNX file, as onnx and onnxruntime read it, without tagseg."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from tagseg.errors import TagsegError
from tagseg.exporting.about import about_of
from tagseg.exporting.formats import Job
from tagseg.exporting.graph import ExportGraph
from tagseg.exporting.onnx import METADATA, open_file, write
from tagseg.exporting.parity import Tolerance, check
from tagseg.exporting.photos import RandomImages, random_images

from .conftest import any_size
from .test_graph import FAMILIES, family, images_of, logits_of

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.slow


def written(network, folder, opset=20, **options):
    graph = ExportGraph(network, **options)
    facts = write(Job(graph, folder, about_of(graph), RandomImages(()), opset))
    return graph, facts, folder / "model.onnx"


def test_one_file_of_any_size_and_batch(exported, tiny):
    path = exported.files["onnx"][0]
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (given,), (result,) = session.get_inputs(), session.get_outputs()
    assert (given.name, given.type, given.shape[3]) == ("image", "tensor(float)", 3)
    assert all(isinstance(side, str) for side in given.shape[:3])
    assert result.name == "logits"
    for rows, columns, batch in ((3, 5, 1), (2, 2, 1), (9, 4, 3)):
        images = images_of(tiny, rows, columns, batch)
        logits = session.run(["logits"], {"image": images.numpy()})[0]
        np.testing.assert_allclose(logits, logits_of(tiny, images).numpy(), atol=1e-4)
    assert sorted(file.name for file in path.parent.iterdir()) == [
        "README.md", "export.json", "model.onnx", "model.pt2", "model.safetensors",
    ]  # fmt: skip


def test_it_describes_itself_and_names_no_machine(exported):
    path = exported.files["onnx"][0]
    model = onnx.load(path)
    (entry,) = model.metadata_props
    about = json.loads((path.parent / "export.json").read_text())
    described = json.loads(entry.value)
    assert entry.key == METADATA
    assert described["preprocessing"] == about["preprocessing"]
    assert described["classes"] == about["classes"]
    assert next(one.version for one in model.opset_import if not one.domain) == about["files"]["onnx"]["opset"] == 20
    content = path.read_bytes()
    for place in (str(Path(__file__).parents[2]), "site-packages", "graph.py", str(path.parent)):
        assert place.encode() not in content


def test_a_fixed_size_with_a_label_map(tiny, tmp_path):
    _, facts, path = written(tiny, tmp_path, opset=18, size=32, labels=True)
    assert facts == {"opset": 18}
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape == [1, 32, 32, 3]
    images = images_of(tiny, 4, 4)
    logits, labels = session.run(None, {"image": images.numpy()})
    np.testing.assert_allclose(logits, logits_of(tiny, images).numpy(), atol=1e-4)
    assert labels.dtype == np.uint8
    assert (labels == ExportGraph(tiny, labels=True)(images)[1].numpy()).mean() > 0.999


@any_size
@pytest.mark.parametrize("name", FAMILIES)
def test_families_of_any_size_whose_unlikely_tags_stay_finite(name, tmp_path):
    if name != "vit_small_patch16_dinov3" and not os.environ.get("TAGSEG_EVERY_FAMILY"):
        pytest.skip("all families take minutes: set TAGSEG_EVERY_FAMILY=1")
    network = family(name)
    assert network.tag_prior is not None
    with torch.no_grad():
        network.tag_prior.classifier.bias[0] -= 200
    graph, _, path = written(network, tmp_path)
    parity = check(open_file(path), graph, random_images(graph), network, real=False)
    assert parity.largest_logit > 100
    assert parity.within(Tolerance())


def test_what_cannot_be_written_is_one_line(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.onnx, "export", None)
    with pytest.raises(TagsegError, match=r"cannot be exported to ONNX opset 20 \(TypeError.*\): try --opset 18 or"):
        written(tiny, tmp_path, size=32)


def test_a_network_too_large_for_one_file(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr("tagseg.exporting.onnx._MOST_BYTES", 1000)
    with pytest.raises(TagsegError, match=r"GB of weights, expected at most .* for one ONNX file: take --format torch"):
        written(tiny, tmp_path)
    assert not list(tmp_path.iterdir())

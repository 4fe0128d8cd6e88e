"""The model card: valid metadata, what is known is told, what is not is said, nothing of it is markup."""

import dataclasses
import json

import pytest
import timm
from huggingface_hub import ModelCard, ModelCardData

from tagseg.exporting.card_facts import CardFacts, facts_of
from tagseg.exporting.card_text import escaped
from tagseg.exporting.model_card import model_card
from tagseg.exporting.repository import check_card, complete, files_of
from tagseg.model.checkpoint import load_network, read_about, save_network

from ..conftest import CLASSES, TINY, assert_refused, tiny_network

STATED = getattr(timm.get_pretrained_cfg(TINY.encoder), "license", None)
"""The licence of the weights, which older versions of timm do not know."""
EXPORTED = {
    "preprocessing": {"size": {"fixed": [32, 32]}},
    "files": {
        "onnx": {"files": ["model.onnx"], "bytes": 26_000_000, "opset": 20},
        "onnx-int8": {
            "files": ["model.int8.onnx"],
            "bytes": 8_000_000,
            "calibration_photos": 3,
            "warning": "4.2 % of the labels differ",
        },
    },
    "parity": {
        "onnx": {"photos": 20, "max_difference": 2.3e-5, "largest_logit": 9.8, "equal_labels": 0.99999, "real": True},
        "onnx-int8": {"photos": 3, "max_difference": 0.4, "largest_logit": 9.8, "equal_labels": 0.958, "real": False},
    },
}
DATA = {
    "root": "/home/someone/photos",
    "splits": {"train": {"images": 12}, "val": {"images": 4}},
    "classes": [{"name": name, "images": {"train": 5, "val": 1}} for name in CLASSES],
}
EVALUATION = {
    "protocol": {"model": "/home/someone/run", "source": "/home/someone/photos", "images": 4, "scales": [1.0]},
    "mean_iou": 0.6471,
    "classes": [{"name": name, "iou": 0.5} for name in ("background", *CLASSES)],
}


@pytest.fixture
def run(tiny, tmp_path):
    """A finished run with scores."""
    folder = tmp_path / "my_run"
    save_network(tiny, folder / "last.safetensors", {"step": 653, "scores": {"val/frozen/segmentation": 0.6409}})
    settings = "method: frozen\nnetwork: {encoder: vit_tiny_patch16_224, weights: hub}\nlabels: {source: spectral}\n"
    (folder / "config.yaml").write_text(settings)
    (folder / "data.json").write_text(json.dumps(DATA))
    (folder / "evaluation.json").write_text(json.dumps(EVALUATION))
    return folder


def metadata_of(text: str) -> ModelCardData:
    data = ModelCard(text).data
    assert isinstance(data, ModelCardData)
    return data


def card_of(run, **changes):
    facts = facts_of(load_network(run), read_about(run), run, files_of(EXPORTED))
    return model_card(CardFacts(**{**vars(facts), **changes}))


def test_its_metadata_are_those_of_a_hub(run):
    data = metadata_of(card_of(run))
    assert data.library_name == "tagseg"
    assert data.pipeline_tag == "image-segmentation"
    assert data.tags == ["semantic-segmentation", "weakly-supervised", "onnx"]
    assert data.eval_results is not None
    (result,) = data.eval_results
    assert (result.metric_type, result.metric_value) == ("mean_iou", 64.71)
    assert data.model_name == "my_run"
    assert str(data.base_model).startswith("timm/vit_tiny_patch16_224")


@pytest.mark.parametrize(
    "part",
    [
        "# my\\_run" if escaped("my_run") == "my\\_run" else "# my_run",
        "from image-level tags alone",
        "| 1 | circle |",
        "| 3 | triangle |",
        "method `frozen`, 653 steps, encoder `vit_tiny_patch16_224`",
        "| circle | 5 | 1 |",
        "| **all photos** | 12 | 4 |",
        "| **mIoU** | 64.71 % |",
        "scales: \\[1.0\\]",
        "val/frozen/segmentation 0.6409",
        "| `model.onnx` | onnx | 26.0 MB | 20 | 2.3e-05 (of 9.8) | 99.999 % |",
        "| `model.int8.onnx` | onnx-int8 | 8.0 MB | 3 | 4.0e-01 (of 9.8) | 95.800 % |",
        "**`model.int8.onnx`: 4.2 % of the labels differ**",
        "`model.int8.onnx` was calibrated on the photos that it was compared on",
        "`model.int8.onnx` was compared on random images",
        "Height and width of the input are 32 pixels, whatever the photo's shape",
        "`logits`, float32 (B, 4, H/8, W/8)",
        "Code (tagseg): Apache-2.0",
        "as timm states it" if STATED else "not stated by timm",
        "the licence of your photos is yours to state",
        'tagseg.load("FOLDER")("photo.jpg")',
        'InferenceSession("model.onnx")',
        ".resize((32, 32))",
    ],
)
def test_what_it_tells(run, part):
    assert part in card_of(run)


def test_of_any_size_it_tells_the_rule(run):
    text = card_of(run, files=[{"file": "model.onnx", "format": "onnx", "size": None}])
    assert "are multiples of 8 pixels" in text
    assert ".resize((448, 448))" in text


def test_it_names_no_path_of_this_machine(run, tmp_path):
    text = card_of(run)
    assert "/home/someone" not in text
    assert str(tmp_path) not in text


def test_a_network_trained_on_masks_says_so(run):
    text = card_of(run, settings={"method": "frozen", "labels": {"source": "masks"}})
    assert "from **ground-truth masks**" in text
    assert "weakly supervised network" not in text
    text = card_of(run, settings={"method": "fsr", "beyond": {"labels": "masks"}})
    assert "from **ground-truth masks**" in text


def test_what_is_not_known_is_said(tiny):
    text = model_card(facts_of(tiny, {}, None, []))
    assert "tags or masks (its settings are not known)" in text
    assert "Which photos is not known" in text
    assert "Not scored" in text
    assert "it is not known where from" in text
    assert metadata_of(text).eval_results is None


def test_weights_that_may_not_be_used_freely_are_named():
    settings = {"method": "frozen", "network": {"weights": "hub"}}
    network = tiny_network()
    network.config = dataclasses.replace(TINY, encoder="vit_base_patch16_224.mae")
    text = model_card(CardFacts("n", network, settings=settings))
    assert "`vit_base_patch16_224.mae`: cc-by-nc-4.0, as timm states it" in text


def test_names_of_classes_are_no_markup():
    network = tiny_network(("<img src=x onerror=alert(1)>", "a|b", "# c\n---\nlicense: mit", "[x](y)"))
    text = model_card(facts_of(network, {}, None, []))
    assert "<img" not in text
    assert "a\\|b" in text
    assert "\nlicense: mit" not in text
    assert "\\[x\\](y)" in text
    assert metadata_of(text).license is None


def test_a_folder_is_completed(run, tmp_path):
    folder = tmp_path / "exported"
    folder.mkdir()
    complete(folder, run, load_network(run), EXPORTED)
    assert read_about(folder) == read_about(run)
    assert load_network(folder).classes == CLASSES
    text = (folder / "README.md").read_text()
    assert "my" in text.split("# ")[1].splitlines()[0]
    complete(folder, folder, load_network(folder), EXPORTED)  # of itself
    assert "Which photos is not known" in (folder / "README.md").read_text()


def test_a_readme_of_someone_else_is_kept(run, tmp_path):
    (tmp_path / "README.md").write_text("# My project")
    assert_refused(lambda: check_card(tmp_path), "README.md is no model card and would be overwritten")
    assert_refused(lambda: complete(tmp_path, run, load_network(run), EXPORTED), "choose another --output")
    assert (tmp_path / "README.md").read_text() == "# My project"


def test_damaged_facts_are_one_line(run):
    (run / "data.json").write_text("{")
    assert_refused(lambda: card_of(run), "data.json: cannot be read as JSON")
    (run / "data.json").write_text("[]")
    assert_refused(lambda: card_of(run), "data.json: expected a JSON object")

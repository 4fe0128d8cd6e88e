"""The examples of docs/how_to_add.md run, and what they add trains."""

import importlib.util
import re
import shutil
import sys
from pathlib import Path
from unittest.mock import patch

import pytest
import torch

from tagseg.config import replace
from tagseg.data.sources import SOURCES, load
from tagseg.methods.build import BUILDERS
from tagseg.methods.config import METHODS, with_method
from tagseg.methods.fsr import FSR
from tagseg.model.checkpoint import load_network
from tagseg.model.vit_parts import FAMILIES
from tagseg.training.train import train

from .conftest import CLASSES, tiny_config
from .steps import LATE, MIXED, batch_of

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[1] / "docs" / "how_to_add.md"
EXAMPLE = re.compile(r"^## (.+?)$.*?```python\n(.+?)```", re.DOTALL | re.MULTILINE)
EXAMPLES: dict[str, str] = dict(EXAMPLE.findall(PAGE.read_text("utf-8")))


@pytest.fixture
def example(tmp_path):
    """Imports an example from a file of its own; what it registers is gone after the test."""

    def run(title):
        name = "example_" + title.replace(" ", "_")
        path = tmp_path / f"{name}.py"
        path.write_text(EXAMPLES[title], "utf-8")
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    with patch.dict(METHODS), patch.dict(BUILDERS), patch.dict(SOURCES), patch.dict(FAMILIES):
        yield run


def test_every_example_is_complete_and_short():
    assert set(EXAMPLES) == {"A loss", "A method", "An encoder family", "A data source"}
    assert all(20 <= len(code.splitlines()) <= 65 for code in EXAMPLES.values())


def test_a_loss(example, tmp_path):
    method = example("A loss").ConfidentFSR(tiny_config(tmp_path, tmp_path), CLASSES).train()
    losses = method.losses(batch_of(MIXED), LATE)
    assert losses.terms["entropy"] > 0
    published = FSR(tiny_config(tmp_path, tmp_path), CLASSES)
    assert set(losses.terms) == {"entropy", *published.losses(batch_of(MIXED), LATE).terms}
    losses.total.backward()


def test_a_method(example, tagged_folder, tmp_path):
    example("A method")
    config = with_method(
        tiny_config(tagged_folder, tmp_path / "run", run={"steps": 3, "validate_every": 3}), "threshold"
    )
    result = train(config)
    assert "val/network/segmentation" in result.scores
    assert train(replace(config, run={"steps": 4}), resume=result.folder).steps == 4


def test_an_encoder_family(example, tagged_folder, tmp_path):
    example("An encoder family")
    network = {"encoder": "torch_transformer", "encoder_options": {}}
    config = tiny_config(tagged_folder, tmp_path / "run", network=network, run={"steps": 2})
    trained = load_network(train(config).folder)
    assert trained.segment_logits(torch.zeros(1, 3, 40, 32)).shape == (1, len(CLASSES) + 1, 5, 4)


def test_a_data_source(example, tagged_folder, tmp_path):
    (tmp_path / "data" / "train").mkdir(parents=True)
    for photo, name in enumerate(["circle_1", "circle+square_2", "square_1", "_1"]):
        image = tagged_folder / "images" / f"train{photo}.jpg"
        shutil.copy(image, tmp_path / "data" / "train" / f"{name}.jpg")
    example("A data source")
    data = {"source": "named_by_tags", "root": str(tmp_path / "data"), "val_split": ""}
    config = tiny_config(tagged_folder, tmp_path / "run", data=data, run={"steps": 2})
    assert load_network(train(config).folder).classes == ("circle", "square")
    tags = {sample.name: sample.tags for sample in load(config.data, "train").samples}
    assert tags == {"_1": (), "circle+square_2": (0, 1), "circle_1": (0,), "square_1": (1,)}

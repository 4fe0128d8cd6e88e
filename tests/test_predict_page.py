"""The Python of docs/predict.md runs as written, and its table names what a result has."""

import dataclasses
import importlib.util
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tagseg.inference.result import Result
from tagseg.model.checkpoint import save_network

from .conftest import tiny_network

PAGE = (Path(__file__).parents[1] / "docs" / "predict.md").read_text("utf-8")
EXAMPLES: list[str] = re.findall(r"```python\n(.+?)```", PAGE, re.DOTALL)
OF_0_2 = {"labels", "scores", "refined", "plain"}


def test_the_table_has_everything_a_result_has():
    table = set(re.findall(r"^\| `\.(\w+)", PAGE, re.MULTILINE))
    public = {name for name in vars(Result) if not name.startswith("_")}
    public |= {field.name for field in dataclasses.fields(Result)}
    assert table == public - OF_0_2


@pytest.mark.slow
def test_the_examples_run(tmp_path, monkeypatch):
    save_network(tiny_network(("dog", "person")), tmp_path / "runs" / "photos" / "best.safetensors")
    (tmp_path / "photos" / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in ("beach_001.jpg", "beach_002.jpg"):
        Image.fromarray(rng.integers(0, 256, (30, 40, 3), np.uint8)).save(tmp_path / "photos" / "images" / name)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    assert len(EXAMPLES) == 4
    for code in EXAMPLES:
        if "import supervision" not in code or importlib.util.find_spec("supervision"):
            exec(compile(code, "docs/predict.md", "exec"), names)
    assert np.array_equal(np.asarray(Image.open("mask.png")), names["result"].mask)
    assert Image.open("overlay.jpg").height > 30, "with the legend"
    assert [path.name for path in names["masks"]] == ["beach_001.jpg", "beach_002.jpg"]
    assert names["dog"].shape == (30, 40)
    assert all(0 < row["confidence"] <= 1 for row in names["rows"])

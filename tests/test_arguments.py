"""The Python API as users call it: a wrong type is one line that names the argument and what was expected."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import tagseg as package
from tagseg.arguments import check_kinds, check_path
from tagseg.model.checkpoint import save_network

from .conftest import assert_refused, tiny_config

tagseg: Any = package
"""Without its types, which say all of this before anything runs."""

pytestmark = pytest.mark.usefixtures("unchecked")


def test_kinds_of_arguments():
    good = {"a": np.int64(3), "b": np.float32(0.5), "c": np.bool_(True), "d": [1, 2.5], "e": None, "f": "x"}
    check_kinds(good, a="whole", b="number", c="switch", d="numbers", e="whole?", f="text")
    for name, kind, shown in (
        ("a", "switch", "a is a numpy int64, expected True or False"),
        ("b", "whole", "b is a numpy float32, expected an integer"),
        ("c", "whole", "expected an integer"),
        ("e", "text", "e is None, expected a string"),
        ("f", "numbers", "f is 'x', expected one or more numbers"),
        ("f", "number?", "f is 'x', expected a number or None"),
    ):
        assert_refused(lambda name=name, kind=kind: check_kinds(good, **{name: kind}), shown)


def test_paths():
    check_path("output", "out")
    check_path("output", Path("out"))
    for wrong in (None, 3, "", b"out", ["out"]):
        assert_refused(lambda wrong=wrong: check_path("output", wrong), "output is", "a path (str or Path)")


def test_a_path_in_the_settings_is_one(tmp_path):
    config = tagseg.replace(tagseg.PRESETS["folder"](), data={"root": tmp_path}, run={"output": tmp_path / "run"})
    assert (config.data.root, config.run.output) == (str(tmp_path), str(tmp_path / "run"))
    assert_refused(lambda: tagseg.replace(config, data={"skip_missing": tmp_path}), "data.skip_missing")


def test_train_and_replace(tmp_path):
    preset = tagseg.PRESETS["frozen"]
    assert_refused(lambda: tagseg.train("photos"), "config is 'photos'", "expected a Config")
    assert_refused(lambda: tagseg.train(preset), "config is a function", "call the preset")
    config = tiny_config(tmp_path, tmp_path / "run")
    assert_refused(lambda: tagseg.train(config, resume=5), "resume is 5", "a run folder")
    assert_refused(lambda: tagseg.train(config, callbacks=print), "callbacks is a", "a list")
    assert_refused(lambda: tagseg.train(config, callbacks=[print]), "a callback is a", "Lightning Callback")
    assert_refused(lambda: tagseg.replace({"run": {}}, run={}), "config is a dict", "a Config")
    assert_refused(lambda: tagseg.replace(config, run=5), "config section 'run' is 5", "a dict")
    assert not (tmp_path / "run").exists()


def test_predict_and_predictor(tiny, tmp_path):
    Image.new("RGB", (32, 32)).save(tmp_path / "a.png")
    photo, out = tmp_path / "a.png", tmp_path / "out"
    for images in (np.zeros((4, 4, 3), np.uint8), Image.new("RGB", (4, 4)), None, b"a.png", [photo, 3], [""]):
        assert_refused(lambda images=images: tagseg.predict(tiny, images, out), "images is", "tagseg.load")
    assert_refused(lambda: tagseg.predict(5, photo, out), "model is 5", "a run folder")
    assert_refused(lambda: tagseg.predict(tiny, photo, None), "output is None")
    for name, value in (
        ("scales", 2.0), ("scales", ["1"]), ("mirror", "no"), ("size", "64"), ("max_side", 1.5), ("crf_settings", {}),
        ("precision", 32), ("batch", "all"), ("writers", None), ("overlays", 1), ("device", 1.5), ("quiet", "yes"),
    ):  # fmt: skip
        assert_refused(
            lambda name=name, value=value: tagseg.predict(tiny, photo, out, **{name: value}), name, "expected"
        )
    assert not out.exists()
    predictor = tagseg.Predictor(tiny, scales=[1], mirror=False, device="cpu")
    for wrong in (None, torch.zeros(3, 4, 4), np.zeros((4, 4, 3)), np.zeros((4, 4), np.uint8)):
        assert_refused(lambda wrong=wrong: predictor(wrong), "a photo is", "uint8 (height, width, 3)")


def test_a_predictor_reads_a_picture_in_memory_as_the_same_file(tiny, tmp_path):
    """16 bits are not clipped, and transparency lies on white."""
    rng = np.random.default_rng(0)
    predictor = tagseg.Predictor(tiny, scales=(1.0,), mirror=False, device="cpu")
    deep, rgba = rng.integers(0, 65536, (32, 40)).astype(np.uint16), rng.integers(0, 256, (32, 40, 4)).astype(np.uint8)
    rgba[:16, :, 3] = 255
    for name, pixels in (("deep.png", deep), ("rgba.png", rgba)):
        Image.fromarray(pixels).save(tmp_path / name)
        of_file, in_memory = predictor(tmp_path / name), predictor(Image.fromarray(pixels))
        assert np.array_equal(of_file.photo, in_memory.photo)
        assert np.array_equal(of_file.labels, in_memory.labels)


def test_evaluate(tiny, tmp_path):
    config = tiny_config(tmp_path, tmp_path / "run")
    assert_refused(lambda: tagseg.evaluate(tiny, config), "data is a tagseg Config", "a DataConfig", "pass its data")
    assert_refused(lambda: tagseg.evaluate(tiny, "photos"), "data is 'photos'", "a DataConfig")
    assert_refused(lambda: tagseg.evaluate(tiny, config.data, split=3), "split is 3")
    assert_refused(lambda: tagseg.evaluate(tiny, config.data, what=3), "what is 3")
    assert_refused(lambda: tagseg.evaluate(tiny, config.data, limit="all"), "limit is 'all'")
    assert_refused(lambda: tagseg.evaluate(tiny, config.data, output=3), "output is 3")
    assert_refused(lambda: tagseg.evaluate(None, config.data), "model is None")


def test_loading_and_demo(tiny, tmp_path):
    assert_refused(lambda: tagseg.load_network(3), "the network is 3", "a run folder")
    assert_refused(lambda: tagseg.load_published(None), "the checkpoint is None")
    assert_refused(lambda: tagseg.demo(3), "output is 3")
    assert_refused(lambda: tagseg.demo(tmp_path, steps="many"), "steps is 'many'")
    save_network(tiny, tmp_path / "last.safetensors")
    assert_refused(lambda: tagseg.load_network(tmp_path, device="moon"), "device 'moon' cannot be used here")

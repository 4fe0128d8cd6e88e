import json
import os
import time

import numpy as np
import pytest
import torch

import tagseg
from tagseg.exporting import export as module
from tagseg.exporting.export import ABOUT, export
from tagseg.exporting.formats import ExportFormat, chosen
from tagseg.model.checkpoint import save_network

from ..conftest import assert_refused

WRONG = 0.5
"""What the format ``wrong`` adds to a logit."""
BESIDE = {ABOUT, "README.md", "model.safetensors"}
"""Description, model card and the network itself."""


@pytest.fixture
def formats(monkeypatch):
    """Formats that pickle the graph: ``good``, and ``wrong``, which differs from the network."""

    def form(file, offset):
        def write(job):
            torch.save({"graph": job.graph, "about": job.about}, job.folder / file)
            return {"offset": offset}

        def open_file(path):
            graph = torch.load(path, weights_only=False)["graph"]
            return lambda image: graph(torch.from_numpy(image)).numpy() + np.float32(offset)

        return ExportFormat((file,), write, open_file)

    table = {"good": form("good.bin", 0), "wrong": form("wrong.bin", WRONG), "again": form("again.bin", 0)}
    table["absent"] = ExportFormat(("absent.bin",), table["good"].write, table["good"].open, ("no_such_module",))
    monkeypatch.setattr("tagseg.exporting.formats.FORMATS", table)
    return table


def test_what_a_killed_export_has_left_is_deleted_by_the_next(formats, run_folder, tmp_path):
    for name, age in ((".export-old", 7200), (".export-of another process", 60)):
        (tmp_path / name / "in").mkdir(parents=True)
        (tmp_path / name / "in" / "half.onnx").write_bytes(b"half")
        for path in (tmp_path / name / "in" / "half.onnx", tmp_path / name / "in", tmp_path / name):
            os.utime(path, (time.time() - age,) * 2)
    export(run_folder, tmp_path, format="good", quiet=True)
    assert not (tmp_path / ".export-old").exists()
    assert (tmp_path / ".export-of another process" / "in" / "half.onnx").exists()


def test_files_and_their_description(formats, run_folder, tmp_path):
    result = export(run_folder, tmp_path / "out", format="good,again", quiet=True)
    assert sorted(os.listdir(tmp_path / "out")) == ["README.md", "again.bin", ABOUT, "good.bin", "model.safetensors"]
    assert result.files == {name: (tmp_path / "out" / f"{name}.bin",) for name in ("good", "again")}
    about = json.loads((tmp_path / "out" / ABOUT).read_text())
    assert about["format"] == "tagseg-export-1"
    assert about["classes"][1] == {"label": 1, "name": "circle", "colour": "#800000"}
    assert about["preprocessing"]["input"]["layout"] == "NHWC"
    assert about["preprocessing"]["size"] | {"rule": ""} == {
        "fixed": None, "multiple_of": 8, "least": 16, "longest_side": 1024, "rule": "",
    }  # fmt: skip
    size = (tmp_path / "out" / "good.bin").stat().st_size
    assert about["files"]["good"] == {"files": ["good.bin"], "bytes": size, "offset": 0}
    parity = about["parity"]["good"]
    assert (parity["photos"], parity["real"], parity["equal_labels"]) == (2, True, 1)
    assert parity["max_difference"] < 1e-4
    assert result.summary().count("parity on 2 photos: logits differ by at most") == 2


def test_a_fixed_size_and_labels_are_described(formats, tiny, tmp_path):
    export(tiny, tmp_path, format="good", size=32, labels=False, quiet=True)
    about = json.loads((tmp_path / ABOUT).read_text())
    assert about["preprocessing"]["size"]["fixed"] == [32, 32]
    assert about["preprocessing"]["input"]["shape"] == [1, 32, 32, 3]
    assert about["outputs"][0]["shape"] == [1, 4, 4, 4]


def test_a_file_that_differs_is_not_left_and_the_others_are(formats, run_folder, tmp_path):
    assert_refused(
        lambda: export(run_folder, tmp_path, format="wrong,good", quiet=True),
        "1 of 2 formats failed, the others are done", "wrong.bin differs from the network",
        "logits differ by at most 5.0e-01", "expected at most 0.001 and at least 99.9 %",
    )  # fmt: skip
    assert sorted(os.listdir(tmp_path)) == ["README.md", ABOUT, "good.bin", "model.safetensors"]
    assert list(json.loads((tmp_path / ABOUT).read_text())["files"]) == ["good"]


def test_without_photos_it_says_so(formats, tiny, tmp_path, caplog):
    result = export(tiny, tmp_path, format="good", quiet=True)
    assert "no photo is at hand: parity is checked on random images only" in caplog.text
    assert not result.parity["good"].real
    assert "random images: " in result.summary()
    assert json.loads((tmp_path / ABOUT).read_text())["parity"]["good"]["real"] is False


def test_given_photos(formats, tiny, tagged_folder, tmp_path):
    photos = tagged_folder / "images"
    assert export(tiny, tmp_path, format="good", photos=photos, quiet=True).parity["good"].photos == 8
    assert_refused(lambda: export(tiny, tmp_path / "b", format="good", photos=tmp_path / "none"), "none")
    assert not (tmp_path / "b").exists()


def test_nothing_is_overwritten_unless_told(formats, tiny, tmp_path):
    export(tiny, tmp_path, format="good", quiet=True)
    before = (tmp_path / "good.bin").stat().st_mtime_ns
    assert_refused(lambda: export(tiny, tmp_path, format="good"), "good.bin is there already", "--overwrite")
    assert_refused(lambda: export(tiny, tmp_path, format="again"), f"{ABOUT} is there already")
    assert (tmp_path / "good.bin").stat().st_mtime_ns == before
    export(tiny, tmp_path, format="good", overwrite=True, quiet=True)
    assert (tmp_path / "good.bin").stat().st_mtime_ns > before


def test_a_stop_leaves_no_half_file(formats, tiny, tmp_path, monkeypatch):
    def stopped(job):
        (job.folder / "wrong.bin").write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setitem(formats, "wrong", ExportFormat(("wrong.bin",), stopped, formats["good"].open))
    with pytest.raises(KeyboardInterrupt):
        export(tiny, tmp_path, format="good,wrong", quiet=True)
    assert sorted(os.listdir(tmp_path)) == [ABOUT, "good.bin"]


def test_what_is_wrong_is_told_before_anything_is_computed(formats, run_folder, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "open_network", None)
    for arguments, parts in (
        ({"format": "good,tflite"}, ("format is tflite", "good, wrong")),
        ({"format": ""}, ("format is empty",)),
        ({"format": "absent"}, ("no_such_module", 'pip install "tagseg[export]"')),
        ({"format": "good", "size": 32, "dynamic": True}, ("size is 32 and dynamic is True",)),
        ({"format": "good", "opset": 9}, ("opset is 9, expected 18 to 20",)),
    ):
        assert_refused(lambda a=arguments: export(run_folder, tmp_path, **a), *parts)
    assert_refused(lambda: export(tmp_path / "nowhere", tmp_path, format="good"), "nowhere: no such file")
    (tmp_path / "file").write_text("")
    monkeypatch.undo()
    save_network(tiny, tmp_path / "classifier.safetensors", {"maps": ["cam"]})
    assert_refused(lambda: export(tmp_path / "classifier.safetensors", tmp_path / "c"), "decoder was not trained")


@pytest.mark.usefixtures("formats")
def test_a_folder_that_cannot_be_written(tiny, tmp_path):
    (tmp_path / "file").write_text("")
    assert_refused(lambda: export(tiny, tmp_path / "file", format="good", quiet=True), "cannot write to", "file")


def test_formats_are_taken_once_in_the_order_given():
    assert list(chosen("torch, onnx,torch")) == list(chosen(("torch", "onnx"))) == ["torch", "onnx"]


def test_the_public_name():
    assert tagseg.export is export

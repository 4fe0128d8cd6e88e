import json

import pytest

from tagseg.cli import main
from tagseg.model.checkpoint import save_network


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere: no such file or folder"),
        (["RUN", "--format", "tflite"], "format is tflite, expected one or more of: onnx, torch"),
        (["RUN", "--size", "100"], "size is 100, expected a multiple of the patch size (8 pixels), e.g. 96"),
        (["RUN", "--size", "32", "--dynamic"], "size is 32 and dynamic is True, expected one of them"),
        (["RUN", "--photos", "absent.jpg"], "the image absent.jpg does not exist"),
        (["RUN", "--opsets", "20"], "did you mean --opset?"),
        ([], "model"),
    ],
)
def test_what_is_wrong_is_one_line(tiny, tmp_path, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    save_network(tiny, tmp_path / "RUN" / "last.safetensors")
    assert main(["export", *arguments]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[-1].startswith("tagseg: error: ")
    assert message in lines[-1]
    assert not (tmp_path / "export").exists()


@pytest.mark.slow
def test_files_and_the_summary(tiny, tagged_folder, tmp_path, capsys):
    save_network(tiny, tmp_path / "last.safetensors")
    words = ["export", str(tmp_path), "--output", str(tmp_path / "out"), "--format", "torch", "--size", "32"]
    assert main([*words, "--photos", str(tagged_folder / "images" / "val0.jpg")]) == 0
    output = capsys.readouterr().out
    assert "model.pt2: parity on 1 photos: logits differ by at most" in output
    assert str(tmp_path / "out" / "export.json") in output
    assert json.loads((tmp_path / "out" / "export.json").read_text())["files"]["torch"]["files"] == ["model.pt2"]

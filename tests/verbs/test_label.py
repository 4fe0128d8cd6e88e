import re

import pytest

from tagseg.cli import main
from tagseg.frozen.config import FrozenConfig
from tagseg.labelling.source import check_read
from tagseg.model.checkpoint import save_network
from tagseg.verbs.label import parse_label

from ..conftest import make_folder, tiny_network


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    save_network(tiny_network(), folder / "last.safetensors", {})
    (folder / "config.yaml").write_text("method: fsr\n")
    return folder


@pytest.mark.parametrize(
    "words",
    [
        "PHOTOS RUN --output OUT",
        "PHOTOS --output OUT RUN",
        "--output OUT PHOTOS RUN",
        "--data.root=PHOTOS RUN --output=OUT",
    ],
)
def test_photos_and_run_stand_anywhere_in_this_order(words):
    config, arguments = parse_label([*words.split(), "--crf"])
    assert (config.data.root, arguments["model"], arguments["output"]) == ("PHOTOS", "RUN", "OUT")
    assert arguments["crf"] is True


def test_without_a_run_settings_of_encoder_and_features_are_read():
    words = "PHOTOS --network.encoder deit_tiny_patch16_224 --features.size 224 --labels.foreground_share 0.4"
    config, arguments = parse_label(words.split())
    check_read(config, False, {})
    assert isinstance(config.method, FrozenConfig)
    assert (config.network.encoder, config.method.features.size) == ("deit_tiny_patch16_224", 224)
    assert config.method.labels.foreground_share == 0.4
    assert (arguments["model"], arguments["output"], arguments["layout"]) == (None, "labelled", "folders")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--output", "OUT"], "no photos are given, expected their folder"),
        (["A", "B", "C"], "3 folders are given, expected PHOTOS and RUN: leave out 'C'"),
        (["PHOTOS", "--data.root", "A", "B"], "2 folders are given"),
        (["PHOTOS", "--layuot", "voc"], "did you mean --layout?"),
        (["PHOTOS", "--layout", "coco"], "layout"),
        (["absent"], "absent"),
    ],
)
def test_what_is_wrong_is_one_line_and_status_2(capsys, words, message):
    assert main(["label", *words]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert message in lines[-1]
    assert lines[-1].startswith("tagseg: error: ")


def test_a_run_in_the_place_of_the_photos_is_noticed(run, capsys):
    assert main(["label", str(run), "PHOTOS"]) == 2
    assert "is a run, expected the photos before it" in capsys.readouterr().err


def test_help_hides_settings_that_are_not_read(capsys):
    with pytest.raises(SystemExit):
        main(["label", "--help"])
    shown = capsys.readouterr().out
    assert "--network.encoder ENCODER" in shown
    assert "--features.size" in shown
    assert "--network.decoder" not in shown
    assert "--labels.source" not in shown


def test_from_photos_and_a_run_to_a_dataset(tmp_path, run, capsys):
    root = make_folder(tmp_path / "photos", train=2)
    assert main(["label", str(root), str(run), "--output", str(tmp_path / "out"), "--scales", "[1.0]"]) == 0
    shown = capsys.readouterr()
    assert re.search(r"4 photos with masks: .*out, look at .*contact_sheet.jpg", shown.out)
    assert (tmp_path / "out" / "data.yaml").is_file()

"""Which preset and method a command line starts from."""

import logging

import pytest

from tagseg.config import replace
from tagseg.config_file import save_config
from tagseg.errors import TagsegError
from tagseg.methods.config import METHODS, settings_of, settings_read_by, with_method
from tagseg.presets import PRESETS, folder, frozen, paper
from tagseg.starting_point import starting_point

FROZEN = {
    "nothing": [],
    "photos": ["photos"],
    "what both read": ["--run.steps", "9", "--network.encoder", "x", "--data.root=y", "--beyond.pool", "0.2"],
    "its own": ["--features.size", "64", "--labels.kind", "binary", "--decoder.rate", "1"],
    "labels that both have": ["--labels.source", "masks"],
    "a share that both have": ["--labels.foreground_share", "0.2"],
    "its method": ["--method", "frozen"],
    "its preset": ["--preset", "frozen"],
    "a value that is FSR's name": ["--run.output", "mask.block"],
    "unknown": ["--mask_ratio", "3", "--nothing.ratio", "3"],
}
FSR = {
    "masks": ["--mask.block", "32"],
    "with =": ["--mask.block=32"],
    "a section": ["--mask", "{}"],
    "losses": ["--losses.affinity", "0"],
    "an optimiser": ["--optimiser.rate", "1"],
    "CAMs": ["--cam.scales", "[1]"],
    "one of many scales": ["--cam.scales+", "1"],
    "views": ["--views.size", "64"],
    "speed": ["--speed.compile"],
    "beyond": ["--beyond.labels", "boundary"],
    "thresholds": ["--labels.high", "0.6"],
    "of 0.1.0": ["--labels.border_size", "64"],
    "the network's of 0.1.0": ["--network.pool", "0.2"],
    "labels from CAMs": ["--labels.source", "cam"],
    "labels of 0.1.0": ["--labels.source=border"],
    "labels of the prior": ["--labels.source", "boundary"],
}


@pytest.mark.parametrize("arguments", FROZEN.values(), ids=FROZEN)
def test_the_default_is_frozen(arguments, caplog):
    with caplog.at_level(logging.INFO, "tagseg"):
        start = starting_point(arguments)
    assert (start.preset, start.config) == ("frozen", frozen())
    assert not caplog.records


@pytest.mark.parametrize("arguments", FSR.values(), ids=FSR)
def test_settings_of_fsr_alone_choose_the_preset_folder_and_say_so(arguments, caplog):
    with caplog.at_level(logging.INFO, "tagseg"):
        start = starting_point(["--run.steps", "9", *arguments])
    assert (start.preset, start.config) == ("folder", folder())
    said = [record.message for record in caplog.records if record.levelno == logging.INFO]
    flag = arguments[0].split("=")[0].rstrip("+")
    assert said == [
        f"{flag} belongs to the method fsr: starting from the preset folder; without it the default is --preset frozen"
    ]


def test_one_line_names_several(caplog):
    with caplog.at_level(logging.INFO, "tagseg"):
        starting_point(["--mask.block", "32", "--views.size", "64", "--mask.block", "8"])
    (said,) = (record.message for record in caplog.records)
    assert said.startswith(
        "--mask.block, --views.size belong to the method fsr: starting from the preset folder; without"
    )


@pytest.mark.parametrize("method", METHODS)
def test_a_method_chooses_its_preset(method, caplog, tmp_path):
    expected = with_method(PRESETS["frozen" if method == "frozen" else "folder"](), method)
    (tmp_path / "c.yaml").write_text(f"method: {method}\nrun: {{steps: 9}}\n")
    file = ["--config", str(tmp_path / "c.yaml")]
    with caplog.at_level(logging.INFO, "tagseg"):
        for arguments in (["--method", method], file, [*file, "--method", method]):
            assert starting_point(arguments).config == expected
    assert not caplog.records


def test_a_preset_wins_over_settings_and_takes_the_method_of_a_flag_or_file(caplog, tmp_path):
    (tmp_path / "c.yaml").write_text("method: classifier\n")
    with caplog.at_level(logging.INFO, "tagseg"):
        assert starting_point(["--preset", "paper", "--mask.ratio", "0.2"]).config == paper()
        for other in (["--method", "classifier"], ["--config", str(tmp_path / "c.yaml")]):
            assert starting_point(["--preset", "paper", *other]).config == with_method(paper(), "classifier")
    assert not caplog.records


def test_settings_in_a_file_without_a_method_choose_too(caplog, tmp_path):
    file = tmp_path / "c.yaml"
    texts = {
        "mask: {ratio: 0.2}": folder(), "labels: {source: border}": folder(), "labels: {border_size: 64}": folder(),
        "labels: {source: masks}": frozen(), "run: {steps: 9}": frozen(), "features: {size: 64}": frozen(),
        "run: [": frozen(), "steps: 9": frozen(),
    }  # fmt: skip
    for text, expected in texts.items():
        file.write_text(text)
        with caplog.at_level(logging.INFO, "tagseg"):
            assert starting_point(["--config", str(file)]).config == expected
    assert caplog.records[0].message.startswith(f"mask.ratio ({file}) belongs to the method fsr: starting from")
    assert len(caplog.records) == 3


def test_a_file_s_method_stands_above_settings(caplog, tmp_path):
    (tmp_path / "c.yaml").write_text("method: frozen\n")
    with pytest.raises(TagsegError, match=r"--mask\.ratio is a setting of the method fsr, and the method is frozen"):
        starting_point(["--config", str(tmp_path / "c.yaml"), "--mask.ratio", "0.2"])


def test_config_files_come_first_under_new_names(tmp_path):
    (tmp_path / "c.yaml").write_text("labels: {border_size: 64}\n")
    (tmp_path / "d.yaml").write_text("run: {steps: 9}\n")
    files = [str(tmp_path / name) for name in ("c.yaml", "d.yaml")]
    start = starting_point(["photos", "--config", files[0], "--network.pool", "0.2", f"--config={files[1]}"])
    text = start.arguments[1]
    assert "boundary_size: 64" in text
    assert start.arguments == ["--config", text, "--config", files[1], "photos", "--beyond.pool", "0.2"]


def test_a_resumed_run_keeps_its_own(tmp_path, caplog):
    own = replace(with_method(paper(), "classifier"), run={"steps": 123})
    save_config(own, tmp_path)
    with caplog.at_level(logging.INFO, "tagseg"):
        for arguments in ([], ["--optimiser.rate", "1"], ["--preset", "frozen"]):
            assert starting_point(["--resume", str(tmp_path), *arguments]).config == own
    assert not caplog.records


def test_a_checkpoint_without_its_run_s_settings_is_one_by_steps(tmp_path):
    assert starting_point(["--resume", str(tmp_path / "kept.ckpt")]).config == folder()
    assert starting_point(["--resume", str(tmp_path / "kept.ckpt"), "--preset", "paper"]).config == paper()


REFUSED = {
    "what frozen has instead": (["--method", "frozen", "--views.size", "448"],
                                r"--views\.size is not read by the method frozen: use --features\.size"),
    "by its old name": (["--method", "frozen", "--labels.border_size", "4"], r"--beyond\.boundary_size is not read by"),
    "nothing instead": (["--preset", "frozen", "--speed.compile"], r"compile is not read by .*add --preset folder"),
    "a whole section": (["--method", "frozen", "--views", "{}"], r"--views is not read by the method frozen"),
    "of FSR": (["--preset", "frozen", "--mask.ratio", "0.2"],
               r"--mask\.ratio is a setting of the method fsr, and the method is frozen: .*fsr --preset folder"),
    "of two methods": (["--method", "frozen", "--cam.scales", "[1]"], "is a setting of the method fsr and classifier"),
    "of frozen": (["--method", "classifier", "--decoder.rate", "1"], "is a setting of the method frozen"),
    "of both": (["--mask.ratio", "0.2", "--features.size", "64"], r"features\.size is a setting of the method frozen"),
    "no preset": (["--preset", "voc"], "--preset 'voc' does not exist, expected one of: voc2012"),
    "no method": (["--method", "magic"], "--method 'magic' does not exist, expected one of: fsr, classifier, frozen"),
}  # fmt: skip


@pytest.mark.parametrize(("arguments", "message"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_go_together_is_one_line(arguments, message):
    with pytest.raises(TagsegError, match=message) as caught:
        starting_point(arguments)
    assert "\n" not in str(caught.value)


def test_methods_that_contradict_one_another(tmp_path):
    for name in ("fsr", "frozen"):
        (tmp_path / f"{name}.yaml").write_text(f"method: {name}\n")
    save_config(frozen(), tmp_path / "run")
    fsr, other, run = (str(tmp_path / name) for name in ("fsr.yaml", "frozen.yaml", "run"))
    cases = {
        rf"{fsr} is of the method 'fsr', but --method is 'frozen'": ["--method", "frozen", "--config", fsr],
        rf"{other} is of the method 'frozen', but {fsr} is of 'fsr'": ["--config", fsr, "--config", other],
        rf"{run} was trained with the method 'frozen': resume": ["--resume", run, "--config", fsr],
    }
    for message, arguments in cases.items():
        with pytest.raises(TagsegError) as caught:
            starting_point(arguments)
        assert str(caught.value).startswith(message)
    (tmp_path / "fsr.yaml").write_text("method: [fsr]\n")
    with pytest.raises(TagsegError, match=r"fsr\.yaml: method is \['fsr'\], expected one of: fsr, classifier, frozen"):
        starting_point(["--config", fsr])


def test_what_a_method_reads():
    assert settings_read_by("fsr") == settings_of("fsr") >= {"mask", "mask.ratio", "views.size", "beyond.labels"}
    unread = settings_of("frozen") - settings_read_by("frozen")
    assert {name.split(".")[0] for name in unread} == {"views", "beyond", "speed"}
    assert {"beyond.pool", "labels.source", "features", "run.steps"} <= settings_read_by("frozen")

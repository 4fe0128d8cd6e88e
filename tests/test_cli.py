"""The command line: what wins over what, and errors as one line."""

import errno
import io
import os
import resource
import subprocess
import sys

import pytest

from tagseg import cli
from tagseg.cli import VERBS, main
from tagseg.config import Config, replace
from tagseg.config_file import save_config
from tagseg.errors import TagsegError
from tagseg.fsr.config import CamConfig, OptimiserConfig
from tagseg.methods.config import ClassifierConfig, with_method
from tagseg.model.checkpoint import save_network
from tagseg.presets import coco2014, folder, frozen, voc2012
from tagseg.verbs.train import parse_train

from .conftest import tiny_config, tiny_network


def error_of(capsys, *arguments):
    """The one line of a refused command."""
    assert main(list(arguments)) == 2
    captured = capsys.readouterr()
    lines = captured.err.strip().splitlines()
    assert lines[-1].startswith("tagseg: error: ")
    assert "Traceback" not in captured.err
    assert sum("error" in line for line in lines) == 1
    return lines[-1]


def test_a_wrong_folder_is_reported_before_anything_heavy_is_imported(tmp_path):
    code = f"import sys; from tagseg.cli import main; main(['train', {str(tmp_path / 'none')!r}]); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "does not exist" in done.stderr
    assert not set(done.stdout.split()) & {"torch", "timm", "lightning"}


def test_help_is_instant_and_imports_nothing_heavy():
    code = "import sys; from tagseg.cli import main; main(['--help']); print(*sys.modules, file=sys.stderr)"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime) < 2, "seconds of processor time"
    assert all(f"tagseg {verb}" in done.stdout for verb in VERBS)
    modules = set(done.stderr.split())
    assert "tagseg.cli" in modules
    assert not modules & {"torch", "numpy", "lightning", "timm", "jsonargparse"}


@pytest.mark.parametrize(("arguments", "code"), [(["--help"], 0), (["-h"], 0), (["help"], 0), ([], 2)])
def test_usage(capsys, arguments, code):
    assert main(arguments) == code
    assert "usage: tagseg VERB" in capsys.readouterr().out


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("tagseg 0.")


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb_prints_defaults(capsys, verb):
    with pytest.raises(SystemExit) as caught:
        main([verb, "--help"])
    assert caught.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "default: " in text
    if verb == "train":
        assert "default: deit_small_patch16_224" in text, "the preset's encoder"
        assert "AdamW" in text, "sections are explained"


def test_unknown_verb(capsys):
    assert f"'trian' is no verb, expected one of: {', '.join(VERBS)}, did you mean train?" in error_of(capsys, "trian")


WRONG = {
    "unknown key": (["--run.step", "3"], "--run.step 3, did you mean --run.steps?"),
    "abbreviated key": (["--run.acc", "2"], "--run.acc"),
    "not a number": (["--run.steps", "many"], "run.steps"),
    "out of range": (["--run.steps", "-1"], "run.steps is -1, expected 0 or more"),
    "not a choice": (["--mask.choice", "some"], "mask.choice"),
    "no value": (["--preset"], "--preset"),
    "no file": (["--config"], "--config"),
    "unknown preset": (["--preset", "voc"], "expected one of: voc2012, coco2014, frozen, folder, paper, demo"),
    "absent config": (["--config", "absent.yaml"], "absent.yaml"),
    "do not go together": (["--views.size", "100"], "mask.block is 32, expected a divisor of views.size = 100"),
    "nothing to resume": (["--resume", "absent"], "absent: no checkpoint to resume from"),
    "no data": (["--data.root", "absent"], "absent"),
    "absent photos": (["photos"], "the data folder photos does not exist"),
    "photos twice": (
        ["photos", "--data.root", "others"],
        "photos are given twice, 'photos' and 'others', expected one",
    ),
    "photos twice, with =": (["--data.root=others", "photos"], "photos are given twice, 'photos' and 'others'"),
    "two folders": (["photos", "others"], "photos are given twice, 'photos' and 'others'"),
    "unknown key of frozen": (["--features.sise", "3"], "--features.sise 3, did you mean --features.size?"),
    "unknown method": (["--method", "magic"], "'magic' does not exist, expected one of: fsr, classifier"),
    "section of another method": (
        ["--method", "classifier", "--mask.ratio", "0.2"],
        "--mask.ratio is a setting of the method fsr, and the method is classifier: leave it out, or choose",
    ),
}


@pytest.mark.parametrize(("arguments", "expected"), WRONG.values(), ids=WRONG)
def test_a_wrong_setting_is_one_line(capsys, tmp_path, monkeypatch, arguments, expected):
    monkeypatch.chdir(tmp_path)
    assert expected in error_of(capsys, "train", *arguments)
    assert not list(tmp_path.iterdir()), "nothing is written"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("run: {step: 3}", "step"), ("trainer: {steps: 3}", "trainer"), ("run: {steps: many}", "many"), ("run: [", ""),
        ("labels: {border_size: many}", "many"), ("method: magic", "magic"),
        ("method: frozen\nmask: {ratio: 0.2}", "mask"),
    ],
)  # fmt: skip
def test_a_wrong_config_file_is_one_line(capsys, tmp_path, text, expected):
    (tmp_path / "c.yaml").write_text(text)
    assert expected in error_of(capsys, "train", "--config", str(tmp_path / "c.yaml"))


def test_without_arguments_the_frozen_preset_is_used():
    assert parse_train([]) == (None, frozen())


@pytest.mark.parametrize(
    "arguments",
    [
        ["photos", "--run.steps", "9", "--labels.refine"],
        ["--run.steps", "9", "photos", "--labels.refine"],
        ["--run.steps=9", "--labels.refine", "photos"],
        ["--labels.refine", "true", "photos", "--run.steps", "9", "--data.root", "photos/"],
    ],
)
def test_photos_are_short_for_the_data_s_root(arguments):
    assert parse_train(arguments)[1] == replace(
        folder(), data={"root": "photos"}, run={"steps": 9}, labels={"refine": True}
    )


def test_photos_override_the_root_of_a_config_file_and_negative_values_are_none(tmp_path):
    (tmp_path / "c.yaml").write_text("data: {root: others}\n")
    arguments = ["--config", str(tmp_path / "c.yaml"), "--network.aux_layer", "-2", "my photos"]
    assert parse_train(arguments)[1] == replace(frozen(), data={"root": "my photos"}, network={"aux_layer": -2})


def test_the_help_of_train_is_the_method_s(capsys):
    texts = {}
    for method in ("frozen", "fsr"):
        with pytest.raises(SystemExit):
            main(["train", "--help", *(["--method", "fsr"] if method == "fsr" else [])])
        texts[method] = capsys.readouterr().out
    assert "tagseg train --method fsr --help" in " ".join(texts["frozen"].split("options:")[0].split())
    assert "[PHOTOS]" in texts["frozen"].splitlines()[0]
    for flag in ("--features.size", "--labels.source", "--decoder.rate", "--beyond.pool"):
        assert (flag in texts["frozen"], flag in texts["fsr"]) == (True, flag == "--beyond.pool")
    for flag in ("--mask.ratio", "--views.size", "--speed.step", "--beyond.labels", "two random views"):
        assert (flag in texts["frozen"], flag in texts["fsr"]) == (False, True)


def test_flags_of_0_1_0_are_translated(caplog):
    arguments = ["--labels.source", "border", "--labels.border_size=64", "--optimiser.fit_classifiers", "photos"]
    beyond = {"labels": "boundary", "boundary_size": 64, "fit_classifiers": True}
    assert parse_train(arguments)[1] == replace(folder(), data={"root": "photos"}, beyond=beyond)
    assert [record.levelname for record in caplog.records] == ["INFO", "WARNING"]


def test_a_run_of_frozen_is_a_config_file_and_is_resumed(tmp_path):
    own = replace(
        frozen(), data={"root": "photos"}, labels={"source": "masks", "foreground_share": 0.2}, views={"size": 64},
        run={"output": str(tmp_path)},
    )  # fmt: skip
    save_config(own, tmp_path)
    file = str(tmp_path / "config.yaml")
    for arguments in (["--config", file], ["--config", file, "--method", "frozen"], ["--resume", str(tmp_path)]):
        assert parse_train(arguments)[1] == own
    changed = replace(own, labels={"source": "spectral"})
    assert parse_train(["--config", file, "--labels.source", "spectral"])[1] == changed


def test_a_preset_is_the_starting_point():
    assert parse_train(["--preset", "voc2012"])[1] == voc2012()
    assert parse_train(["--preset=voc2012", "--run.steps", "7"])[1] == replace(voc2012(), run={"steps": 7})


def test_a_config_file_overrides_the_preset_and_flags_override_both(tmp_path):
    (tmp_path / "c.yaml").write_text("run: {steps: 50, batch: 4}\nlosses: {affinity_from: 0.5}\n")
    _, config = parse_train(["--preset", "voc2012", "--config", str(tmp_path / "c.yaml"), "--run.steps", "60"])
    expected = replace(voc2012(), run={"steps": 60, "batch": 4}, losses={"affinity_from": 0.5})
    assert config == expected


def test_flags_override_wherever_they_stand(tmp_path):
    (tmp_path / "c.yaml").write_text("run: {steps: 50}\n")
    for arguments in (["--run.steps", "60", "--config", str(tmp_path / "c.yaml")],
                      ["--config", str(tmp_path / "c.yaml"), "--run.steps", "60"]):  # fmt: skip
        assert parse_train(arguments)[1].run.steps == 60


def test_a_runs_own_file_is_a_config_file(tmp_path):
    config = replace(voc2012(), network={"encoder_options": {"depth": 4}}, data={"classes": ("a", "b")})
    save_config(config, tmp_path)
    assert parse_train(["--config", str(tmp_path / "config.yaml")])[1] == config


def test_a_config_file_of_0_1_0_is_read_under_the_new_names(tmp_path):
    (tmp_path / "c.yaml").write_text("labels: {source: border, border_size: 64, high: 0.6}\nnetwork: {pool: 0.2}\n")
    _, config = parse_train(["--beyond.pool", "0.3", "--preset", "voc2012", "--config", str(tmp_path / "c.yaml")])
    beyond = {"labels": "boundary", "boundary_size": 64, "pool": 0.3}
    assert config == replace(voc2012(), beyond=beyond, labels={"high": 0.6})


def test_another_method_keeps_the_preset_s_settings_that_it_has(tmp_path):
    _, config = parse_train(["--method", "classifier", "--preset", "coco2014", "--optimiser.rate", "0.001"])
    expected = with_method(coco2014(), "classifier")
    assert config == replace(expected, optimiser={"rate": 1e-3})
    assert config.method == ClassifierConfig(
        CamConfig(background_threshold=0.45), OptimiserConfig(rate=1e-3, warmup=1_500)
    )
    assert parse_train(["--method", "fsr"])[1] == folder()
    save_config(config, tmp_path)
    path = str(tmp_path / "config.yaml")
    assert parse_train(["--method", "classifier", "--config", path])[1] == config
    assert parse_train(["--config", path])[1] == config


def test_a_run_of_another_method_is_resumed_with_its_own(capsys, tmp_path):
    own = with_method(replace(Config(), run={"steps": 123, "output": str(tmp_path)}), "classifier")
    save_config(own, tmp_path)
    assert parse_train(["--resume", str(tmp_path)])[1] == own
    assert parse_train(["--resume", str(tmp_path), "--method", "classifier"])[1] == own
    line = error_of(capsys, "train", "--resume", str(tmp_path), "--method", "fsr")
    assert f"{tmp_path} was trained with the method 'classifier': resume it without --method" in line


def test_flags_of_every_kind_of_value():
    _, config = parse_train(
        ["--cam.scales", "[1.0, 0.5]", "--losses.segmentation_from", "7", "--losses.affinity_from", "0.5",
         "--labels.refine", "false", "--network.encoder_options", '{"depth": 4}', "--data.classes", '["a", "b"]',
         "--run.devices", "2"]
    )  # fmt: skip
    expected = replace(
        folder(), cam={"scales": (1.0, 0.5)}, losses={"segmentation_from": 7, "affinity_from": 0.5},
        labels={"refine": False}, network={"encoder_options": {"depth": 4}}, data={"classes": ("a", "b")},
        run={"devices": 2},
    )  # fmt: skip
    assert config == expected
    assert isinstance(config.fsr.losses.segmentation_from, int)


def test_resuming_takes_the_runs_settings_and_flags_override_them(tmp_path):
    own = replace(Config(), run={"steps": 123, "output": str(tmp_path)})
    save_config(own, tmp_path)
    assert parse_train(["--resume", str(tmp_path)]) == (str(tmp_path), own)
    assert parse_train(["--resume", str(tmp_path / "last.ckpt")])[1] == own
    assert parse_train(["--resume", str(tmp_path), "--run.steps", "9"])[1] == replace(own, run={"steps": 9})


@pytest.mark.slow
def test_train_predict_and_evaluate(capsys, tagged_folder, tmp_path):
    config = tiny_config(tagged_folder, tmp_path / "run", run={"steps": 2})
    save_config(config, tmp_path)
    assert main(["train", "--config", str(tmp_path / "config.yaml")]) == 0
    assert "trained 2 steps" in capsys.readouterr().out
    images, out = str(tagged_folder / "images"), tmp_path / "out"
    assert main(["predict", str(tmp_path / "run"), images, "--output", str(out)]) == 0
    assert len(list((out / "masks").iterdir())) == 8
    assert main(["evaluate", str(tmp_path / "run"), "--scales", "[1.0]"]) == 0
    assert "mIoU" in capsys.readouterr().out
    assert main(["evaluate", "--crf", str(tmp_path / "run"), "--scales", "[1.0]", "--limit", "1"]) == 0
    assert "with CRF" in capsys.readouterr().out
    arguments = ["--crf", "--crf_settings.iterations", "2", "--output", str(tmp_path / "crf")]
    assert main(["predict", *arguments, str(tmp_path / "run"), images]) == 0
    assert len(list((tmp_path / "crf" / "masks").iterdir())) == 8
    line = error_of(capsys, "predict", str(tmp_path / "run"), images, "--crf", "--crf_settings.iterations", "-1")
    assert "crf_settings.iterations is -1, expected 0 or more" in line


@pytest.mark.slow
def test_fast_paths_can_be_chosen_and_turned_off(capsys, tagged_folder, tmp_path):
    save_network(tiny_network(), tmp_path / "net.safetensors")
    network, images, out = str(tmp_path / "net.safetensors"), str(tagged_folder / "images"), str(tmp_path / "out")
    plain = ["--batch", "1", "--read_ahead", "false", "--precision", "32"]
    fast = ["--batch", "4", "--precision", "bf16"]
    for settings in ([*plain, "--writers", "0"], [*fast, "--writers", "3"]):
        assert main(["predict", network, images, "--output", out, *settings]) == 0
    for settings in (plain, fast):
        assert main(["evaluate", network, "--data.root", str(tagged_folder), "--scales", "[1.0]", *settings]) == 0
        table = capsys.readouterr().out
        assert f"precision: {settings[-1]}" in table
        assert f"batch: {settings[1]}" in table
    for verb in ("predict", "evaluate"):
        line = error_of(capsys, verb, network, *([images] if verb == "predict" else []), "--precision", "16")
        assert "precision" in line
        assert "'32', 'bf16'" in line


@pytest.mark.parametrize(
    ("given", "understood"),
    [
        (["--crf", "RUN", "PHOTOS"], ["--crf=true", "RUN", "PHOTOS"]),
        (["RUN", "PHOTOS", "--crf"], ["RUN", "PHOTOS", "--crf=true"]),
        (["--crf", "false", "--mirror", "RUN"], ["--crf", "false", "--mirror=true", "RUN"]),
        (["--crf=false", "--size", "64"], ["--crf=false", "--size", "64"]),
        ([], []),
    ],
)
def test_a_switch_needs_no_value(given, understood):
    from tagseg.inference.predict import predict
    from tagseg.verbs.parser import make_parser, switches

    parser = make_parser("predict", "")
    parser.add_function_arguments(predict, skip={"model", "images", "output"})
    assert switches(given, parser) == understood


def test_a_network_of_other_classes_is_not_evaluated(capsys, tagged_folder, tmp_path):
    save_network(tiny_network(("a", "b")), tmp_path / "net.safetensors")
    line = error_of(capsys, "evaluate", str(tmp_path / "net.safetensors"), "--data.root", str(tagged_folder))
    assert "the model has 2 classes and folder" in line
    assert "has 3" in line


def test_ctrl_c_exits_with_130(capsys, monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt("stopped at step 3")

    monkeypatch.setattr("tagseg.verbs.train.run", stopped)
    assert main(["train"]) == 130
    assert capsys.readouterr().err.strip() == "tagseg: stopped at step 3"


def test_an_error_of_ours_exits_with_2_and_another_is_not_hidden(capsys, monkeypatch):
    def broken(*_):
        raise RuntimeError("a bug")

    monkeypatch.setattr("tagseg.verbs.train.run", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        main(["train"])
    monkeypatch.setattr("tagseg.verbs.train.run", lambda *_: (_ for _ in ()).throw(TagsegError("bad photo")))
    assert main(["train"]) == 2
    assert capsys.readouterr().err == "tagseg: error: bad photo\n"


def test_a_switch_of_train_needs_no_value():
    from tagseg.config import Config

    _, config = parse_train(["--labels.refine", "--run.steps", "9"])
    assert isinstance(config, Config)
    assert config.fsr.labels.refine
    assert config.run.steps == 9
    assert not parse_train(["--labels.refine", "false"])[1].fsr.labels.refine


@pytest.mark.parametrize("verb", ["predict", "evaluate"])
def test_a_verb_alone_says_what_it_lacks(capsys, verb):
    assert "model" in error_of(capsys, verb)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EFBIG])
def test_a_disk_without_room_is_one_line_wherever_it_is_met(capsys, monkeypatch, number):
    def write(arguments):
        raise OSError(number, os.strerror(number), "out/masks.png")

    monkeypatch.setattr(cli, "leave_terminal", lambda numbers: None)
    monkeypatch.setattr(cli, "_dispatch", write)
    assert "cannot write out/masks.png: " in error_of(capsys, "predict")


def test_what_is_printed_to_a_full_disk_is_one_line(capsys, monkeypatch):
    class Full(io.StringIO):
        def flush(self):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(cli, "leave_terminal", lambda numbers: None)
    monkeypatch.setattr(cli, "_dispatch", lambda arguments: 0)
    monkeypatch.setattr(sys, "stdout", Full())
    assert main(["check"]) == 2
    assert capsys.readouterr().err.startswith("tagseg: error: cannot write what is printed: No space left on device")


def test_other_errors_of_the_system_are_not_hidden(monkeypatch):
    def broken(arguments):
        raise OSError(errno.EBADF, "a mistake of ours")

    monkeypatch.setattr(cli, "_dispatch", broken)
    with pytest.raises(OSError, match="a mistake of ours"):
        main(["check"])


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("Unable to allocate 3.5 TiB for an array"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: you tried ..."),
        RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB.\nSee the documentation"),
    ],
)
def test_too_little_memory_is_one_line_wherever_it_is_met(capsys, monkeypatch, error):
    monkeypatch.setattr(cli, "_dispatch", lambda arguments: (_ for _ in ()).throw(error))
    assert main(["predict"]) == 2
    message = capsys.readouterr().err
    assert message.startswith("tagseg: error: not enough memory (")
    assert message.count("\n") == 1


LONG = "a" * 300


@pytest.mark.parametrize(
    "arguments", [["check", LONG], ["predict", LONG, "."], ["train", "--resume", LONG], ["report", LONG]]
)
def test_a_name_that_no_disk_takes_is_one_line(capsys, arguments):
    assert main(arguments) == 2
    message = capsys.readouterr().err
    assert "File name too long" in message or "no such" in message
    assert message.strip().splitlines()[-1].startswith("tagseg: error: ")
    assert "Traceback" not in message

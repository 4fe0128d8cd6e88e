import subprocess
import sys

import pytest
import yaml

from tagseg.config import Config, replace
from tagseg.config_file import read_config, save_config, settings_in
from tagseg.errors import TagsegError
from tagseg.frozen.config import FrozenConfig
from tagseg.methods.config import METHODS, with_method
from tagseg.old_names import RENAMED
from tagseg.presets import PRESETS


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", PRESETS)
def test_a_saved_configuration_reads_back_equal(name, method, tmp_path):
    config = with_method(PRESETS[name](), method)
    save_config(config, tmp_path / "a" / "b")
    assert read_config(tmp_path / "a" / "b" / "config.yaml") == config


def test_tuples_options_and_names_of_any_script_read_back(tmp_path):
    config = replace(
        Config(),
        data={"classes": ("Größe", "猫"), "root": "/ä ö"},
        network={"encoder_options": {"depth": 4, "qk_norm": True}},
        losses={"segmentation_from": 7, "affinity_from": 0.5},
    )
    save_config(config, tmp_path)
    read = read_config(tmp_path / "config.yaml")
    assert read == config
    assert isinstance(read.fsr.losses.segmentation_from, int)
    assert isinstance(read.fsr.losses.affinity_from, float)


def test_a_file_names_what_differs_from_the_defaults(tmp_path):
    (tmp_path / "c.yaml").write_text("run: {steps: 5}\nviews:\n  scale: [0.5, 1.0]\n")
    assert read_config(tmp_path / "c.yaml") == replace(Config(), run={"steps": 5}, views={"scale": (0.5, 1.0)})


def test_settings_of_0_1_0_are_read_under_their_new_names(tmp_path):
    (tmp_path / "c.yaml").write_text(
        "data: {root: photos, repeat_below: 0.05}\n"
        "network: {pool: 0.25, decoder_start: 0.1, drop_path: 0.2}\n"
        "labels: {source: border, border_size: 192, foreground_share: 0.2, high: 0.6}\n"
        "distillation: {teacher_sharpness: 2.0}\n"
        "optimiser: {fit_classifiers: true}\n"
    )
    beyond = {
        "labels": "boundary", "boundary_size": 192, "foreground_share": 0.2, "fit_classifiers": True,
        "decoder_start": 0.1, "pool": 0.25, "teacher_sharpness": 2.0, "repeat_below": 0.05,
    }  # fmt: skip
    expected = replace(
        Config(), data={"root": "photos"}, network={"drop_path": 0.2}, labels={"high": 0.6}, beyond=beyond
    )
    assert read_config(tmp_path / "c.yaml") == expected
    assert {new.removeprefix("beyond.") for new in RENAMED.values()} == beyond.keys()


@pytest.mark.parametrize(("old", "new"), [("cam", "cam"), ("border", "boundary"), ("masks", "masks")])
def test_sources_of_labels_of_0_1_0(tmp_path, old, new):
    (tmp_path / "c.yaml").write_text(f"labels: {{source: {old}}}\n")
    assert read_config(tmp_path / "c.yaml") == replace(Config(), beyond={"labels": new})


def test_the_method_frozen_keeps_its_own_settings_of_those_names(tmp_path):
    (tmp_path / "c.yaml").write_text(
        "method: frozen\nlabels: {source: masks, foreground_share: 0.2}\nnetwork: {pool: 0.25}\n"
    )
    expected = replace(
        Config(method=FrozenConfig()), labels={"source": "masks", "foreground_share": 0.2}, beyond={"pool": 0.25}
    )
    assert read_config(tmp_path / "c.yaml") == expected


def test_what_a_file_sets_is_read_unchecked(tmp_path):
    texts = {
        "mask: {ratio: 9}\nmethod: x\n3: y": {"mask": {"ratio": 9}, "method": "x", "3": "y"},
        "- 1": {},
        "run: [": {},
    }
    for text, expected in texts.items():
        (tmp_path / "c.yaml").write_text(text)
        assert settings_in(str(tmp_path / "c.yaml")) == expected
    assert settings_in(str(tmp_path / "absent.yaml")) == {}


WRONG = {
    "no YAML": ("run: [1", "cannot be read as YAML"),
    "a list": ("- 1\n", "expected sections"),
    "no section": ("steps: 3\n", "expected sections"),
    "empty": ("", "expected sections"),
    "unknown section": ("trainer: {steps: 3}\n", "config section 'trainer' does not exist"),
    "unknown key": ("run: {step: 3}\n", r"config key run\.step does not exist"),
    "unknown method": ("method: magic\n", "method is 'magic', expected one of: fsr, classifier"),
    "a method that is no name": ("method: {cam: {}}\n", "expected one of: fsr, classifier"),
    "section of another method": ("method: classifier\nmask: {ratio: 0.2}\n", "config section 'mask' does not exist"),
    "bad value under an old name": ("labels: {border_size: 0}\n", r"beyond\.boundary_size is 0, expected"),
    "bad value": ("run: {steps: -1}\n", r"run\.steps is -1, expected 0 or more"),
    "code": ("run: !!python/object/apply:os.system ['false']\n", "cannot be read as YAML"),
}


@pytest.mark.parametrize(("text", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_file_is_one_line(tmp_path, text, message):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(TagsegError, match=message) as caught:
        read_config(tmp_path / "c.yaml")
    assert "\n" not in str(caught.value)


def test_a_value_of_a_wrong_type_is_one_line(tmp_path):
    """In a process of its own, without the tests' type checks, which would refuse it sooner."""
    texts = ("run: {steps: many}", "views: {scale: [0.5]}", "run: {seed: 1.5}", "labels: {refine: 3}")
    files = [tmp_path / f"{index}.yaml" for index in range(len(texts))]
    for file, text in zip(files, texts, strict=True):
        file.write_text(text)
    code = """if True:
        import sys
        from pathlib import Path
        from tagseg.config_file import read_config
        from tagseg.errors import TagsegError
        for file in sys.argv[1:]:
            try:
                read_config(Path(file))
            except TagsegError as error:
                print(error)
    """
    done = subprocess.run([sys.executable, "-c", code, *map(str, files)], capture_output=True, text=True, check=True)
    assert [line.split(": change")[0] for line in done.stdout.splitlines()] == [
        "run.steps is 'many', expected 0 or more",
        "views.scale is (0.5,), expected 2 values",
        "run.seed is 1.5, expected an integer",
        "labels.refine is 3, expected true or false",
    ]


def test_a_file_that_is_absent_or_binary(tmp_path):
    (tmp_path / "c.yaml").write_bytes(b"\xff\xfe\x00")
    for name in ("c.yaml", "absent.yaml"):
        with pytest.raises(TagsegError, match="cannot be read"):
            read_config(tmp_path / name)


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TagsegError, match=r"cannot be written .*choose another --run\.output"):
        save_config(Config(), tmp_path / "file" / "run")


def test_the_file_is_for_people(tmp_path):
    save_config(PRESETS["voc2012"](), tmp_path)
    text = (tmp_path / "config.yaml").read_text()
    assert list(yaml.safe_load(text))[:4] == ["method", "data", "network", "views"]
    assert "!!" not in text

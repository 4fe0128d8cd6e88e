import pytest
import yaml

from tagseg.config import Config, replace
from tagseg.config_file import read_config, save_config
from tagseg.errors import TagsegError
from tagseg.presets import PRESETS


@pytest.mark.parametrize("name", PRESETS)
def test_a_saved_configuration_reads_back_equal(name, tmp_path):
    save_config(PRESETS[name](), tmp_path / "a" / "b")
    assert read_config(tmp_path / "a" / "b" / "config.yaml") == PRESETS[name]()


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
    assert isinstance(read.losses.segmentation_from, int)
    assert isinstance(read.losses.affinity_from, float)


def test_a_file_names_what_differs_from_the_defaults(tmp_path):
    (tmp_path / "c.yaml").write_text("run: {steps: 5}\nviews:\n  scale: [0.5, 1.0]\n")
    assert read_config(tmp_path / "c.yaml") == replace(Config(), run={"steps": 5}, views={"scale": (0.5, 1.0)})


WRONG = {
    "no YAML": ("run: [1", "cannot be read as YAML"),
    "a list": ("- 1\n", "expected sections"),
    "no section": ("steps: 3\n", "expected sections"),
    "empty": ("", "expected sections"),
    "unknown section": ("trainer: {steps: 3}\n", "config section 'trainer' does not exist"),
    "unknown key": ("run: {step: 3}\n", r"config key run\.step does not exist"),
    "bad value": ("run: {steps: 0}\n", r"run\.steps is 0, expected 1 or more"),
    "code": ("run: !!python/object/apply:os.system ['false']\n", "cannot be read as YAML"),
}


@pytest.mark.parametrize(("text", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_file_is_one_line(tmp_path, text, message):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(TagsegError, match=message) as caught:
        read_config(tmp_path / "c.yaml")
    assert "\n" not in str(caught.value)


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
    assert list(yaml.safe_load(text))[:3] == ["data", "network", "views"]
    assert "!!" not in text

"""Runs of 0.1.0: a checkpoint without ``method.`` before the names, settings under their old names."""

import shutil

import pytest
import torch
import yaml

from tagseg.cli import main
from tagseg.config import replace
from tagseg.config_file import read_config
from tagseg.errors import TagsegError
from tagseg.old_names import RENAMED
from tagseg.training.checkpoint_hash import SEALED
from tagseg.training.train import train
from tagseg.verbs.train import parse_train

from ..conftest import tiny_config
from .conftest import At, stop, weights_equal

pytestmark = pytest.mark.slow


def as_of_0_1_0(path):
    """Rewrite a checkpoint as 0.1.0 wrote it."""
    checkpoint = torch.load(path, weights_only=True)
    state = checkpoint["state_dict"]
    assert all(name.startswith(("method.", "validation.")) for name in state)
    checkpoint["state_dict"] = {name.removeprefix("method."): value for name, value in state.items()}
    assert {"centres.token", "student.classifier.weight"} < checkpoint["state_dict"].keys()
    for name in (SEALED, "watch"):
        del checkpoint[name]
    del checkpoint["callbacks"]["WholeSteps"]
    torch.save(checkpoint, path)


def with_old_names(path):
    """Rewrite a run's configuration as 0.1.0 wrote it."""
    sections = yaml.safe_load(path.read_text())
    assert sections.pop("method") == "fsr"
    for old, new in RENAMED.items():
        section, key = old.split(".")
        sections[section][key] = sections["beyond"].pop(new.removeprefix("beyond."))
    assert sections.pop("beyond") == {"start_share": 0.0}, "what 0.1.0 did not have"
    del sections["run"]["matmul_precision"]
    sections["labels"]["source"] = {"boundary": "border"}.get(
        sections["labels"]["source"], sections["labels"]["source"]
    )
    path.write_text(yaml.safe_dump(sections, sort_keys=False))


def test_a_checkpoint_resumes_as_if_never_interrupted(run, tmp_path):
    config, result = run
    checkpoint = shutil.copy(result.folder / "kept.ckpt", tmp_path / "kept.ckpt")
    as_of_0_1_0(checkpoint)
    resumed = train(replace(config, run={"output": str(tmp_path / "run")}), resume=checkpoint)
    assert resumed.steps == 8
    assert weights_equal(resumed.folder, result.folder)
    assert weights_equal(resumed.folder, result.folder, "last_teacher.safetensors")


def test_a_checkpoint_of_another_network_is_one_line(run, tmp_path):
    config, result = run
    checkpoint = shutil.copy(result.folder / "kept.ckpt", tmp_path / "kept.ckpt")
    as_of_0_1_0(checkpoint)
    other = replace(config, network={"prototypes": 16}, run={"output": str(tmp_path / "run")})
    with pytest.raises(TagsegError, match=r"kept\.ckpt: its network is not the configuration's") as caught:
        train(other, resume=checkpoint)
    assert "\n" not in str(caught.value)


BEYOND = {
    "boundary": {"labels": "boundary", "boundary_size": 48, "foreground_share": 0.2, "fit_classifiers": True,
                 "decoder_start": 0.1, "pool": 0.25, "teacher_sharpness": 2.0, "repeat_below": 0.5},
    "masks": {"labels": "masks"},
    "cam": {},
}  # fmt: skip


@pytest.mark.parametrize("beyond", BEYOND.values(), ids=BEYOND)
def test_a_run_resumes_from_the_command_line_with_its_own_settings(tagged_folder, tmp_path, beyond):
    settings = {"beyond": beyond, "losses": {"segmentation_from": 0}, "run": {"steps": 5, "validate_every": 1}}
    whole = train(tiny_config(tagged_folder, tmp_path / "whole", **settings))
    config = tiny_config(tagged_folder, tmp_path / "parts", **settings)
    with pytest.raises(KeyboardInterrupt):
        train(config, callbacks=[At(3, stop)])
    as_of_0_1_0(tmp_path / "parts" / "last.ckpt")
    with_old_names(tmp_path / "parts" / "config.yaml")
    assert "beyond" not in (tmp_path / "parts" / "config.yaml").read_text()
    assert read_config(tmp_path / "parts" / "config.yaml") == config
    assert parse_train(["--config", str(tmp_path / "parts" / "config.yaml")])[1] == config
    assert main(["train", "--resume", str(tmp_path / "parts")]) == 0
    assert weights_equal(tmp_path / "parts", whole.folder)
    assert weights_equal(tmp_path / "parts", whole.folder, "last_teacher.safetensors")

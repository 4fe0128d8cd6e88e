"""Trainings that go on from a checkpoint, and checkpoints that cannot be gone on from."""

import shutil

import pytest
import torch

from tagseg.config import replace
from tagseg.errors import TagsegError
from tagseg.training.train import train

from ..conftest import tiny_config
from .conftest import At, logged, stop, weights_equal

pytestmark = pytest.mark.slow


def test_a_run_resumed_from_a_checkpoint_equals_one_that_was_not_interrupted(run, tmp_path):
    config, result = run
    resumed = train(replace(config, run={"output": str(tmp_path)}), resume=result.folder / "kept.ckpt")
    assert resumed.steps == 8
    assert weights_equal(resumed.folder, result.folder)
    assert weights_equal(resumed.folder, result.folder, "last_teacher.safetensors")
    whole, tail = logged(result.folder), logged(tmp_path)
    assert {step for step, values in tail.items() if "train/loss" in values} == {4, 5, 6, 7}
    assert all(tail[step]["train/loss"] == whole[step]["train/loss"] for step in range(4, 8))


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_run_stopped_by_the_user_resumes_where_it_was(tagged_folder, tmp_path, accumulate):
    """The numbers of its logged steps are not shifted by one either."""
    options = {"steps": 5, "batch": 2, "accumulate": accumulate, "log_every": 2}
    whole = train(tiny_config(tagged_folder, tmp_path / "whole", run=options))
    config = tiny_config(tagged_folder, tmp_path / "parts", run=options)
    with pytest.raises(KeyboardInterrupt, match=r"stopped at step 3: go on with --resume"):
        train(config, callbacks=[At(3, stop)])
    resumed = train(config, resume=tmp_path / "parts")
    assert resumed.steps == 5
    assert weights_equal(resumed.folder, whole.folder)
    assert logged(resumed.folder) == logged(whole.folder)
    assert logged(resumed.folder).keys() == {1, 3}


def test_resuming_a_finished_run_changes_nothing(run, tmp_path):
    config, result = run
    folder = shutil.copytree(result.folder, tmp_path / "copy")
    again = train(replace(config, run={"output": str(folder)}), resume=folder)
    assert again.steps == 8
    assert again.network == folder / "best.safetensors"
    assert weights_equal(folder, result.folder)


def test_a_resumed_run_can_be_longer(run, tmp_path):
    config, result = run
    longer = replace(config, run={"output": str(tmp_path), "steps": 10})
    assert train(longer, resume=result.folder / "last.ckpt").steps == 10


def test_a_resumed_run_can_have_another_rate(run, tmp_path):
    """The message of a loss that is not finite advises it."""
    config, result = run
    other = replace(config, run={"output": str(tmp_path)}, optimiser={"rate": 1e-9})
    rates = []
    watch = At(5, lambda trainer, _: rates.append(trainer.optimizers[0].param_groups[0]["lr"]))
    train(other, resume=result.folder / "kept.ckpt", callbacks=[watch])
    assert 0 < rates[0] <= 1e-9


class Evil:
    """Unpickling it writes a file."""

    path = ""

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.mark.parametrize("kind", ["truncated", "empty", "code", "no checkpoint"])
def test_a_damaged_checkpoint_is_one_line(run, tmp_path, kind):
    config, result = run
    path = tmp_path / "last.ckpt"
    content = (result.folder / "kept.ckpt").read_bytes()
    path.write_bytes(content[: len(content) // 2] if kind == "truncated" else b"")
    if kind == "code":
        Evil.path = str(tmp_path / "executed")
        torch.save({"state_dict": {}, "evil": Evil()}, path)
    if kind == "no checkpoint":
        torch.save({"weight": torch.ones(1)}, path)
    with pytest.raises(TagsegError, match=r"last\.ckpt") as caught:
        train(replace(config, run={"output": str(tmp_path / "run")}), resume=path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "executed").exists()


def test_a_checkpoint_of_another_network_is_one_line(run, tmp_path):
    config, result = run
    other = replace(config, network={"prototypes": 16}, run={"output": str(tmp_path)})
    with pytest.raises(
        TagsegError, match=r"kept\.ckpt: its network is not the configuration's \(method\.student\.projector"
    ) as caught:
        train(other, resume=result.folder / "kept.ckpt")
    assert "\n" not in str(caught.value)


def test_nothing_to_resume_from(run, tmp_path):
    config, _ = run
    for path in (tmp_path, tmp_path / "absent.ckpt"):
        with pytest.raises(TagsegError, match="no checkpoint to resume from"):
            train(config, resume=path)


def test_a_checkpoint_of_other_classes_is_refused(run, tmp_path):
    config, result = run
    names = tmp_path / "names.txt"
    names.write_text("circle\ntriangle\nsquare\n")
    other = replace(config, data={"classes": str(names)}, run={"output": str(tmp_path / "out")})
    with pytest.raises(TagsegError, match="the checkpoint has 3 classes"):
        train(other, resume=result.folder / "kept.ckpt")

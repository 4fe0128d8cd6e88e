"""A training that is killed anywhere and goes on is, bit for bit, the one that was left alone, logs and scores too.

A copy of the run's folder at some moment is what a kill in that moment leaves; ``benchmarks/kills.py`` kills processes.
"""

import copy
import csv
import shutil

import pytest
import torch
from lightning.pytorch import Callback

from tagseg.config import RunConfig, replace
from tagseg.model.checkpoint import read_about
from tagseg.training.checkpoint_file import load_checkpoint
from tagseg.training.checkpoints import LastCheckpoint
from tagseg.training.collapse import Watch
from tagseg.training.loggers import make_loggers
from tagseg.training.progress_file import cut_after, read_progress
from tagseg.training.run_folder import CHECKPOINT
from tagseg.training.superseded import clear_superseded
from tagseg.training.train import train
from tagseg.training.trainer import make_trainer
from tagseg.training.whole_steps import set_progress

from ..conftest import tiny_config
from .conftest import events, logged, weights_equal


class Copies(Callback):
    """Copies the run's folder at some moments, as a kill there would leave it."""

    def __init__(self, run, place):
        self.run, self.place = run, place

    def copy(self, name):
        shutil.copytree(self.run, self.place / name)

    def on_validation_batch_end(self, trainer, *_):
        """Saved before the scores, which are not known."""
        self.copy(f"scoring_{trainer.global_step}")

    def on_train_batch_start(self, trainer, *_):
        """Losses of two steps, and scores, that are in no checkpoint."""
        if trainer.global_step == 6:
            self.copy("step_6")


def state_of(folder, name=CHECKPOINT):
    state = load_checkpoint(folder / name)
    for values in state["callbacks"].values():
        for key in ("dirpath", "best_model_path", "kth_best_model_path"):
            values.pop(key, None)
        if "best_k_models" in values:
            values["best_k_models"] = list(values["best_k_models"].values())
    return state


def assert_same(one, other, place=""):
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other), place
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), place
        for key in one:
            assert_same(one[key], other[key], f"{place}/{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), place
        for index, (a, b) in enumerate(zip(one, other, strict=True)):
            assert_same(a, b, f"{place}/{index}")
    else:
        assert one == other, place


def assert_equal_runs(run, whole):
    for name in (CHECKPOINT, "best.ckpt"):
        assert_same(state_of(run, name), state_of(whole, name), name)
    for path in whole.glob("*.safetensors"):
        assert weights_equal(run, whole, path.name), path.name
        assert read_about(run / path.name) == read_about(path)
    assert logged(run) == logged(whole)
    steps = [record["step"] for record in read_progress(run) if record["stage"] == "training"]
    assert steps == sorted(steps)


@pytest.fixture(scope="module")
def killed(tagged_folder, tmp_path_factory):
    """Eight steps, scored after every second one, and copies of its folder."""
    place = tmp_path_factory.mktemp("killed")
    options = {"steps": 8, "validate_every": 2, "log_every": 1}
    config = tiny_config(tagged_folder, place / "whole", run=options)
    return config, train(config, callbacks=[Copies(place / "whole", place)])


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["step_6", "scoring_8"])
def test_what_a_kill_leaves_goes_on_as_if_nothing_had_happened(killed, moment):
    """The copy is in another folder, as a run that was moved: its best score is known there, too."""
    config, whole = killed
    run = whole.folder.parent / moment
    resumed = train(replace(config, run={"output": str(run)}), resume=run)
    assert (resumed.steps, resumed.scores) == (whole.steps, whole.scores)
    assert_equal_runs(run, whole.folder)


@pytest.mark.slow
def test_a_torn_checkpoint_costs_two_steps_and_nothing_else(killed, caplog):
    config, whole = killed
    run = whole.folder.parent / "scoring_6"
    content = (run / CHECKPOINT).read_bytes()
    (run / CHECKPOINT).write_bytes(content[: len(content) // 2])
    train(replace(config, run={"output": str(run)}), resume=run)
    assert (
        caplog.text.count("last.ckpt: not a whole checkpoint (it is cut off or damaged): going on from previous") == 1
    )
    assert_equal_runs(run, whole.folder)


def loops(step, form):
    """The state of Lightning's loops, as some hooks leave it."""
    ready, completed = form
    counts = {"ready": ready, "started": ready, "processed": completed, "completed": completed}
    both = {"total": counts, "current": dict(counts)}
    return {
        "fit_loop": {
            "epoch_progress": copy.deepcopy(both),
            "epoch_loop.batch_progress": copy.deepcopy(both) | {"is_last_batch": True},
            "epoch_loop.val_loop.batch_progress": copy.deepcopy(both) | {"is_last_batch": True},
            "epoch_loop.scheduler_progress": {"total": {"ready": 9, "completed": 9}, "current": {}},
            "epoch_loop.automatic_optimization.optim_progress": {
                "optimizer": {
                    name: {of: {"ready": ready, "completed": completed} for of in both}
                    for name in ("step", "zero_grad")
                }
            },
            "epoch_loop.state_dict": {"_batches_that_stepped": ready},
        }
    }


@pytest.mark.parametrize("step", [0, 1, 5])
def test_a_checkpoint_says_the_same_of_a_step_whichever_hook_it_is_from(step):
    states = [loops(step, form) for form in ((step, step), (step + 1, step), (2 * step + 1, 2 * step))]
    for state in states:
        set_progress(state, step)
    assert states[0] == states[1] == states[2]
    fit = states[0]["fit_loop"]
    assert fit["epoch_loop.batch_progress"]["total"]["ready"] == step
    assert fit["epoch_loop.state_dict"] == {"_batches_that_stepped": max(0, step - 1)}
    assert fit["epoch_loop.scheduler_progress"]["current"] == {}, "no count is added"


def test_what_the_watch_has_seen_is_saved_and_comes_back():
    def watch():
        return Watch(1000, 4, ("background", "cat"), 32, stop=True, cause="?", harmless="?")

    first, second = watch(), watch()
    for step in range(3):
        first.observe(step, {"tag_loss": torch.tensor(0.5 + step), "certain_teacher_entropy": torch.tensor(1.0)})
    first.told.add("tags")
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    assert_same(second.state_dict(), first.state_dict())
    for one in (first, second):
        one.observe(3, {"tag_loss": torch.tensor(0.25)})
    assert_same(second.state_dict(), first.state_dict())
    assert second.told == {"tags"}


def test_lines_of_steps_that_are_done_again_are_cut_off(tmp_path):
    path = tmp_path / "progress.jsonl"
    lines = [
        '{"stage": "training", "step": 1}', "not ours", '{"stage": "scoring", "step": 5}',
        '{"stage": "training", "step": 2}', '{"stage": "training", "step": 3}', '{"stage": "scoring", "step": 0}',
    ]  # fmt: skip
    path.write_text("".join(f"{line}\n" for line in lines))
    cut_after(path, 3)
    assert path.read_text().splitlines() == lines
    cut_after(path, 2)
    assert path.read_text().splitlines() == lines[:4]
    cut_after(tmp_path / "absent", 0)


def test_what_a_killed_training_has_left_is_cleared(tmp_path):
    logs = tmp_path / "logs" / "part_0" / "metrics.csv"
    logs.parent.mkdir(parents=True)
    with logs.open("w", newline="") as file:
        csv.writer(file).writerows([("step", "train/loss"), (0, 1), (1, 2)])
    for name in (".last.ckpt.tmp", ".previous.ckpt.tmp", "last.safetensors.part", "last.ckpt", "mine.part"):
        (tmp_path / name).touch()
    clear_superseded(tmp_path, 1)
    assert {path.name for path in tmp_path.iterdir()} == {"logs", "last.ckpt", "mine.part"}
    assert logged(tmp_path) == {0: {"train/loss": 1.0}}
    clear_superseded(tmp_path / "absent", 0)


def test_where_nothing_is_scored_a_checkpoint_is_saved_after_each_tenth(tmp_path):
    config = tiny_config(tmp_path, tmp_path / "run", run={"steps": 200, "validate_every": 0, "logger": "none"})
    trainer = make_trainer(config, tmp_path / "run", None)
    (last,) = [one for one in trainer.checkpoint_callbacks if isinstance(one, LastCheckpoint)]
    assert last.every == 20


def test_tensorboard_shows_no_step_twice(tmp_path):
    run = RunConfig(output=str(tmp_path), logger="tensorboard")
    for first, value in ((0, 1.0), (3, 2.0)):
        loggers = make_loggers(run, tmp_path, first)
        for step in range(first, 5):
            for one in loggers:
                one.log_metrics({"train/loss": value}, step)
        for one in loggers:
            one.finalize("success")
    shown = [(point.step, point.value) for point in events(tmp_path).Scalars("train/loss")]
    assert shown == [(0, 1.0), (1, 1.0), (2, 1.0), (3, 2.0), (4, 2.0)]

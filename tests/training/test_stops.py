"""Signals end a training by steps where its state is whole, and a run that goes on equals one that was not stopped."""

import multiprocessing
import os
import signal
import stat

import pytest
import torch
from lightning.pytorch import Callback

from tagseg.stopping import ENDING, Stopped
from tagseg.training import slurm
from tagseg.training.progress_file import read_progress
from tagseg.training.train import train

from ..conftest import tiny_config
from .conftest import At, logged, stop, weights_equal

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("signals_as_in_a_terminal")]


def send(number):
    return lambda *_: os.kill(os.getpid(), number)


class InStep(Callback):
    """Does something in the middle of a step, when the gradients are there."""

    def __init__(self, step, action):
        self.step, self.action = step, action

    def on_after_backward(self, trainer, module):
        if trainer.global_step == self.step:
            self.action(trainer, module)


class InValidation(Callback):
    def __init__(self, action):
        self.action, self.batches = action, 0

    def on_validation_batch_start(self, *_):
        self.batches += 1
        self.action()


class Impatient(Callback):
    """Asks to stop again and again while the state is saved."""

    def on_exception(self, *_):
        os.kill(os.getpid(), signal.SIGTERM)

    def on_save_checkpoint(self, trainer, *_):
        if trainer.state.status == "interrupted":
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGTERM)


def saved_step(folder):
    return torch.load(folder / "last.ckpt", weights_only=True)["global_step"]


def test_a_signal_in_a_step_stops_after_it_and_the_run_that_goes_on_equals_a_whole_one(tagged_folder, tmp_path):
    run = {"steps": 3, "validate_every": 2}
    train(tiny_config(tagged_folder, tmp_path / "whole", run=run))
    output = tmp_path / "run"
    config = tiny_config(tagged_folder, output, run=run)
    before = [signal.getsignal(one) for one in (signal.SIGINT, *ENDING)]
    with pytest.raises(Stopped, match=rf"^stopped at step 1: go on with --resume {output}$") as caught:
        train(config, callbacks=[InStep(0, send(signal.SIGTERM)), Impatient()])
    assert caught.value.number == signal.SIGTERM
    assert [signal.getsignal(one) for one in (signal.SIGINT, *ENDING)] == before
    assert read_progress(output)[-1]["state"] == "stopped"
    assert saved_step(output) == 1
    assert train(config, resume=output).steps == 3
    assert weights_equal(output, tmp_path / "whole")
    assert weights_equal(output, tmp_path / "whole", "last_teacher.safetensors")
    assert logged(output) == logged(tmp_path / "whole")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_other_signals_stop_alike(tagged_folder, tmp_path, number, monkeypatch):
    monkeypatch.setattr("tagseg.training.stops.leave_terminal", lambda terminals: None)
    with pytest.raises(Stopped, match=r"^stopped at step 1: go on") as caught:
        train(tiny_config(tagged_folder, tmp_path), callbacks=[InStep(0, send(number))])
    assert caught.value.number == number


def test_a_signal_while_photos_are_scored_stops_between_them(tagged_folder, tmp_path):
    config = tiny_config(tagged_folder, tmp_path, run={"validate_every": 1, "val_batch": 1})
    scored = InValidation(send(signal.SIGTERM))
    with pytest.raises(Stopped, match=r"^stopped at step 1: go on"):
        train(config, callbacks=[scored])
    assert saved_step(tmp_path) == 1
    assert scored.batches == 1, "the second of two photos was not scored"


@pytest.mark.processes
def test_no_reader_is_left_that_the_interpreter_would_wait_for(tagged_folder, tmp_path):
    config = tiny_config(tagged_folder, tmp_path, run={"validate_every": 1, "workers": 1})
    counts = []
    scored = InValidation(lambda: (counts.append(len(multiprocessing.active_children())), send(signal.SIGTERM)()))
    with pytest.raises(Stopped) as caught:
        train(config, callbacks=[scored])
    assert counts[0] > 1, "readers of both loaders"
    assert not multiprocessing.active_children(), caught.value


def test_a_second_ctrl_c_stops_at_once_and_keeps_the_checkpoint_before(tagged_folder, tmp_path):
    def twice(*_):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(
        KeyboardInterrupt, match=r"^stopped in the middle of the step after 1, which is not saved: go on"
    ):
        train(tiny_config(tagged_folder, tmp_path), callbacks=[InStep(1, twice)])
    assert saved_step(tmp_path) == 1


def test_before_the_first_step_there_is_nothing_to_go_on_from(tagged_folder, tmp_path):
    with pytest.raises(KeyboardInterrupt, match=r"^stopped before the first step was done: start it again"):
        train(tiny_config(tagged_folder, tmp_path, run={"validate_every": 6}), callbacks=[At(0, stop)])
    assert not (tmp_path / "last.ckpt").exists()


@pytest.fixture
def scontrol(tmp_path, monkeypatch):
    """SLURM's command on the path, with the exit code of the environment; it writes what it is asked."""
    file = tmp_path / "bin" / "scontrol"
    file.parent.mkdir()
    file.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\necho "not yours" >&2\nexit ${{CODE:-0}}\n')
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{file.parent}:{os.environ['PATH']}")
    job = {"JOB_ID": 99, "ARRAY_JOB_ID": 12, "ARRAY_TASK_ID": 7, "JOB_NAME": "train", "NTASKS": 1,
           "NTASKS_PER_NODE": 1, "PROCID": 0, "LOCALID": 0, "NODEID": 0, "NNODES": 1}  # fmt: skip
    for name, value in job.items():
        monkeypatch.setenv(f"SLURM_{name}", str(value))
    return tmp_path / "asked"


def test_a_job_of_slurm_whose_time_is_up_is_saved_and_queued_again(tagged_folder, tmp_path, scontrol):
    output = tmp_path / "run"
    with pytest.raises(Stopped, match=r"^stopped at step 1, job 12_7 is queued again: go on with --resume") as caught:
        train(tiny_config(tagged_folder, output), callbacks=[InStep(0, send(signal.SIGUSR1))])
    assert caught.value.number == signal.SIGUSR1
    assert scontrol.read_text() == "requeue 12_7\n"
    assert saved_step(output) == 1
    assert not list(output.glob("hpc_ckpt*")), "Lightning's own state is not the one that a run goes on from"


def test_a_job_that_cannot_be_queued_again_says_why(scontrol, monkeypatch):
    monkeypatch.setenv("CODE", "1")
    assert slurm.requeue() == "job 12_7 could not be queued again (scontrol: not yours)"
    monkeypatch.setenv("PATH", "")
    assert "could not be queued again (" in slurm.requeue()


def test_outside_slurm_its_signal_is_not_ours(monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    assert slurm.requeue_signals() == ()
    monkeypatch.setenv("SLURM_JOB_ID", "1; rm")
    assert slurm.job() is None

"""Trainings in processes of their own: stopped with Ctrl-C, and shared by two."""

import csv
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from lightning.pytorch.strategies import DDPStrategy

from tagseg.config import RunConfig, replace
from tagseg.config_file import save_config
from tagseg.data import sources
from tagseg.data.sampler import StepSampler
from tagseg.errors import TagsegError
from tagseg.model.checkpoint import read_about
from tagseg.training import module
from tagseg.training.progress_file import read_progress
from tagseg.training.train import train
from tagseg.training.trainer import check_shares, strategy_for

from ..conftest import TINY, make_folder, tiny_config
from .conftest import events

pytestmark = pytest.mark.slow

PATIENCE = 600
"""Seconds; a busy machine takes long to import PyTorch."""


def command(config, folder, *arguments):
    save_config(config, folder)
    return [sys.executable, "-m", "tagseg.cli", "train", "--config", str(folder / "config.yaml"), *arguments]


@pytest.mark.processes
def test_ctrl_c_leaves_a_checkpoint_that_resumes(tagged_folder, tmp_path):
    output = tmp_path / "run"
    config = tiny_config(tagged_folder, output, run={"steps": 100_000, "validate_every": 1})
    ours = signal.signal(signal.SIGINT, signal.default_int_handler)  # a test run in the background ignores it,
    process = subprocess.Popen(command(config, tmp_path), stderr=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, ours)  # and so would what it starts
    assert process.stderr is not None
    deadline = time.monotonic() + PATIENCE
    while not (output / "last.ckpt").exists():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert f"go on with --resume {output}" in errors.splitlines()[-1]
    step = int(errors.split("stopped at step ")[1].split(":")[0])
    assert step >= 1
    resumed = train(replace(config, run={"steps": step + 1, "validate_every": 0}), resume=output)
    assert resumed.steps == step + 1


def run_with_two(config, folder):
    return subprocess.run(
        command(config, folder), stderr=subprocess.PIPE, text=True, timeout=PATIENCE, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def logged(output):
    with (output / "logs" / "part_0" / "metrics.csv").open() as file:
        measured = ("speed/", "memory/")  # differ from run to run
        rows = [
            {name: float(value) for name, value in row.items() if value and not name.startswith(measured)}
            for row in csv.DictReader(file)
        ]
    return [row for row in rows if "train/loss" in row]


def saved(output):
    return torch.load(output / "last.ckpt", weights_only=True)


def assert_same_training(ours, theirs, exact):
    """Compare student, teacher, centres and AdamW's averages of the gradients.

    A softmax does not see the bias of an attention's keys: its gradient is rounding alone, which AdamW enlarges to
    whole steps. In float64 the rounding is far below AdamW's epsilon, so these biases agree too.
    """
    names = [n for n in theirs["state_dict"] if exact or not n.endswith(("qkv.bias", "key.bias"))]
    apart = {n: (ours["state_dict"][n] - theirs["state_dict"][n]).abs().max().item() for n in names}
    assert max(apart.values()) < (1e-10 if exact else 1e-5), max(apart, key=lambda name: apart[name])
    mine, others = (one["optimizer_states"][0]["state"] for one in (ours, theirs))
    assert mine.keys() == others.keys()
    assert len(mine) > 50
    for key, other in others.items():
        gradient, average = mine[key]["exp_avg"], other["exp_avg"]
        assert (gradient - average).abs().max() <= (1e-12 if exact else 1e-9 + 1e-4 * average.abs().max())


@pytest.mark.processes
@pytest.mark.parametrize(
    ("form", "precision", "dense_from", "parts"), [("fast", "32", 0, 1), ("plain", "64-true", 1, 2)]
)
def test_two_processes_train_as_one_does(tagged_folder, tmp_path, form, precision, dense_from, parts):
    """Every loss of every step, and what is trained; the last photo, without tags, is in one process's share alone.

    Also where each process takes its share in parts.
    """
    config = tiny_config(
        tagged_folder, tmp_path / "one",
        run={"steps": 4, "batch": 4, "validate_every": 4, "precision": precision},
        network={**vars(TINY), "drop_path": 0.5}, mask={"random_until": 0}, losses={"segmentation_from": dense_from},
        distillation={"teacher_momentum": (0.5, 0.5)}, optimiser={"rate": 1e-4, "warmup": 0}, speed={"step": form},
    )  # fmt: skip
    one = train(config)
    two = replace(config, run={"output": str(tmp_path / "two"), "devices": 2, "accumulate": parts})
    done = run_with_two(two, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "UserWarning" not in done.stderr

    exact = precision == "64-true"
    alone, shared = logged(tmp_path / "one"), logged(tmp_path / "two")
    assert {"train/energy", "train/affinity", "train/uncertain", "distillation/certain_kl"} <= alone[-1].keys()
    assert len(shared) == 4
    for ours, theirs in zip(shared, alone, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-6 if exact else 1e-4, abs=1e-9)
    assert_same_training(saved(tmp_path / "two"), saved(tmp_path / "one"), exact)
    scores = read_about(tmp_path / "two" / "last.safetensors")["scores"]
    assert scores == pytest.approx(one.scores, abs=0.01), "each process scores its share, together all"


@pytest.mark.processes
def test_labels_made_before_the_first_step_are_made_by_one_process_for_all(tagged_folder, tmp_path):
    beyond = {"labels": "boundary", "boundary_size": 48}
    run = {"devices": 2, "steps": 2, "logger": "tensorboard", "pictures": 2}
    config = tiny_config(tagged_folder, tmp_path / "run", run=run, beyond=beyond)
    done = run_with_two(config, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("making pseudo-labels of 6 images") == 1
    assert len(list((tmp_path / "run" / "labels").glob("*.png"))) == 6
    # And logs are written by one process for all.
    assert len(list((tmp_path / "run" / "tensorboard").glob("events.*"))) == 1
    assert [one.step for one in events(tmp_path / "run").Images("photos")] == [0, 2]
    records = read_progress(tmp_path / "run")
    assert [record["state"] for record in records].count("done") == 1
    assert [record["step"] for record in records] == sorted(record["step"] for record in records)


@pytest.mark.processes
def test_a_process_left_alone_ends_in_one_line(tmp_path):
    root, config = make_folder(tmp_path / "photos", train=20), tiny_config(tmp_path / "photos", tmp_path / "run")
    share = iter(StepSampler(20, config.run.batch, config.run.seed, part=(1, 2)))
    (_, first), *_ = next(share)
    photo = sources.load(config.data, "train", masks=False).samples[first].image
    photo.write_bytes(photo.read_bytes()[:300])
    done = run_with_two(replace(config, run={"devices": 2}), root)
    assert done.returncode == 2
    assert f"{photo} cannot be read" in done.stderr
    # By the connection that ends, or by the watch where the other one takes long to end.
    assert "lost another process" in done.stderr or "lost process 1 of this training" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_loss_that_is_not_finite_in_another_process_stops_this_one_too(tagged_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "averaged", lambda values: values * float("nan"))
    with pytest.raises(TagsegError, match=r"step 0: loss term .* is nan"):
        train(tiny_config(tagged_folder, tmp_path))


@pytest.mark.parametrize(("batch", "accumulate", "processes"), [(3, 1, 2), (4, 2, 4), (6, 4, 1)])
def test_unequal_shares_are_refused(batch, accumulate, processes):
    expected = rf"run\.batch is {batch}, expected a multiple of (run\.accumulate = )?{processes * accumulate}"
    with pytest.raises(TagsegError, match=expected):
        check_shares(RunConfig(batch=batch, accumulate=accumulate), processes)
    check_shares(RunConfig(batch=2 * processes * accumulate, accumulate=accumulate), processes)


def test_unequal_shares_are_refused_before_any_process_starts(tagged_folder, tmp_path):
    with pytest.raises(TagsegError, match=r"run\.batch is 3"):
        train(tiny_config(tagged_folder, tmp_path, run={"devices": 2, "batch": 3}))


@pytest.mark.parametrize(
    ("run", "gpus", "several"),
    [
        ({"devices": 1}, 2, False),
        ({"devices": "auto"}, 1, False),
        ({"devices": "auto"}, 2, True),
        ({"devices": "auto", "accelerator": "cpu"}, 2, False),
        ({"devices": 2}, 0, True),
        ({"devices": 1, "nodes": 2}, 1, True),
    ],
)
def test_several_processes_exchange_no_buffers_and_may_leave_the_decoder_unused(monkeypatch, run, gpus, several):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    strategy = strategy_for(RunConfig(**run))
    if not several:
        assert strategy == "auto"
    else:
        assert isinstance(strategy, DDPStrategy)
        assert strategy._ddp_kwargs["find_unused_parameters"]
        assert not strategy._ddp_kwargs["broadcast_buffers"]


def test_a_strategy_asked_for_by_name_is_kept():
    assert strategy_for(RunConfig(strategy="ddp_spawn", devices=2)) == "ddp_spawn"

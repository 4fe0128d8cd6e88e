"""Trainings in processes of their own: stopped with Ctrl-C, and shared by two."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tagseg.config import replace
from tagseg.config_file import save_config
from tagseg.model.checkpoint import read_about, read_weights
from tagseg.training.train import train

from ..conftest import tiny_config

PATIENCE = 600
"""Seconds; a busy machine takes long to import PyTorch."""


def command(config, folder, *arguments):
    save_config(config, folder)
    return [sys.executable, "-m", "tagseg.cli", "train", "--config", str(folder / "config.yaml"), *arguments]


@pytest.mark.processes
def test_ctrl_c_leaves_a_checkpoint_that_resumes(tagged_folder, tmp_path):
    output = tmp_path / "run"
    config = tiny_config(tagged_folder, output, run={"steps": 100_000, "validate_every": 1})
    process = subprocess.Popen(command(config, tmp_path), stderr=subprocess.PIPE, text=True)
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


@pytest.mark.processes
def test_two_processes_train_one_network(tagged_folder, tmp_path):
    """Two halves of each batch give the classification loss of the whole; other terms are batch-wise."""
    changes = {
        "losses": {"affinity": 0.0, "segmentation": 0.0, "energy": 0.0},
        "mask": {"choice": "none"},
        "network": {"drop_path": 0.0},
    }
    two = tiny_config(tagged_folder, tmp_path / "two", run={"steps": 2, "devices": 2, "validate_every": 2}, **changes)
    done = subprocess.run(
        command(two, tmp_path), stderr=subprocess.PIPE, text=True, timeout=PATIENCE, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    one = train(replace(two, run={"output": str(tmp_path / "one"), "devices": 1}))
    ours, theirs = (read_weights(tmp_path / name / "last.safetensors") for name in ("two", "one"))
    apart = {name: (ours[name] - theirs[name]).abs().max().item() for name in ours}
    assert max(apart.values()) < 1e-5, max(apart, key=apart.get)
    scores = read_about(tmp_path / "two" / "last.safetensors")["scores"]
    assert scores == pytest.approx(one.scores, abs=0.01), "each process scores its share, together all"

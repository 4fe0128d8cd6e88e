"""A plain training, from labels to scores, needs nothing of ``tagseg.fast``."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

PATIENCE = 600
"""Seconds; a busy machine takes long to import PyTorch."""

TRAINING = """
import sys
from pathlib import Path
from tagseg.training.train import train
from tests.conftest import make_folder, tiny_config

folder, step = Path(sys.argv[1]), sys.argv[2]
data = make_folder(folder / "data")
for labels in ("cam", "boundary"):
    run = {"steps": 6, "validate_every": 3}
    config = tiny_config(data, folder / labels, speed={"step": step}, beyond={"labels": labels}, run=run)
    assert train(config).steps == 6
    assert (folder / labels / "best.safetensors").is_file(), "it was scored"
print("imported:", *(name for name in sys.modules if f"{name}.".startswith("tagseg.fast.")))
"""


@pytest.mark.processes
@pytest.mark.parametrize("step", ["plain", "fast"])
def test_a_plain_training_imports_nothing_fast(step, tmp_path):
    """In a process of its own: this one has imported all of it."""
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", TRAINING, tmp_path, step],
        capture_output=True, text=True, timeout=PATIENCE, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": root},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    [names] = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("imported:")]
    if step == "plain":
        assert names == []
    else:
        assert "tagseg.fast.ops" in names

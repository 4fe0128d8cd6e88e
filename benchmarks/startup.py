"""Measure how long the command line takes to start: ``--help``, an error in the data, a first prediction.

    python benchmarks/startup.py [--quick]

Each command runs several times in a fresh process. Prints the medians and, last, one line of JSON.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from shared import arguments_of, print_json

TINY = """
from tagseg.model.config import NetworkConfig
from tagseg.model.checkpoint import save_network
from tagseg.model.network import Network
options = {"img_size": 64, "embed_dim": 48, "depth": 3, "num_heads": 3}
config = NetworkConfig(encoder="vit_tiny_patch16_224", weights="none", encoder_options=options, decoder_width=16,
                       projector_width=16, projector_bottleneck=8, prototypes=8)
save_network(Network(config, ("cat", "dog")), "tiny.safetensors")
"""


def seconds(command: list[str], folder: Path, times: int) -> float:
    """Median wall time of a command in a fresh process."""
    measured = []
    for _ in range(times):
        started = time.perf_counter()
        subprocess.run(command, cwd=folder, capture_output=True, check=False)
        measured.append(time.perf_counter() - started)
    return statistics.median(measured)


def main() -> None:
    """Measure and print."""
    times = 1 if arguments_of(__doc__, "once each").parse_args().quick else 5
    python, tagseg = sys.executable, [sys.executable, "-m", "tagseg"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run([python, "-c", TINY], cwd=folder, check=True)
        Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(folder / "photo.png")
        commands = {
            "help": [*tagseg, "--help"],
            "train_wrong_folder": [*tagseg, "train", "--data.root", "nowhere"],
            "import_torch": [python, "-c", "import torch"],
            "import_timm": [python, "-c", "import timm"],
            "import_lightning": [python, "-c", "import lightning"],
            "predict_one_photo": [*tagseg, "predict", "tiny.safetensors", "photo.png", "--output", "out"],
        }
        figures = {what: round(seconds(command, folder, times), 2) for what, command in commands.items()}
        if not (folder / "out" / "masks" / "photo.png").exists():
            raise SystemExit("the prediction wrote no mask")
    print(
        f"start-up, median of {times}, {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    )
    for what, value in figures.items():
        print(f"{what:20}{value:8.2f} s")
    print_json(figures)


if __name__ == "__main__":
    main()

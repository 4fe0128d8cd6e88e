"""Part of ``gpu.sh``: the machine and the versions, without importing PyTorch, which takes long."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("torch", "triton", "timm", "lightning", "numpy", "numba", "pytest", "beartype", "jsonargparse")
SHARED = Path(__file__).resolve().parents[2] / "shared"  # as in shared.py


def gpu() -> dict[str, str]:
    """Name, driver and memory of the first GPU; nothing where there is none."""
    fields = ("name", "driver_version", "memory.total", "clocks.max.sm")
    command = ["nvidia-smi", "-i", "0", f"--query-gpu={','.join(fields)}", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return {}
    return dict(zip(fields, (cell.strip() for cell in done.stdout.strip().split(",")), strict=False))


def installed(name: str) -> str:
    """A package's version, or that it is absent."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"


def main() -> None:
    """Print it, and write it to ``--json``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    figures: dict[str, object] = {
        "gpu": gpu() or "none", "cores": os.cpu_count(), "python": platform.python_version(),
        **{name: installed(name) for name in PACKAGES},
        "photos": (SHARED / "data" / "voc20mix").is_dir(),
        "weights": (SHARED / "weights" / "deit_tiny_patch16_224.safetensors").is_file(),
    }  # fmt: skip
    print(", ".join(f"{key}: {value}" for key, value in figures.items()))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures))


if __name__ == "__main__":
    main()

"""A network on disk: one safetensors file that holds the weights, the classes and the configuration."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from tagseg.errors import TagsegError, list_some
from tagseg.model.config import NetworkConfig
from tagseg.model.network import Network

FORMAT = "tagseg-network-1"
NAMES = ("best.safetensors", "last.safetensors")
"""What a run folder's network is called, the preferred one first."""


def save_network(network: Network, path: Path | str, about: dict[str, object] | None = None) -> None:
    """Write a network atomically: an interrupted or failed write leaves the previous file as it was.

    Args:
        network: what to save.
        path: the ``.safetensors`` file.
        about: facts to keep beside it, e.g. step and scores; JSON.

    Raises:
        TagsegError: the file cannot be written, e.g. the disk is full.
    """
    path = Path(path)
    config = dataclasses.asdict(network.config) | {"weights": "none"}  # the file itself has the weights
    del config["start"]
    metadata = {
        "format": FORMAT,
        "network": json.dumps(config | {"pool": network.pool}),
        "classes": json.dumps(network.classes),
        "about": json.dumps(about or {}),
    }
    tensors = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, part, metadata)
        os.replace(part, path)
    except (OSError, SafetensorError) as error:
        part.unlink(missing_ok=True)
        kept = "the previous file is kept" if path.exists() else "nothing was written"
        raise TagsegError(f"{path}: could not be saved ({error}); {kept}: free some space or choose another") from error


def find_network(path: Path | str) -> Path:
    """The network file that a path means: itself, or a run folder's best or last.

    Raises:
        TagsegError: nothing there.
    """
    path = Path(path)
    if path.is_file():
        return path
    for name in NAMES:
        if (path / name).is_file():
            return path / name
    what = "no network in this folder" if path.is_dir() else "no such file or folder"
    raise TagsegError(f"{path}: {what}, expected a run folder with {' or '.join(NAMES)}, or a .safetensors file")


def read_about(path: Path | str) -> dict[str, Any]:
    """The facts saved beside a network."""
    with safe_open(find_network(path), framework="pt") as file:
        return json.loads((file.metadata() or {}).get("about", "{}"))


def trained_maps(path: Path | str) -> list[str]:
    """The maps that a saved network was trained for: ``segmentation``, ``cam``, ``aux_cam``; by default all."""
    maps: list[str] = read_about(path).get("maps", ["segmentation", "cam", "aux_cam"])
    return maps


def load_network(path: Path | str, device: torch.device | str = "cpu") -> Network:
    """Load a network for prediction.

    Args:
        path: a run folder or a ``.safetensors`` file of ours.
        device: where to put it.

    Returns:
        The network in evaluation mode, without gradients.

    Raises:
        TagsegError: missing, damaged, or not a file of ours.
    """
    path = find_network(path)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError) as error:
        raise TagsegError(f"{path}: not a readable .safetensors file ({error}): save it again") from error
    if metadata.get("format") != FORMAT:
        raise TagsegError(
            f"{path}: no tagseg network (its format is {metadata.get('format')!r}, expected {FORMAT!r}): "
            "encoder weights go to --network.weights, a published checkpoint to tagseg.load_published"
        )
    values = json.loads(metadata["network"])
    values = {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}
    values.pop("decoder_start", None)  # 0.1.0 kept how the decoder began
    pool = values.pop("pool", 0.0)
    network = Network(NetworkConfig(**values), tuple(json.loads(metadata["classes"])), pool)
    wrong = network.load_state_dict(tensors, strict=False)
    if wrong.missing_keys or wrong.unexpected_keys:
        raise TagsegError(f"{path}: weights do not fit ({list_some(wrong.missing_keys + wrong.unexpected_keys)})")
    return network.to(device).requires_grad_(False).eval()

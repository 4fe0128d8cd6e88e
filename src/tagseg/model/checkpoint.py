"""A network on disk: one safetensors file that holds the weights, the classes and the configuration."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from tagseg.arguments import check_path
from tagseg.data.json_text import parse_json
from tagseg.data.palette import Colour
from tagseg.errors import TagsegError, list_some
from tagseg.files import sync
from tagseg.model.bounded import within
from tagseg.model.config import NetworkConfig
from tagseg.model.content_hash import KEY, content_hash
from tagseg.model.hub import PUBLISHED, fetched, is_hub_address
from tagseg.model.network import Network
from tagseg.model.network_file import readable
from tagseg.model.pretrained import READS_FILES
from tagseg.settings import WAY_OUT

FORMAT = "tagseg-network-1"
NAMES = ("best.safetensors", "last.safetensors")
"""What a run folder's network is called, the preferred one first."""


def save_network(network: Network, path: Path | str, about: dict[str, object] | None = None) -> None:
    """Write a network atomically: an interrupted or failed write, or a power cut, leaves the previous file as it was.

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
        "colours": json.dumps(network.colours),
        "about": json.dumps(about or {}),
    }
    tensors = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    metadata[KEY] = content_hash(tensors, metadata)
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, part, metadata)
        sync(part)
        os.replace(part, path)
        sync(path.parent)
    except (OSError, SafetensorError) as error:
        part.unlink(missing_ok=True)
        kept = "the previous file is kept" if path.exists() else "nothing was written"
        raise TagsegError(f"{path}: could not be saved ({error}); {kept}: free some space or choose another") from error


def find_network(path: Path | str) -> Path:
    """The network file that a path means: itself, a run folder's best or last, an exported one, or one on a hub.

    Raises:
        TagsegError: nothing there, no network yet, or a hub that does not have or give it.
    """
    check_path("the network", path, "a run folder or a .safetensors file (str or Path)")
    if is_hub_address(path):
        return fetched(path)
    path = Path(path).expanduser()
    if path.is_file():
        return path
    for name in (*NAMES, PUBLISHED):
        if (path / name).is_file():
            return path / name
    if (path / "last.ckpt").is_file():
        raise TagsegError(
            f"{path} has no network yet, only the state of a training (last.ckpt): go on with "
            f"tagseg train --resume {path}, which writes {NAMES[1]}"
        )
    what = "no network in this folder" if path.is_dir() else "no such file or folder"
    raise TagsegError(
        f"{path}: {what}, expected a run folder with {' or '.join(NAMES)}, an exported folder with "
        f"{PUBLISHED}, a .safetensors file, or hf://OWNER/NAME"
    )


def read_about(path: Path | str) -> dict[str, Any]:
    """The facts saved beside a network.

    Raises:
        TagsegError: no readable file.
    """
    path = find_network(path)
    with readable(path) as file:
        facts: dict[str, Any] = _json(path, file.metadata() or {}, "about", "{}")
        return facts


def trained_maps(path: Path | str) -> list[str]:
    """The maps that a saved network was trained for: ``segmentation``, ``cam``, ``aux_cam``; by default all."""
    maps: list[str] = read_about(path).get("maps", ["segmentation", "cam", "aux_cam"])
    return maps


def load_network(path: Path | str, device: torch.device | str = "cpu") -> Network:
    """Load a network for prediction.

    Args:
        path: a run folder, an exported folder, a ``.safetensors`` file of ours, or ``hf://OWNER/NAME`` on a hub.
        device: where to put it.

    Returns:
        The network in evaluation mode, without gradients.

    Raises:
        TagsegError: missing, damaged, or not a file of ours.
    """
    path = find_network(path)
    try:
        torch.zeros((), device=device)
    except (RuntimeError, AssertionError, TypeError) as error:  # a name PyTorch does not know, or no such hardware
        raise TagsegError(f"device {device!r} cannot be used here, expected e.g. cpu or cuda") from error
    with readable(path) as file:
        metadata = file.metadata() or {}
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    if metadata.get("format") != FORMAT:
        raise TagsegError(
            f"{path}: no tagseg network (its format is {metadata.get('format')!r}, expected {FORMAT!r}): "
            "encoder weights go to --network.weights, a published checkpoint to tagseg.load_published"
        )
    with within(path, tensors):
        network = _described(path, metadata)
    own = network.state_dict()
    wrong = [n for n in own | tensors if n not in own or n not in tensors or own[n].shape != tensors[n].shape]
    if wrong:
        raise TagsegError(f"{path}: weights do not fit ({list_some(wrong)}), expected those it describes")
    if KEY in metadata and metadata[KEY] != content_hash(tensors, metadata):
        raise TagsegError(
            f"{path}: weights or description are not those that were saved (the SHA-256 differs): copy or save it again"
        )
    network.load_state_dict(tensors)
    return network.to(device).requires_grad_(False).eval()


def _described(path: Path, metadata: dict[str, str]) -> Network:
    """The network that a file describes, without its weights."""
    values, classes = _json(path, metadata, "network"), _json(path, metadata, "classes")
    if not isinstance(values, dict) or not isinstance(classes, list):
        raise TagsegError(f"{path}: its description of the network is damaged: copy or save it again")
    values = {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}
    values.pop("decoder_start", None)  # 0.1.0 kept how the decoder began
    pool = values.pop("pool", 0.0)
    _keep_to_itself(values)
    unknown = sorted(set(values) - {field.name for field in dataclasses.fields(NetworkConfig)})
    if unknown:
        raise TagsegError(
            f"{path}: its network has settings that this version of tagseg does not know ({list_some(unknown)}): use "
            "the version that saved it"
        )
    try:
        config = NetworkConfig(**values)
    except TagsegError as error:
        raise TagsegError(f"{path}: damaged, {str(error).removesuffix(WAY_OUT)}: copy or save it again") from error
    return Network(config, tuple(classes), pool, _colours(path, metadata, len(classes) + 1))


def _keep_to_itself(values: dict[str, Any]) -> None:
    """Let the network of a file, which may be anyone's, read no other file: it has all weights itself."""
    values.update(weights="none", start="")
    if isinstance(options := values.get("encoder_options"), dict):
        for name in READS_FILES:
            options.pop(name, None)


def _colours(path: Path, metadata: dict[str, str], count: int) -> tuple[Colour, ...]:
    """The colours of the labels; none where the file has none, as those of 0.2.0 and before."""
    colours = _json(path, metadata, "colours", "[]")
    if not isinstance(colours, list) or len(colours) not in (0, count) or not all(map(_is_rgb, colours)):
        raise TagsegError(f"{path}: its entry 'colours' is no list of {count} RGB colours: copy or save it again")
    return tuple((red, green, blue) for red, green, blue in colours)


def _is_rgb(colour: object) -> bool:
    return isinstance(colour, list) and len(colour) == 3 and all(type(v) is int and 0 <= v <= 255 for v in colour)


def _json(path: Path, metadata: dict[str, str], name: str, default: str = "") -> Any:
    try:
        return parse_json(metadata.get(name, default))
    except ValueError as error:
        raise TagsegError(
            f"{path}: its entry {name!r} cannot be read ({error}), expected JSON: copy or save it again"
        ) from error

"""A network starts from the weights of another one of ours."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from tagseg.errors import TagsegError, list_some
from tagseg.model.checkpoint import find_network, load_network
from tagseg.model.config import NetworkConfig
from tagseg.model.network import Network

_FREE = {"weights", "start", "drop_path"}
"""Settings that have no weights and mean nothing to those of others."""


def start_from(network: Network, path: Path | str) -> None:
    """Copy the weights of a saved network, in place.

    Args:
        network: of the same classes in the same order, and of the same architecture.
        path: a run folder or a ``.safetensors`` file of ours.

    Raises:
        TagsegError: no such network, or one of other classes or of another architecture; the difference is named.
    """
    path = find_network(path)
    theirs = load_network(path)
    _check_classes(path, theirs.classes, network.classes)
    ours, others = _architecture(network), _architecture(theirs)
    wrong = [f"{key} is {others[key]!r}, here {ours[key]!r}" for key in ours if ours[key] != others[key]]
    if wrong:
        raise TagsegError(
            f"network.start {path}: its network is another one ({list_some(wrong)}): train with its settings, e.g. "
            "--config with the config.yaml of its run"
        )
    network.load_state_dict(theirs.state_dict())


def _check_classes(path: Path, theirs: tuple[str, ...], ours: tuple[str, ...]) -> None:
    if theirs == ours:
        return
    lacking, more = [c for c in ours if c not in theirs], [c for c in theirs if c not in ours]
    parts = [f"{what} {list_some(names)}" for what, names in (("it lacks", lacking), ("the data lack", more)) if names]
    raise TagsegError(
        f"network.start {path}: its {len(theirs)} classes are not the data's {len(ours)} "
        f"({'; '.join(parts) or 'the same in another order'}): give both the same list with --data.classes, or take "
        "another start"
    )


def _architecture(network: Network) -> dict[str, object]:
    """What weights fit to, by setting."""
    names = [item.name for item in dataclasses.fields(NetworkConfig) if item.name not in _FREE]
    settings = {f"network.{name}": getattr(network.config, name) for name in names}
    settings["network.encoder"] = network.config.encoder.partition(".")[0]  # the rest names pretrained weights
    return settings | {"beyond.pool": network.pool}

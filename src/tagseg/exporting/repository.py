"""What stands beside exported files so that a folder is a repository: the network itself and its model card."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tagseg.config_file import NAME
from tagseg.errors import TagsegError
from tagseg.exporting.card_facts import facts_of
from tagseg.exporting.model_card import model_card
from tagseg.files import replacing
from tagseg.model.checkpoint import find_network, read_about, save_network
from tagseg.model.hub import PUBLISHED, is_hub_address
from tagseg.model.network import Network

CARD = "README.md"
_OURS = "library_name: tagseg"
"""A line of each card's metadata."""


def check_card(folder: Path) -> None:
    """Raise ``TagsegError`` if the folder has a README.md that is no model card of tagseg, which would be lost."""
    path = folder / CARD
    if path.is_file() and _OURS not in path.read_text(encoding="utf-8", errors="replace"):
        raise TagsegError(f"{path} is no model card and would be overwritten: choose another --output")


def complete(folder: Path, model: str | Path | Network, network: Network, description: Mapping[str, Any]) -> None:
    """Write ``model.safetensors`` and the model card beside exported files.

    Args:
        folder: of the exported files.
        model: as it was given to ``export``; a path tells where its run is.
        network: itself.
        description: what ``export.json`` says.

    Raises:
        TagsegError: a README.md that is no model card, a damaged ``data.json`` of the run, or a full disk.
    """
    check_card(folder)
    found = None if isinstance(model, Network) else find_network(model)
    about = {} if found is None else read_about(found)
    if found is None or found.resolve() != (folder / PUBLISHED).resolve():
        save_network(network, folder / PUBLISHED, about)
    local = found is not None and not is_hub_address(model)
    run = found.parent if found is not None and local and (found.parent / NAME).is_file() else None
    name = found.stem if found is not None and run is None and local else ""
    text = model_card(facts_of(network, about, run, files_of(description), name))
    with replacing(folder / CARD) as path:
        path.write_text(text, encoding="utf-8")


def files_of(description: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The exported files as the card tells them, of what ``export.json`` says."""
    fixed = description.get("preprocessing", {}).get("size", {}).get("fixed")
    parity = description.get("parity", {})
    return [
        {
            "file": facts["files"][0],
            "format": name,
            "bytes": facts.get("bytes"),
            "size": fixed[0] if fixed else None,
            "parity": parity.get(name, {}),
            "warning": facts.get("warning"),
            "calibrated": "calibration_photos" in facts,
        }
        for name, facts in description.get("files", {}).items()
    ]

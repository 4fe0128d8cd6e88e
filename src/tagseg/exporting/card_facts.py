"""What a model card tells of a network: read from its file, its run and what was exported of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tagseg.config_file import NAME as SETTINGS
from tagseg.config_file import settings_in
from tagseg.data.json_text import parse_json
from tagseg.errors import TagsegError
from tagseg.model.network import Network

DATA, EVALUATION = "data.json", "evaluation.json"


@dataclass(frozen=True)
class CardFacts:
    """What is known of a network; what is empty is not known, and the card says so.

    Attributes:
        name: of the network, for people.
        network: itself.
        about: what its file says beside its weights: step and scores while training.
        settings: those of its training, by section, and ``method``.
        data: what was read for its training (``data.json``).
        evaluation: scores with their protocol (``evaluation.json``).
        files: what was exported, each as ``repository.files_of`` gives it.
    """

    name: str
    network: Network
    about: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    evaluation: Mapping[str, Any] = field(default_factory=dict)
    files: Sequence[Mapping[str, Any]] = ()

    @property
    def method(self) -> str:
        """Name of the method; empty: not known."""
        return str(self.settings.get("method", ""))

    @property
    def from_masks(self) -> bool:
        """Whether it was trained on ground-truth masks, as an upper bound."""
        section = "labels" if self.method == "frozen" else "beyond"
        key = "source" if self.method == "frozen" else "labels"
        values = self.settings.get(section)
        return isinstance(values, Mapping) and values.get(key) == "masks"


def facts_of(
    network: Network, about: Mapping[str, Any], run: Path | None, files: Sequence[Mapping[str, Any]], name: str = ""
) -> CardFacts:
    """The facts of a network and of its run.

    Args:
        network: itself.
        about: what its file says beside its weights.
        run: folder of its training; ``None``: not known.
        files: what was exported of it.
        name: of the network; by default the run's.

    Raises:
        TagsegError: a damaged ``data.json`` or ``evaluation.json``.
    """
    if run is None:
        return CardFacts(name or "network", network, about, files=files)
    evaluation = next((path for path in (run / EVALUATION, run / "evaluation" / EVALUATION) if path.is_file()), None)
    return CardFacts(
        name or run.resolve().name,
        network,
        about,
        settings_in(str(run / SETTINGS)),
        _json(run / DATA) if (run / DATA).is_file() else {},
        {} if evaluation is None else _json(evaluation),
        files,
    )


def _json(path: Path) -> dict[str, Any]:
    try:
        values = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TagsegError(f"{path}: cannot be read as JSON ({error}): remove it, or write it again") from error
    if not isinstance(values, dict):
        raise TagsegError(f"{path}: expected a JSON object: remove it, or write it again")
    return values

"""What was trained on what: the network and its method, and the photos and tags that were read."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from tagseg.config import Config
from tagseg.reporting.measured_run import MeasuredRun
from tagseg.reporting.opened_run import OpenedRun
from tagseg.reporting.page.html import Html, details, element, section, swatch, table

_PACKAGES = ("tagseg", "torch", "timm", "numpy")
_OPEN_CLASSES = 25
_SPLITS = {
    "images": "photos", "images in": "in", "tags from": "tags from", "without tags": "without a tag",
    "tags not known": "tags not known", "masks": "masks", "masks from": "masks from",
}  # fmt: skip


def data_section(runs: Sequence[MeasuredRun]) -> Html:
    """One block for each run."""
    found: list[object] = []
    for one in runs:
        found.append(element("h3", one.run.name) if len(runs) > 1 else None)
        found.append(table(("what", "was used"), _network(one.run), words=2))
        found += _data(one.run)
    versions = ", ".join(f"{name} {_version(name)}" for name in _PACKAGES)
    made = f"This report was made with {versions}, Python {platform.python_version()}, on {platform.system()}."
    return section("data", "What was trained on what", found, element("p", made))


def _network(run: OpenedRun) -> list[tuple[object, ...]]:
    network, config = run.network, run.config
    count = sum(parameter.numel() for parameter in network.parameters())
    rows: list[tuple[object, ...]] = [
        ("network", str(run.file)),
        ("encoder", f"{network.config.encoder} ({count / 1e6:.1f} million parameters with all heads)"),
        ("decoder", f"{network.config.decoder}{', tag prior' if network.tag_prior is not None else ''}"),
    ]
    if config is None:
        return [*rows, ("settings", "not known: there is no config.yaml beside the network")]
    steps = run.about.get("step", config.run.steps)
    return [
        *rows,
        ("pretrained weights", config.network.weights),
        ("method", config.method.NAME),
        ("labels", _labels(run)),
        ("image size", f"{_side(config)} px"),
        ("training", f"{steps} steps of {config.run.batch} photos, seed {config.run.seed}"),
    ]


def _side(config: Config) -> int:
    """Of the square that photos, or crops of them, have in training."""
    features = getattr(config.method, "features", None)
    return config.views.size if features is None else int(features.size)


def _labels(run: OpenedRun) -> str:
    """What the decoder learns from."""
    assert run.config is not None  # the caller looked
    own = getattr(run.config.method, "labels", None)
    source = getattr(own, "source", None) or run.config.beyond.labels
    if not run.segments:
        return "none: a classifier alone"
    supervised = " (GROUND-TRUTH MASKS: full supervision, an upper bound)" if source == "masks" else ""
    return f"{source}{supervised}"


def _data(run: OpenedRun) -> list[object]:
    """What ``data.json`` says."""
    facts = run.data
    if not facts:
        return [element("p", "This run keeps no data.json, so what was read for its training is not known.")]
    splits, classes = facts.get("splits"), facts.get("classes")
    found: list[object] = [element("p", f"Photos: {facts.get('root', '–')} ({facts.get('source', '–')}).")]
    if isinstance(splits, dict):
        known = {name: split for name, split in splits.items() if isinstance(split, dict)}
        rows = [(name, *(_shown(split.get(key)) for key in _SPLITS)) for name, split in known.items()]
        found.append(table(("split", *_SPLITS.values()), rows, words=len(_SPLITS) + 1))
    if isinstance(classes, list):
        found.append(_classes(run, [entry for entry in classes if isinstance(entry, dict)]))
    notes = [_note(note) for note in facts.get("notes") or [] if isinstance(note, dict)]
    if notes:
        found.append(details(f"{len(notes)} notes on the data", element("ul", notes), open_=len(notes) < 6))
    return found


def _classes(run: OpenedRun, entries: list[dict[str, Any]]) -> Html:
    """Photos of each class in each split."""
    found = [entry.get("images") for entry in entries]
    counts: list[dict[str, object]] = [count if isinstance(count, dict) else {} for count in found]
    splits = list(dict.fromkeys(name for count in counts for name in count))
    names = [str(entry.get("name", "–")) for entry in entries]
    colours = dict(zip(run.network.classes, run.network.colours[1:], strict=True))
    rows = [
        ([swatch(colours[name]) if name in colours else None, " ", name], *(_shown(count.get(s)) for s in splits))
        for name, count in zip(names, counts, strict=True)
    ]
    return details(
        f"{len(rows)} classes", table(("class", *(f"photos of {split}" for split in splits)), rows),
        open_=len(rows) <= _OPEN_CLASSES,
    )  # fmt: skip


def _note(note: dict[str, Any]) -> Html:
    count, examples = note.get("count"), note.get("examples")
    names = f": {', '.join(map(str, examples))}" if isinstance(examples, list) and examples else ""
    more = " …" if names and isinstance(count, int) and isinstance(examples, list) and count > len(examples) else ""
    text = f"{f'{count} ' if count else ''}{note.get('text', '')}{names}{more}"
    return element("li", element("strong", "Warning: ") if note.get("warning") else None, text)


def _shown(value: object) -> str:
    return "–" if value in (None, "") else str(value)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(not installed as a package)"

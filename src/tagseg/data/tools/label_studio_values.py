"""The labels in a value of Label Studio: of choices, of a taxonomy, or of a region."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from tagseg.data.names import fold
from tagseg.data.notes import Note

Choice: TypeAlias = tuple[str, ...]
"""A label, from the root of a taxonomy to its leaf; of one part if it is a choice."""
Labels: TypeAlias = dict[str, list[Choice]]
"""Field → labels of one annotation."""

REGIONS = (
    *("rectanglelabels", "brushlabels", "polygonlabels", "ellipselabels", "keypointlabels", "vectorlabels"),
    *("hypertextlabels", "timeserieslabels", "labels"),
)
"""Keys of the labels of regions."""
SEPARATOR = "/"


def values_of(value: Mapping[str, Any]) -> tuple[str, list[Choice]]:
    """What kind of labels a value has, and the labels; nothing for a text, a number or a rating."""
    for kind in ("choices", "taxonomy", *REGIONS):
        found = value.get(kind)
        if found is None:
            continue
        if isinstance(found, str):  # some versions write one label alone
            found = [found]
        if isinstance(found, list):
            return kind, [_path(each) for each in found if each not in ("", [], None)]
    return "", []


def _path(label: Any) -> Choice:
    return tuple(map(str, label)) if isinstance(label, list) else (str(label),)


@dataclass(frozen=True)
class Leaves:
    """How the paths of taxonomies are named, and a note on it."""

    whole: bool
    notes: tuple[Note, ...]

    def named(self, labels: Labels) -> dict[str, tuple[str, ...]]:
        """Names of one annotation; what is above another choice of it is said by that already."""
        return {
            field: tuple(
                dict.fromkeys(
                    SEPARATOR.join(path) if self.whole else path[-1]
                    for path in paths
                    if not any(len(path) < len(other) and other[: len(path)] == path for other in paths)
                )
            )
            for field, paths in labels.items()
        }


def leaves(annotations: Iterable[Labels]) -> Leaves:
    """Whether leaves tell the classes of a taxonomy apart; two of one name below different parents do not."""
    paths = dict.fromkeys(path for labels in annotations for each in labels.values() for path in each)
    above: defaultdict[str, set[tuple[str, ...]]] = defaultdict(set)
    for path in paths:
        above[fold(path[-1])].add(tuple(map(fold, path[:-1])))
    deep = [path for path in paths if len(path) > 1]
    if not deep:
        return Leaves(False, ())
    whole = any(len(parents) > 1 for parents in above.values())
    examples = [f"{SEPARATOR.join(path)} → {SEPARATOR.join(path) if whole else path[-1]}" for path in deep]
    reason = "their whole path, as leaves of one name are below several" if whole else "their leaf"
    return Leaves(whole, Note.of(f"choices of a taxonomy, named by {reason}", examples))

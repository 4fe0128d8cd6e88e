"""Names of the class ids in a Hugging Face data set: from its card, its infos, or the schema of a table."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tagseg.data.text_file import read_text
from tagseg.data.tools.json_file import read_json
from tagseg.errors import TagsegError

Names = dict[str, tuple[str, ...]]
"""Column → names of its class ids."""

CARD = "README.md"
INFOS = ("dataset_infos.json", "dataset_info.json")
_FRONT = re.compile(r"\A---\s*\n(.*?)\n---\s*(?:\n|\Z)", re.DOTALL)


def names_of_folder(root: Path) -> tuple[Names, str]:
    """The names that a folder's card, or else its infos, give; and the file that gives them.

    Raises:
        TagsegError: a file is damaged, or gives ids with gaps.
    """
    card = root / CARD
    if card.is_file():
        names = _of_card(card)
        if names:
            return names, CARD
    for name in INFOS:
        if (root / name).is_file():
            content, _ = read_json(root / name, "the infos of a Hugging Face data set")
            names = _of_infos(content)
            if names:
                return names, name
    return {}, ""


def names_of_schema(metadata: Mapping[bytes, bytes] | None) -> Names:
    """The names that ``datasets`` writes into the schema of a Parquet file; none in any other."""
    try:
        content = json.loads((metadata or {}).get(b"huggingface", b"{}"))
    except ValueError:
        return {}
    return _of_infos(content)


def _of_infos(content: Any) -> Names:
    """From ``{"features": …}``, or an object of such by configuration or key."""
    if not isinstance(content, dict):
        return {}
    features = content.get("features")
    if isinstance(features, dict):
        found = {column: _class_label(feature) for column, feature in features.items()}
        return {column: names for column, names in found.items() if names}
    return next((names for each in content.values() if (names := _of_infos(each))), {})


def _of_card(path: Path) -> Names:
    import yaml

    text, _ = read_text(path, "the card of a data set")
    front = _FRONT.match(text.replace("\r\n", "\n"))
    if front is None:
        return {}
    try:
        content = yaml.load(front[1], Loader=yaml.BaseLoader)
    except (yaml.YAMLError, RecursionError) as error:
        raise TagsegError(
            f"{path} has a damaged head ({' '.join(str(error).split())}), expected YAML: mend it"
        ) from error
    infos = content.get("dataset_info") if isinstance(content, dict) else None
    for info in infos if isinstance(infos, list) else [infos]:
        features = info.get("features") if isinstance(info, dict) else None
        found = {
            str(each.get("name")): _class_label(each)
            for each in (features if isinstance(features, list) else [])
            if isinstance(each, dict)
        }
        names = {column: each for column, each in found.items() if each}
        if names:
            return names
    return {}


def _class_label(feature: Any) -> tuple[str, ...]:
    """The names of the first class label within a feature; empty if it has none."""
    if isinstance(feature, list):
        return next((names for each in feature if (names := _class_label(each))), ())
    if not isinstance(feature, dict):
        return ()
    if feature.get("_type") == "ClassLabel" and isinstance(feature.get("names"), list):
        return tuple(map(str, feature["names"]))
    declared = feature.get("class_label")
    if isinstance(declared, dict):
        return _in_order(declared.get("names"))
    return next((names for each in feature.values() if (names := _class_label(each))), ())


def _in_order(names: Any) -> tuple[str, ...]:
    """Names by id as a list; ``('0': cat, '1': dog)``."""
    if isinstance(names, list):
        return tuple(map(str, names))
    if not isinstance(names, dict):
        return ()
    ids = {str(index): str(name) for index, name in names.items()}
    if set(ids) != {str(index) for index in range(len(ids))}:
        raise TagsegError(f"{CARD} gives classes the ids {', '.join(ids)}, expected 0 to {len(ids) - 1}: correct them")
    return tuple(ids[str(index)] for index in range(len(ids)))

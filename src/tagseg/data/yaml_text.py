"""YAML that a person wrote: names stay as they are written, and a key that is there twice is an error."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagseg.errors import TagsegError

if TYPE_CHECKING:
    from yaml import Node


def parse_yaml(path: Path, text: str) -> Any:
    """The content of a YAML (or JSON) file as dicts, lists and text: ``no`` and ``1.0`` are text, nothing is ``None``.

    Raises:
        TagsegError: no YAML, or a key twice; the message names the line.
    """
    import yaml

    try:
        root = yaml.compose(text, Loader=yaml.BaseLoader)
        return None if root is None else _content(path, root)
    except (yaml.YAMLError, RecursionError) as error:
        place = getattr(error, "problem_mark", None)
        line = f" line {place.line + 1}" if place is not None else ""
        reason = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise TagsegError(
            f"{path}{line} cannot be read as YAML ({reason}), expected name: value; correct it"
        ) from error


def _content(path: Path, node: Node) -> Any:
    from yaml import MappingNode, SequenceNode

    if isinstance(node, SequenceNode):
        return [_content(path, item) for item in node.value]
    if not isinstance(node, MappingNode):
        return node.value or (None if getattr(node, "style", None) is None else "")
    content: dict[str, Any] = {}
    for key, value in node.value:
        name = str(key.value)
        if name in content:
            raise TagsegError(
                f"{path} line {key.start_mark.line + 1} has {name!r} twice, expected each once: join them"
            )
        content[name] = _content(path, value)
    return content

"""YAML that a person wrote: names stay as they are written, and a key that is there twice is an error."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tagseg.errors import TagsegError

if TYPE_CHECKING:
    from yaml import Node


MOST_NODES = 100_000
"""Names and values that a file may have more than it spells, by repeating parts of itself (``&`` and ``*``)."""


def load_yaml(path: Path, text: str, types: Literal["plain", "text"] = "text") -> Any:
    """The content of YAML as numbers, text, lists and dicts alone: no tag of Python's makes anything else.

    Args:
        path: the file, for messages.
        text: its text.
        types: ``plain``: ``no`` is false and ``1.0`` a number; ``text``: both stay text.

    Raises:
        YAMLError, RecursionError: it is no YAML, or is nested too deeply.
        TagsegError: it repeats parts of itself so that little text becomes an endless content.
    """
    import yaml

    loader = yaml.SafeLoader if types == "plain" else yaml.BaseLoader
    if "*" in text:
        root = yaml.compose(text, Loader=loader)
        if root is not None:
            refuse_endless(path, root)
    try:
        return yaml.load(text, Loader=loader)
    except (ValueError, TypeError, AttributeError, LookupError, ArithmeticError) as error:  # a date of month 13
        raise yaml.YAMLError(f"a value is not what it looks like: {error}") from error


def refuse_endless(path: Path, root: Node) -> None:
    """Raise ``TagsegError`` if what the aliases of a document repeat is endless, or far more than is written."""
    sizes: dict[int, int] = {}
    open_ = -1  # of a node whose parts are being counted: it is within itself

    def size(node: Node) -> int:
        own = id(node)
        if own not in sizes:
            sizes[own] = open_
            parts = node.value if isinstance(node.value, list) else []
            sizes[own] = 1 + sum(
                size(each) for part in parts for each in (part if isinstance(part, tuple) else (part,))
            )
        elif sizes[own] == open_:
            raise TagsegError(f"{path} repeats a part within itself (*), expected a value: write it out")
        return sizes[own]

    if size(root) > len(sizes) + MOST_NODES:
        raise TagsegError(
            f"{path} repeats parts of itself (*) so often that they would be {size(root):,} names and values, expected "
            f"at most {MOST_NODES:,} more than are written: write them out"
        )


def parse_yaml(path: Path, text: str) -> Any:
    """The content of a YAML (or JSON) file as dicts, lists and text: ``no`` and ``1.0`` are text, nothing is ``None``.

    Raises:
        TagsegError: no YAML, or a key twice; the message names the line.
    """
    import yaml

    try:
        root = yaml.compose(text, Loader=yaml.BaseLoader)
        if root is None:
            return None
        refuse_endless(path, root)
        return _content(path, root)
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

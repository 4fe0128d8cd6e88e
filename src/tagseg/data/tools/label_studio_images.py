"""Which key of the tasks of Label Studio names the image."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from tagseg.data.file_kinds import EXTENSIONS
from tagseg.data.names import fold
from tagseg.data.resolver import split_url
from tagseg.errors import TagsegError, list_some

_USUAL = ("image", "img", "photo", "picture", "imageurl", "image_url", "url", "file", "filename", "path")
_STORED = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://|/data/(?:upload|local-files)\b")


def image_of_tasks(path: Path, tasks: Sequence[Mapping[str, Any]]) -> list[str]:
    """The image of each task, from the data of the tasks.

    Raises:
        TagsegError: no key, or several keys, could name the image, or one is without.
    """
    if not tasks:
        return []
    keys = dict.fromkeys(key for task in tasks for key in task)
    likely = [key for key in keys if any(is_image(task.get(key)) for task in tasks)]
    usual = [key for name in _USUAL for key in likely if fold(key) == name]
    if len(likely) > 1 and not usual:
        raise TagsegError(
            f"{path} has images in {' and '.join(map(repr, likely[:3]))} of its tasks, expected one image a task: "
            "rename its key to 'image' and export it again"
        )
    if not likely:
        shown = list_some([f"{key!r}: {str(tasks[0].get(key))[:40]!r}" for key in keys], 3)
        raise TagsegError(f"{path} has no images in its tasks ({shown}), expected the name or URL of one in each")
    key = (usual or likely)[0]
    for number, task in enumerate(tasks, 1):
        name = task.get(key)
        if not isinstance(name, str) or not name.strip():
            raise TagsegError(f"{path} entry {number} has {name!r} for {key!r}, expected the name of its image")
        if name.startswith("data:"):
            raise TagsegError(
                f"{path} entry {number} has its image within the file, expected its name: save the images as files"
            )
    return [without_query(task[key]) for task in tasks]


def is_image(value: Any) -> bool:
    """Whether a value looks like the name of an image: by its extension, or as a file that Label Studio stores."""
    if not isinstance(value, str):
        return False
    if value.startswith("data:image/"):
        return True
    return _extension(without_query(value)) in EXTENSIONS or _STORED.match(value) is not None


def without_query(value: str) -> str:
    """A URL without its query, such as the signature of a cloud; but ``?d=`` names the file of a local storage."""
    if "?" not in value or not _STORED.match(value):
        return value
    parts = split_url(value)
    named = parse_qs(parts.query).get("d") or parse_qs(parts.query).get("fileuri")
    return value if named else value.partition("?")[0]


def _extension(name: str) -> str:
    last = name.partition("?d=")[2] or name
    dot = last.rfind(".")
    return last[dot:].lower() if dot >= 0 else ""

"""The dataset's folder: whose it is, and what an earlier call left in it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from tagseg.data.json_text import parse_json
from tagseg.errors import TagsegError
from tagseg.files import replacing

RECORD = "label.json"
"""Written first: it says that the folder is a dataset of ``label``, and which files in it are."""


class Dataset:
    """A folder that ``label`` may write to.

    Args:
        folder: new, empty, or written by ``label`` before.
        photos: the files of the photos, of which none may be in the folder.

    Raises:
        TagsegError: it holds something else, is one of the photos' own folders, or cannot be written.
    """

    def __init__(self, folder: Path, photos: Iterable[Path]) -> None:
        self.folder = folder
        here = os.path.realpath(folder)
        if os.path.exists(here) and not os.path.isdir(here):
            raise TagsegError(f"{folder} is a file, expected a folder for the dataset: choose another --output")
        self._earlier = self._files()
        if self._earlier is None and os.path.isdir(here) and os.listdir(here):
            raise TagsegError(
                f"{folder} holds other files, expected a new or empty folder, or a dataset of tagseg label: choose "
                "another --output"
            )
        folders = {os.path.realpath(photo.parent) for photo in photos}
        inside = next((one for one in sorted(folders) if _is_inside(one, here)), None)
        if inside is not None:
            raise TagsegError(f"the photos in {inside} are in the output folder {folder}: choose another --output")
        top = os.path.commonpath(list(folders)) if folders else ""
        if folders and _is_inside(here, top):
            raise TagsegError(
                f"{folder} is among the photos, in {top}, where it would count as photos: choose another --output"
            )

    def begin(self, files: Iterable[str]) -> None:
        """Note the files that are going to be written, beside those that are there."""
        self._record({*(self._earlier or ()), *files})

    def finish(self, files: Iterable[str]) -> None:
        """Remove the files of an earlier call that are no part of the dataset any more."""
        own = set(files)
        for name in (self._earlier or set()) - own:
            path = self.folder / name
            if _is_inside(os.path.realpath(path.parent), os.path.realpath(self.folder)):
                with suppress(OSError):
                    path.unlink()
                    os.removedirs(path.parent)  # those that are empty now
        self._record(own)

    def _record(self, files: set[str]) -> None:
        content = {"written by": "tagseg label", "files": sorted(files)}
        text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
        with replacing(self.folder / RECORD) as temporary:
            temporary.write_text(text, encoding="utf-8", errors="surrogateescape")

    def _files(self) -> set[str] | None:
        """What an earlier call wrote; ``None`` if none did."""
        try:
            content = parse_json((self.folder / RECORD).read_text("utf-8", errors="surrogateescape"))
        except (OSError, ValueError):
            return None
        files = content.get("files") if isinstance(content, dict) else None
        if not isinstance(files, list) or content.get("written by") != "tagseg label":
            return None
        return {name for name in files if isinstance(name, str)}


def _is_inside(inner: str, outer: str) -> bool:
    return Path(inner).is_relative_to(outer)

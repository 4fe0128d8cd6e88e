"""What an update leaves in the file of corrections: heads, the order of the photos, and what was trained on."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from tagseg.data.json_text import parse_json
from tagseg.serving.database import Database, next_revision, set_fact
from tagseg.serving.edits import PhotoEdit, edit_of, share_of
from tagseg.serving.worst_first import Standing


@dataclass(frozen=True)
class Snapshot:
    """What an update is trained on, beside the data.

    Attributes:
        edits: corrected photos by id.
        share: foreground share; ``None``: estimated.
    """

    edits: Mapping[str, PhotoEdit]
    share: float | None

    def as_json(self) -> str:
        """As text."""
        return json.dumps({"photos": {id: asdict(edit) for id, edit in self.edits.items()}, "share": self.share})

    @staticmethod
    def of(text: str) -> Snapshot:
        """From ``as_json``.

        Raises:
            ValueError, KeyError, TypeError, AttributeError: from something else.
        """
        content = parse_json(text)
        edits = {id: edit_of(one) for id, one in content["photos"].items()}
        return Snapshot(edits, None if content["share"] is None else share_of(content["share"]))

    def differing(self, other: Snapshot) -> int:
        """The number of photos, plus one for the share, in which two differ."""
        ids, nothing = {*self.edits, *other.edits}, PhotoEdit()
        photos = sum(self.edits.get(id, nothing) != other.edits.get(id, nothing) for id in ids)
        return photos + (self.share != other.share)


class SavedUpdate:
    """The last update in a file of corrections.

    Args:
        database: the file.
        start: fingerprint of the run's network; an update of another one counts as none.
    """

    def __init__(self, database: Database, start: str) -> None:
        self.database, self.start = database, start

    @property
    def number(self) -> int:
        """How many updates there were; 0: none, or none of this network."""
        return self._count("updates") if self._counts() else 0

    @property
    def revision(self) -> int:
        """When it was, as revisions of corrections are counted."""
        return self._count("update_revision")

    @property
    def heads(self) -> bytes | None:
        """The weights of its heads; ``None`` where there was no update of this network."""
        heads = self.database.fact("heads") if self._counts() else None
        if heads is not None and not isinstance(heads, bytes):
            raise self.database.damaged("an update without weights")
        return heads

    def trained_on(self, default: Snapshot) -> Snapshot:
        """What it was trained on; the default where there was none."""
        text = self.database.fact("trained_on") if self._counts() else None
        if text is None:
            return default
        try:
            return Snapshot.of(text)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise self.database.damaged(f"corrections of an update that are none, {error}") from error

    def queue(self) -> dict[str, Standing]:
        """Where each photo stands, by id; empty where that was not computed for this network."""
        if not self._counts():
            return {}
        rows = self.database.rows("SELECT photo, score, iou, why FROM queue")
        if not all(isinstance(number, int | float) for _, *numbers, _ in rows for number in numbers):
            raise self.database.damaged("an order of photos without numbers")
        return {photo: Standing(score, iou, why) for photo, score, iou, why in rows}

    def save_queue(self, queue: Mapping[str, Standing]) -> None:
        """Save where each photo stands without an update."""
        with self.database.writing() as cursor:
            if not self._counts():
                for name in ("heads", "trained_on", "updates"):
                    cursor.execute("DELETE FROM facts WHERE name = ?", (name,))
                set_fact(cursor, "update_revision", next_revision(cursor))
            set_fact(cursor, "start", self.start)
            _replace_queue(cursor, queue)

    def save(self, number: int, heads: bytes, snapshot: Snapshot, queue: Mapping[str, Standing]) -> None:
        """Save an update, whole or not at all."""
        with self.database.writing() as cursor:
            facts = {"heads": heads, "trained_on": snapshot.as_json(), "updates": number, "start": self.start}
            for name, value in facts.items():
                set_fact(cursor, name, value)
            set_fact(cursor, "update_revision", next_revision(cursor))
            _replace_queue(cursor, queue)

    def _count(self, name: str) -> int:
        value = self.database.fact(name) or 0
        if not isinstance(value, int):
            raise self.database.damaged(f"{name} is {value!r}")
        return value

    def _counts(self) -> bool:
        return bool(self.database.fact("start") == self.start)


def _replace_queue(cursor: sqlite3.Cursor, queue: Mapping[str, Standing]) -> None:
    cursor.execute("DELETE FROM queue")
    rows = [(id, one.score, one.iou, one.why) for id, one in queue.items()]
    cursor.executemany("INSERT INTO queue VALUES (?, ?, ?, ?)", rows)

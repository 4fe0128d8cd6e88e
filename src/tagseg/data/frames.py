"""Which frame outlines were drawn in: of the photo as displayed, or of its stored pixels, before its EXIF rotation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from tagseg.data.images import StoredFrame, stored_frame
from tagseg.data.notes import Note
from tagseg.errors import TagsegError, list_some

Frame = Literal["displayed", "stored"]

LOOKED_AT = 500
"""Photos whose headers are read at the start, evenly spread over all."""

_PAST = 0.02
"""Outlines may pass the border by this share of the side, and by two pixels."""


class Annotated(NamedTuple):
    """A photo, the (H, W) it was annotated at, if known, and the lowest and rightmost point of its outlines (y, x)."""

    image: Path
    size: tuple[int, int] | None
    reach: tuple[float, float] | None


@dataclass(frozen=True)
class Frames:
    """The frames of the outlines of a data set; for photos that EXIF does not turn both are one.

    Attributes:
        unlike: of photos that EXIF makes upright or lying, annotated at the size before it; ``None`` if not known.
        alike: of photos that EXIF turns or mirrors without changing their size.
        setting: ``auto``, ``displayed`` or ``stored``.
    """

    unlike: Frame | None
    alike: Frame
    setting: Literal["auto", "displayed", "stored"] = "auto"

    def place(self, size: tuple[int, int] | None, stored: StoredFrame, image: Path) -> tuple[Frame, tuple[int, int]]:
        """The frame of the outlines of one photo, and the (H, W) to draw them at.

        Raises:
            TagsegError: they are of another size than the photo, or the frame is not known.
        """
        if stored.displayed == stored.size:
            frame: Frame | None = self.alike if stored.orientation > 1 else "displayed"
            fits = size in (None, stored.size)
        elif size == stored.displayed:
            frame = "displayed"
            fits = self.setting != "stored"
        else:
            frame = self.unlike
            fits = size in (None, stored.size)
        if not fits:
            raise TagsegError(_of_another_size(size or stored.size, stored, image, self.setting))
        if frame is None:
            raise TagsegError(_two_readings([image.name]))
        return frame, (stored.size if frame == "stored" else stored.displayed)


def decide_frames(
    setting: Literal["auto", "displayed", "stored"], photos: Sequence[Annotated]
) -> tuple[Frames, tuple[Note, ...]]:
    """Find out the frame of the outlines of a data set from a sample of its photos.

    ``auto``: as displayed. Where the annotated size is that of the stored photo, and EXIF swaps its sides, the frame
    is the one that the outlines fit in.

    Args:
        setting: ``auto``, or the frame.
        photos: that have outlines.

    Raises:
        TagsegError: one was annotated at another size; or the outlines fit in both frames, or some in one and some in
            the other.
    """
    looked = photos[:: max(1, -(-len(photos) // LOOKED_AT))]
    alike: list[str] = []
    upright: list[str] = []  # annotated at the size as displayed
    unlike: dict[Frame | None, list[str]] = {"displayed": [], "stored": [], None: []}
    for photo in looked:
        try:
            stored = stored_frame(photo.image)
        except TagsegError:  # said when it is read
            continue
        if photo.size not in (None, stored.size, stored.displayed):
            raise TagsegError(_of_another_size(photo.size or (0, 0), stored, photo.image, setting))
        if stored.orientation == 1 or photo.reach is None:
            continue
        if stored.displayed == stored.size:
            alike.append(photo.image.name)
        elif photo.size == stored.displayed:
            upright.append(photo.image.name)
        else:
            unlike[_frame_that_fits(photo.reach, stored)].append(photo.image.name)
    if setting != "auto":
        return Frames(setting, setting, setting), ()
    found = _agreed(unlike)
    notes = _notes_of_unlike(found, [name for names in unlike.values() for name in names])
    every = _of_all(len(looked), len(photos))
    if alike and found == "stored" and not upright:
        text = (
            f"photos{every} that EXIF turns without changing their size: outlines taken to be of the stored pixels too"
        )
        return Frames(found, "stored"), (*notes, *Note.of(text, alike))
    return Frames(found, "displayed"), (*notes, *_notes_of_alike(alike, f"photos{every}", "outlines", upright or found))


def notes_of_masks(
    setting: Literal["auto", "displayed", "stored"], masked: Sequence[tuple[Path, Path]]
) -> tuple[Note, ...]:
    """Warn of photos, with their mask files, that EXIF turns without changing their size: nothing tells the frame."""
    looked = masked[:: max(1, -(-len(masked) // LOOKED_AT))] if setting == "auto" else ()
    alike: list[str] = []
    upright = False
    for image, mask in looked:
        try:
            stored = stored_frame(image)
            if stored.orientation > 1 and stored.displayed == stored.size:
                alike.append(image.name)
            elif stored.orientation > 1:
                upright |= stored_frame(mask).size == stored.displayed
        except TagsegError:  # said when it is read
            continue
    return _notes_of_alike(alike, f"photos{_of_all(len(looked), len(masked))}", "masks", upright)


def _of_all(looked: int, of: int) -> str:
    return "" if looked == of else f" (of {looked} that were looked at)"


def _notes_of_alike(names: list[str], photos: str, what: str, known: object) -> tuple[Note, ...]:
    """On photos that EXIF turns without changing their size; a warning unless others tell the frame."""
    text = f"scored {photos} that EXIF turns without changing their size, {what} taken to be as displayed"
    hint = "" if known else " (if they were drawn on the stored pixels, set --data.frame stored)"
    return Note.of(text + hint, names, warning=not known)


def _frame_that_fits(reach: tuple[float, float], stored: StoredFrame) -> Frame | None:
    in_displayed, in_stored = fits_in(reach, stored.displayed), fits_in(reach, stored.size)
    if in_displayed == in_stored:
        return None
    return "displayed" if in_displayed else "stored"


def fits_in(reach: tuple[float, float], size: tuple[int, int]) -> bool:
    """Whether the lowest and rightmost point (y, x) is in an image of that (H, W), or hardly beyond."""
    return all(point <= side + max(2, _PAST * side) for point, side in zip(reach, size, strict=True))


def _agreed(unlike: dict[Frame | None, list[str]]) -> Frame | None:
    if unlike["displayed"] and unlike["stored"]:
        raise TagsegError(_two_readings([unlike["displayed"][0], unlike["stored"][0]], mixed=True))
    if unlike["displayed"] or unlike["stored"]:
        return "displayed" if unlike["displayed"] else "stored"
    if unlike[None]:
        raise TagsegError(_two_readings(unlike[None]))
    return None


def _notes_of_unlike(found: Frame | None, names: list[str]) -> tuple[Note, ...]:
    text = "photos annotated with the width and height before their EXIF rotation"
    how = "whose outlines fit the photo as displayed" if found == "displayed" else "and on it: outlines turned with it"
    return Note.of(f"{text}, {how}", names)


def _two_readings(names: list[str], mixed: bool = False) -> str:
    what = "fit in one frame for some and in the other for others" if mixed else "fit in both frames"
    return (
        f"{list_some(names)}: annotated with the width and height before the EXIF rotation, and the outlines {what}, "
        "so they could be of the photo as displayed or of its stored pixels, before the rotation: set --data.frame "
        "displayed or --data.frame stored"
    )


def _of_another_size(size: tuple[int, int], stored: StoredFrame, image: Path, setting: str) -> str:
    expected = stored.displayed
    way_out = "resize neither, or both"
    if size == expected and setting == "stored":
        expected = stored.size
        way_out = "the annotations are of the photo as displayed: set --data.frame displayed"
    elif size == expected[::-1]:
        way_out = "width and height are swapped in the annotations, or the photo was turned after them: mend either"
    shown = f"{expected[1]}×{expected[0]} (width×height {'as stored' if setting == 'stored' else 'as displayed'})"
    what = f"the annotations of {image.name} are of {size[1]}×{size[0]}"
    return f"{what}, expected its image's {shown}, {image}: {way_out}"

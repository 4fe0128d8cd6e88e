"""Label maps in the formats of ``tagseg predict``, as one zip file."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import IO

from tagseg.formats.format import Plan
from tagseg.formats.settings import DEFAULT_SETTINGS
from tagseg.formats.table import FORMATS, Formats, formats_named
from tagseg.inference import export
from tagseg.inference.result import Result
from tagseg.serving.limits import Limits, in_megabytes
from tagseg.serving.refusals import Refused

OFFERED = tuple(name for name in FORMATS if name != "voc-server")
"""Formats that need no file of their own; ``voc-server`` needs the list of a split."""
_CHUNK = 1 << 18


@dataclass(frozen=True)
class Labels:
    """What the labels are.

    Attributes:
        classes: names of the K foreground classes.
        names: the name of each label.
        colours: RGB of each label.
    """

    classes: tuple[str, ...]
    names: dict[int, str]
    colours: tuple[tuple[int, int, int], ...]


def asked_formats(names: Sequence[str]) -> tuple[str, ...]:
    """The formats of a request, each once.

    Raises:
        Refused: none, or one that is not offered.
    """
    wrong = [name for name in names if name not in OFFERED]
    if wrong or not names:
        asked = repr(wrong[0][:40]) if wrong else "none"
        raise Refused(422, f"formats: {asked}, expected one or more of: {', '.join(OFFERED)}")
    return formats_named(tuple(names))


def needs_probabilities(formats: Sequence[str]) -> bool:
    """Whether one of the formats needs the probability of each label."""
    return any(FORMATS[name].PROBS for name in formats)


def distinct_stems(names: Iterable[str]) -> list[str]:
    """Names of files without their endings, numbered where they would be the same, on any file system."""
    taken: set[str] = set()
    stems = []
    for name in names:
        stem, number = PurePath(name).stem, 1
        own = stem
        while own.casefold() in taken:
            number += 1
            own = f"{stem}_{number}"
        taken.add(own.casefold())
        stems.append(own)
    return stems


def zip_masks(
    results: Iterable[tuple[str, Result]],
    stems: Sequence[str],
    labels: Labels,
    formats: Sequence[str],
    within: Path,
    limits: Limits,
) -> IO[bytes]:
    """Write the masks in each format, with ``classes.csv`` and ``predictions.csv``; returns the zip, at its beginning.

    Args:
        results: stem and result of each photo, in any order; they are taken one by one.
        stems: of all photos.
        labels: what the labels are.
        formats: of ``OFFERED``.
        within: folder for temporary files.
        limits: its ``zip``.

    Raises:
        Refused: the files become too large.
        TagsegError: a format cannot hold these classes or photos.
    """
    with tempfile.TemporaryDirectory(dir=within) as name:
        folder = Path(name)
        writers = Formats(formats, Plan(folder, labels.names, labels.colours, tuple(stems), DEFAULT_SETTINGS))
        rows: list[tuple[object, ...]] = []
        try:
            for stem, result in results:
                writers.add(result, stem)
                rows.append(_row(stem, result, "png" in formats))
                _check_size(folder, limits)
        finally:
            writers.close()
        export.save_legend(folder / "classes.csv", labels.classes, labels.colours)
        export.save_table(folder / "predictions.csv", ("image", "mask", "classes", "shares"), rows)
        return _zipped(folder, within)


def chunks(file: IO[bytes]) -> Iterator[bytes]:
    """The bytes of a file, which is closed at the end."""
    with file:
        while part := file.read(_CHUNK):
            yield part


def _row(stem: str, result: Result, masks: bool) -> tuple[object, ...]:
    shares = result.shares()
    image = stem if result.path is None else result.path.name
    mask = f"masks/{stem}.png" if masks else ""
    return image, mask, ";".join(shares), ";".join(f"{share:.4f}" for share in shares.values())


def _check_size(folder: Path, limits: Limits) -> None:
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    if size > limits.zip:
        raise Refused(
            413, f"these files are larger than {in_megabytes(limits.zip)}, expected at most that: choose fewer photos"
        )


def _zipped(folder: Path, within: Path) -> IO[bytes]:
    file = tempfile.TemporaryFile(dir=within)  # noqa: SIM115 (returned open)
    with zipfile.ZipFile(file, "w") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                packed = path.suffix in (".png", ".npz", ".zip")
                how = zipfile.ZIP_STORED if packed else zipfile.ZIP_DEFLATED
                archive.write(path, path.relative_to(folder).as_posix(), how)
    file.seek(0)
    return file

"""Reading the data as ``train`` does, but on after each error: what is refused becomes a finding."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from tagseg.check.finding import Finding, found
from tagseg.check.tags import unknown_tags
from tagseg.data import sources
from tagseg.data.class_index import read_as_none
from tagseg.data.config import DataConfig
from tagseg.data.dataset import Sample, TaggedImages
from tagseg.data.folder import IMAGES
from tagseg.data.inside import Inside
from tagseg.data.layout import ImageFolder, choose_folder, data_root
from tagseg.data.mask_files import possible_folders
from tagseg.data.names import names_of
from tagseg.data.notes import MISSING, Note
from tagseg.errors import NothingToScore, TagsegError, UnknownTag

MOST_UNKNOWN = 100
"""Unknown tags that are looked for."""

_WORDS = ("", "auto", "none", "xml", "masks", "tag", "flags", "shapes", "ids")
"""Values of settings of paths that are no path."""


@dataclass(frozen=True)
class Loaded:
    """The data as far as they can be read.

    Attributes:
        splits: the images of each split that could be read, without tags that are no class.
        findings: what was refused or left out.
        notes: what was read other than literally.
        not_scored: why nothing is scored while training; empty where something is.
    """

    splits: dict[str, TaggedImages]
    findings: tuple[Finding, ...]
    notes: tuple[Note, ...] = ()
    not_scored: str = ""


@dataclass
class _Reader:
    """Loads splits; what is refused is noted, and read again without it."""

    config: DataConfig
    refused: dict[str, list[str]] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    known: tuple[str, ...] = ()

    def load(self, split: str, tags: bool) -> TaggedImages | None:
        """The images of a split; ``None`` if no reading of them is possible.

        Where a reading is refused, and the one without masks, or that whose tags need not be known, is not, or for
        another reason, that other reading goes on.

        Raises:
            NothingToScore: the split is not for training, and nothing of it can be scored.
        """
        masks = True
        images, why = self._load(split, masks, tags)
        refused: list[tuple[str, str]] = []
        while images is None:
            for_masks, for_tags = (masks and (False, tags)), (tags and (masks, False))
            for code, other in (("masks_refused", for_masks), ("tags_refused", for_tags)):
                again, still = self._load(split, *other) if other else (None, why)
                if again is not None or still != why:
                    refused.append((code, why))
                    images, why, (masks, tags) = again, still, other or (masks, tags)
                    break
            else:
                refused = [("data_refused", line) for line in (why, *(line for _, line in refused))]
                break
        for code, line in refused:
            self._note(code, line)
        return images

    def _load(self, split: str, masks: bool, tags: bool) -> tuple[TaggedImages | None, str]:
        """The images, or why there are none; unknown tags are read as no tag, so that the next one is found."""
        while True:
            try:
                return sources.load(self.config, split, masks=masks, tags=tags), ""
            except UnknownTag as error:
                if error.tag in self.unknown or len(self.unknown) == MOST_UNKNOWN:
                    return None, str(error)
                self.known = self.known or error.classes
                self.unknown.append(error.tag)
                self.config = replace(self.config, no_tag=(*names_of(self.config.no_tag), error.tag))
            except NothingToScore:
                if not tags or not masks:
                    raise
                masks = False  # a split to train on needs none
            except TagsegError as error:
                return None, str(error)

    def _note(self, code: str, line: str) -> None:
        lines = self.refused.setdefault(code, [])
        if line not in lines:
            lines.append(line)


def load_all(config: DataConfig) -> Loaded:
    """Read both splits of the settings, whatever is wrong with them.

    Raises:
        TagsegError: a path or a source of the settings does not exist, or there are neither tags nor photos to read.
    """
    check_paths(config)
    reader = _Reader(replace(config, skip_missing=True, contradictions="warn"))
    splits: dict[str, TaggedImages] = {}
    not_scored = "" if config.val_split else "there is no validation split"
    training = reader.load(config.train_split, tags=True)
    if training is not None:
        splits[config.train_split] = training
    if config.val_split and config.val_split != config.train_split:
        try:
            scored = reader.load(config.val_split, tags=False)
            splits |= {config.val_split: scored} if scored is not None else {}
        except NothingToScore as nothing:
            not_scored = str(nothing)
    if not splits:
        splits = _photos_alone(config, reader.refused)
    notes = tuple(dict.fromkeys(note for images in splits.values() for note in images.notes))
    findings = (*_refused(reader.refused), *_missing(notes, config.skip_missing))
    counts = {tag: sum(note.count for note in notes if note.text == read_as_none(tag)) for tag in reader.unknown}
    findings += unknown_tags(counts, reader.known)
    return Loaded(splits, findings, notes, not_scored)


def check_paths(config: DataConfig) -> None:
    """Raise ``TagsegError`` if the folder, the source or a file that the settings name does not exist."""
    if config.source not in sources.SOURCES:
        sources.load(config, config.train_split)  # raises, with the sources that there are
    if config.source == "scenes":
        return  # which are drawn
    root = data_root(config.root)
    for name in ("tags", "images", "masks", "colours"):
        value = getattr(config, name)
        if value not in _WORDS and not ((root / value).exists() or Path(value).expanduser().exists()):
            raise TagsegError(
                f"--data.{name} is {value!r}, but neither {root / value} nor {value} exists, expected a path: mend it"
            )


def _photos_alone(config: DataConfig, refused: dict[str, list[str]]) -> dict[str, TaggedImages]:
    """The photos below the root, without tags, where nothing else can be read."""
    root = data_root(config.root)
    folder = choose_folder(root, config.images, IMAGES, "--data.images") or root
    names = ImageFolder(folder, possible_folders(root), inside=Inside.of(config, root)).photos.names
    if not names:
        raise TagsegError(next(line for lines in refused.values() for line in lines))
    samples = tuple(Sample(name, folder / name, (), tags_known=False) for name in names)
    return {"": TaggedImages(f"photos ({folder})", (), samples, "")}


def _refused(refused: dict[str, list[str]]) -> tuple[Finding, ...]:
    """Refusals, whose lines name their own way out."""
    texts = {
        "data_refused": ("the data cannot be read", "mend that and check again, as it hides what comes after"),
        "tags_refused": ("the tags cannot be used", "mend that: without tags there is nothing to train on"),
        "masks_refused": ("the masks cannot be used", "mend that, or leave masks out with --data.masks none"),
    }
    return tuple(
        finding
        for code, (text, way_out) in texts.items()
        for finding in found(code, "error", refused.get(code, []), text, way_out)
    )


def _missing(notes: tuple[Note, ...], accepted: bool) -> tuple[Finding, ...]:
    some = [note for note in notes if note.kind == MISSING]
    return found(
        "missing_images", "warning" if accepted else "error", [name for note in some for name in note.examples],
        "images that the tags name do not exist",
        "they are left out, as --data.skip_missing says" if accepted else
        "add them, or leave their rows out with --data.skip_missing true",
        sum(note.count for note in some),
    )  # fmt: skip

"""Which mask file belongs to which image, by their names."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path

from tagseg.data.layout import choose_folder
from tagseg.data.listing import Photos, list_files
from tagseg.data.mask_pixels import EXTENSIONS, INEXACT
from tagseg.data.notes import Note
from tagseg.data.resolver import Resolver, without_extension
from tagseg.errors import TagsegError, list_some

FOLDERS = ("masks", "SegmentationClass")
"""Folders of masks that are taken before any other."""
OTHER_FOLDERS = (
    *("mask", "segmentationclasspng", "segmentationclassraw", "segmentation", "segmentations", "labels", "label"),
    *("annotations", "annotation", "annots", "gt", "gts", "ground_truth", "groundtruth", "gtfine", "seg", "targets"),
)
"""Folders, in lower case, that are taken where they hold masks of the images."""

_GAP = r"[ _.\-]+"
_MASK_WORD = (
    r"(?:mask|masks|seg|segm|segmap|segmask|segmentation|label|labels|labelmap|labelids|labeltrainids|gt|gtfine|gtcoarse|"
    r"ground[ _-]?truth|annotation|anno|annot|ann|target|class|classes|matte)"
)
_IMAGE_WORD = r"(?:image|img|im|photo|picture|pic|rgb|orig|original|leftimg8bit|sat)"
_MASK_AFFIX = re.compile(rf"(?:{_GAP}{_MASK_WORD})+$|^(?:{_MASK_WORD}{_GAP})+", re.I)
_IMAGE_AFFIX = re.compile(rf"(?:{_GAP}{_IMAGE_WORD})+$|^(?:{_IMAGE_WORD}{_GAP})+", re.I)
_NO_MASK = re.compile(
    r"overlay|colou?r|vis\b|visual|preview|instance|depth|edge|bound|panoptic|prob|conf|cam|heat|polygon|bbox|disp",
    re.I,
)
"""What is derived from masks or beside them, and holds no class ids."""
_LETTERS = re.compile(r"[ _.\-]*[A-Za-z][A-Za-z0-9]*")


@dataclass(frozen=True)
class FoundMasks:
    """The masks of images.

    Attributes:
        folder: where they are; ``None`` if there is no folder of masks.
        of: image name without extension → mask file.
        notes: how names differ, and what fits no image.
        why_none: the reason in words, if the folder has no mask of any image.
    """

    folder: Path | None = None
    of: dict[str, Path] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()
    why_none: str = ""


def find_masks(root: Path, setting: str, photos: Photos, usual: tuple[str, ...] = FOLDERS) -> FoundMasks:
    """Find the masks of images.

    A mask is called like its image. Otherwise usual affixes are left out (``photo_mask.png``, ``gt_photo.tif``,
    ``photo.jpg.png``), or any one affix that all masks have; then names are compared as ``Resolver`` does.

    Args:
        root: the data's folder.
        setting: ``--data.masks``: a folder relative to the root, ``none``, or ``auto``: the first of ``usual``, else
            the one of ``OTHER_FOLDERS``, that holds masks of the images.
        photos: all images.
        usual: names of folders.

    Raises:
        TagsegError: the folder that is set does not exist or has no mask of any image, two masks fit one image, or
            several folders hold masks.
    """
    if setting == "none":
        return FoundMasks()
    if setting != "auto":
        folder = choose_folder(root, setting, usual, "--data.masks")
        assert folder is not None
        found = masks_in(folder, photos)
        if found.why_none:
            raise TagsegError(f"--data.masks is {setting!r}, but {found.why_none}; or set it to none")
        return found
    every = [masks_in(root / name, photos) for name in usual if (root / name).is_dir()]
    with_some = [found for found in every if found.of] or _elsewhere(root, photos)
    return next(iter([*with_some, *every]), FoundMasks())


def possible_folders(root: Path) -> list[Path]:
    """The folders in the root that may hold masks."""
    return [path for path in sorted(root.iterdir()) if _may_hold_masks(path) and path.is_dir()]


def _may_hold_masks(path: Path) -> bool:
    return path.name in FOLDERS or path.name.lower() in (*OTHER_FOLDERS, *map(str.lower, FOLDERS))


def _elsewhere(root: Path, photos: Photos) -> list[FoundMasks]:
    """Masks in a folder that is not called as usual; none or one."""
    folders = [path for path in possible_folders(root) if path != photos.folder]
    holding = [found for found in (masks_in(folder, photos) for folder in folders) if found.of]
    if len(holding) > 1:
        several = list_some([str(found.folder) for found in holding])
        raise TagsegError(f"{several} all hold masks of the images, expected one such folder: set --data.masks to it")
    note = "no folder of masks has a usual name, so they are taken from"
    return [replace(found, notes=(Note(f"{note} {found.folder}"), *found.notes)) for found in holding]


def masks_in(folder: Path, photos: Photos) -> FoundMasks:
    """The masks of images in one folder.

    Raises:
        TagsegError: the folder does not exist, or two masks fit one image equally well.
    """
    listed = list_files(folder, (*EXTENSIONS, *INEXACT), photos.inside)
    if folder.is_relative_to(photos.folder) or photos.folder.is_relative_to(folder):
        itself = {photos.folder / name for name in photos.names}  # photos and masks may be in one folder
        listed = [name for name in listed if folder / name not in itself]
    left = [name for name in listed if name.lower().endswith(EXTENSIONS)]
    matching = _Matching(folder, photos)
    for step in (matching.literal, matching.other_form, matching.affixes, matching.common_affix):
        left = step(left)
    beside = [name for name in left if matching.is_beside(name)]
    strange = [name for name in left if not matching.is_beside(name)]
    inexact = [name for name in listed if name.lower().endswith(INEXACT) and matching.is_free(name)]
    of = {image: folder / file for image, file in matching.found.items()}
    if not of:
        return FoundMasks(folder, why_none=_why_none(folder, photos, left, inexact))
    notes = (
        *matching.notes(),
        *Note.of(
            f"masks in {folder} are JPEG or the like, which changes ids: not read, save them as PNG", inexact, True
        ),
        *Note.of(f"files beside the masks in {folder}, not read", beside),
        *Note.of(f"files in {folder} are named like no image, so they are the masks of none", strange, True),
    )
    return FoundMasks(folder, of, notes)


def _why_none(folder: Path, photos: Photos, left: list[str], inexact: list[str]) -> str:
    if inexact:
        what = f"all {len(inexact)} masks in {folder} are JPEG or the like, which changes ids"
        return f"{what} ({list_some(inexact)}): save masks as PNG"
    if not left:
        return f"{folder} holds no mask: add masks, called like their images"
    image = without_extension(photos.names[0]) if photos.names else "photo"
    return f"none of the {len(left)} files in {folder} ({list_some(left)}) is named like an image, e.g. {image}.png"


class _Matching:
    """Gives masks to images, the most literal names first. Each step returns the files that are left."""

    def __init__(self, folder: Path, photos: Photos) -> None:
        self._folder = folder
        self._stems = {without_extension(name): name for name in photos.names}
        self._resolver = Resolver(list(self._stems), "the images")
        cores: dict[str, list[str]] = defaultdict(list)
        for stem in self._stems:
            cores[_core(stem, _IMAGE_AFFIX)].append(stem)
        self._image_of_core = {core: stems[0] for core, stems in cores.items() if len(stems) == 1}
        self._cores = Resolver(list(self._image_of_core), "the images")
        self.found: dict[str, str] = {}
        self._said: dict[str, list[str]] = {}

    def is_free(self, file: str) -> bool:
        """Whether a file is named like an image without a mask."""
        stem = _stem(file)
        names = (stem, without_extension(stem), _core(without_extension(stem), _MASK_AFFIX))
        return any(name in self._stems and name not in self.found for name in names)

    def is_beside(self, file: str) -> bool:
        """Whether a file is named like an image that has another mask, and some more."""
        stem = _stem(file)
        ends = [end.start() for end in re.finditer(r"[ _.\-]", stem)]
        starts = (stem[:end] for end in (*ends, len(stem)))
        return any(start in self.found or self._image_of_core.get(start) in self.found for start in starts)

    def literal(self, files: list[str]) -> list[str]:
        """``photo.png`` of ``photo.jpg``; other formats, and ``photo.jpg.png``, are said."""
        fitting: dict[str, str] = {}
        for file in files:
            stem = _stem(file)
            inner = without_extension(stem)
            if stem in self._stems:
                fitting[file] = stem
            elif self._stems.get(inner) == stem:
                fitting[file] = inner
        return self._give(files, fitting, {})

    def other_form(self, files: list[str]) -> list[str]:
        """Names in another case, folder or the like."""
        return self._resolved(files, {file: _stem(file) for file in files}, "")

    def affixes(self, files: list[str]) -> list[str]:
        """Names with usual affixes of masks; images may have usual affixes too."""
        cores = {file: _core(without_extension(_stem(file)), _MASK_AFFIX) for file in files}
        cores = {file: core for file, core in cores.items() if not _NO_MASK.search(_stem(file).replace(core, ""))}
        shown = {file: _shown_affix(_stem(file), core) for file, core in cores.items()}
        left = self._resolved(files, cores, shown)
        waiting = set(left)
        cores = {file: core for file, core in cores.items() if file in waiting}
        return self._resolved(left, cores, shown, by_core=True)

    def common_affix(self, files: list[str]) -> list[str]:
        """One affix that all masks have which are left, whatever it is."""
        of: dict[str, tuple[str, tuple[str, str]]] = {}
        for file in files:
            folders, slash, last = _stem(file).rpartition("/")
            cuts = [(last[:cut], ("", last[cut:])) for cut in range(1, len(last))]
            cuts += [(last[cut:], (last[:cut], "")) for cut in range(1, len(last))]
            for core, affix in sorted(cuts, key=lambda each: -len(each[0])):
                stem = f"{folders}{slash}{core}"
                if stem in self._stems and stem not in self.found and _LETTERS.fullmatch("".join(affix)):
                    of[file] = (stem, affix)
                    break
        affixes = {affix for _, affix in of.values()}
        if len(affixes) != 1 or len(of) < 2 or _NO_MASK.search("".join(*affixes)):
            return files
        shown = dict.fromkeys(of, "…".join(*affixes))
        return self._give(files, {file: stem for file, (stem, _) in of.items()}, shown)

    def notes(self) -> list[Note]:
        """How the names of masks differ from those of their images."""
        return [note for text, examples in self._said.items() for note in Note.of(text, examples)]

    def _resolved(
        self, files: list[str], names: dict[str, str], affix: dict[str, str] | str, by_core: bool = False
    ) -> list[str]:
        """Give masks to the images that their names without affixes mean."""
        fitting, reasons = {}, {}
        for file, name in names.items():
            match = (self._cores if by_core else self._resolver).find(name)
            if match is None:
                continue
            stem = self._image_of_core[match.file] if by_core else match.file
            if stem not in self.found:
                fitting[file] = stem
                reasons[file] = "; ".join(reason.replace("images named", "named") for reason in match.reasons)
        shown = {file: affix[file] if isinstance(affix, dict) else "" for file in fitting}
        said = {file: ", ".join(filter(None, (shown[file], reasons[file]))) for file in fitting}
        return self._give(files, fitting, said)

    def _give(self, files: list[str], fitting: dict[str, str], how: dict[str, str]) -> list[str]:
        given: dict[str, str] = {}
        for file, stem in fitting.items():
            other = given.setdefault(stem, file)
            if other != file:
                raise TagsegError(
                    f"{other} and {file} in {self._folder} are both named like the image {self._stems[stem]}, expected "
                    "one mask an image: move the other out of the folder"
                )
            suffix = file.rpartition(".")[2]
            parts = [how.get(file, "")]
            if not how.get(file) and without_extension(_stem(file)) == stem != _stem(file):
                parts.append("…" + _stem(file)[len(stem) :])
            if suffix != "png":
                parts.append(f"of the format {suffix}")
            text = ", ".join(filter(None, parts))
            if text:
                self._said.setdefault(f"masks are named other than their image: {text}", []).append(f"{file} → {stem}")
        self.found.update(given)
        taken = set(fitting)
        return [file for file in files if file not in taken]


def _stem(file: str) -> str:
    """The name without the ending of its format, whatever that is."""
    return file[: file.rindex(".")]


def _core(stem: str, affix: re.Pattern[str]) -> str:
    """The name without affixes of its last part, unless nothing would be left."""
    folders, slash, last = stem.rpartition("/")
    core = affix.sub("", affix.sub("", last))
    return f"{folders}{slash}{core or last}"


def _shown_affix(stem: str, core: str) -> str:
    last, core = stem.rpartition("/")[2], core.rpartition("/")[2]
    before, _, after = last.partition(core)
    return f"{before}…{after}"

"""Class-agnostic masks of photos from elsewhere (SAM, saliency models, superpixels ...), found for tagged images."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

from jaxtyping import Int32
from numpy import ndarray

from tagseg.data.dataset import Sample, TaggedImages
from tagseg.data.images import image_size
from tagseg.data.inside import Inside
from tagseg.data.listing import list_files
from tagseg.data.masks import check_size
from tagseg.data.proposal_outlines import JsonSegments, OutlinedSegments, read_coco
from tagseg.data.proposal_pictures import KIND_FLAG, Kind, Picture, PictureStack, recognise
from tagseg.data.resolver import fold_name
from tagseg.data.segments import resized, same_aspect
from tagseg.errors import TagsegError, list_some

Reader: TypeAlias = Callable[[], Int32[ndarray, "h w"]]
FLAG = "--labels.folder"
"""The setting that names the folder, for messages."""
_PICTURES, _STACKS, _EACH_JSON = "one PNG an image", "one folder of PNG masks an image", "one JSON file an image"

logger = logging.getLogger("tagseg")


@dataclass(frozen=True)
class Proposals:
    """Reads the proposals of one image when it is called. Picklable.

    Attributes:
        image: the image file.
        reader: reads them at the size they were made at.
        origin: where they are, for messages.
    """

    image: Path
    reader: Reader
    origin: str

    def __call__(self) -> Int32[ndarray, "H W"]:
        """Segment ids at the image's size as displayed (EXIF rotation applied), 0 where there is no segment.

        Ids are positive, not necessarily consecutive; of overlapping segments the smaller is on top. Proposals of
        another size but the same aspect (up to one pixel) are resized, each pixel to the nearest.

        Raises:
            TagsegError: a file is damaged, malformed, not of its kind, or has another aspect than the image.
        """
        ids, size = self.reader(), image_size(self.image)
        made_at = (ids.shape[0], ids.shape[1])
        if made_at == size:
            return ids
        if not same_aspect(made_at, size):
            check_size(self.origin, made_at, self.image)
        return resized(ids, size)


class _Found(NamedTuple):
    """What a folder was taken for, the reader and origin for each image's name, and the names of no image."""

    form: str
    of_image: Mapping[str, tuple[Reader, str]]
    left_out: list[str]


def find_proposals(
    folder: Path, images: TaggedImages, kind: Kind | Literal["auto"] = "auto", inside: Inside | None = None
) -> dict[str, Proposals]:
    """The proposals of images, by the images' names; those without any are left out. A logged line says what was found.

    The form is found out by looking; where several fit, the one that fits most images:

    - ``NAME.png`` for each image: a binary mask, segment ids (grey, palette or one colour a segment), or a grey
      saliency map, which is cut at half of its maximum. Separate regions of a mask or saliency map become segments.
    - ``NAME/*.png``: several binary masks for each image, as SAM's automatic mask generator writes them.
    - ``NAME.json``: COCO's annotations of one image, as SA-1B has them.
    - one JSON file, or a folder that holds one: COCO's instances; categories are ignored.

    ``NAME`` is an image's name, sub-folders included; ``a.jpg.png`` is found for ``a.jpg`` too.

    Args:
        folder: a folder, or a COCO file.
        images: whose proposals are wanted.
        kind: of PNG pictures, all of one kind; ``auto`` looks at some of them.
        inside: the folders that links may lead into; by default anywhere.

    Raises:
        TagsegError: the folder does not exist, no image has proposals, a COCO file is malformed, or it cannot be told
            of what kind the pictures are. Single pictures and single images' JSON files are read only later.
    """
    if kind not in ("auto", *get_args(Kind)):
        raise TagsegError(f"{KIND_FLAG} is {kind!r}, expected auto, {', '.join(get_args(Kind))}: choose one of them")
    if not folder.exists():
        raise TagsegError(f"{folder} does not exist, expected a folder of masks or a COCO file: set {FLAG}")
    photos = {sample.image.resolve() for sample in images.samples}  # may be PNG files beside their proposals
    listed = [] if folder.is_file() else list_files(folder, (".png", ".json"), inside)
    files = [file for file in listed if (folder / file).resolve() not in photos]
    found = _by_files(folder, files, images, kind) or _by_coco_file(folder, files, images)
    if not found:
        raise TagsegError(_nothing(folder, files, images))
    _report(folder, images, found)
    return {
        sample.name: Proposals(sample.image, *found.of_image[sample.name])
        for sample in images.samples
        if sample.name in found.of_image
    }


def _by_files(folder: Path, files: list[str], images: TaggedImages, kind: Kind | Literal["auto"]) -> _Found | None:
    """The form of which most images have files that are named after them."""
    forms: dict[str, dict[str, list[Path]]] = {form: defaultdict(list) for form in (_PICTURES, _STACKS, _EACH_JSON)}
    for file in files:
        path, name = folder / file, PurePosixPath(file)
        stem = name.with_name(name.name[: -len(name.suffix)]).as_posix()
        if name.suffix.lower() == ".json":
            forms[_EACH_JSON][stem].append(path)
        else:
            forms[_PICTURES][stem].append(path)
            forms[_STACKS][name.parent.as_posix()].append(path)
    matched = {form: _match(keys, images, folder) for form, keys in forms.items()}
    form = max(matched, key=lambda each: len(matched[each]))  # the first of equal ones
    if not matched[form]:
        return None
    paths = {image: forms[form][key] for image, key in matched[form].items()}
    left_out = sorted(set(forms[form]) - set(matched[form].values()))
    if form == _EACH_JSON:
        return _Found(form, {image: (JsonSegments(p[0]), str(p[0])) for image, p in paths.items()}, left_out)
    if form == _STACKS:
        of_mask: Kind = "saliency" if kind == "saliency" else "binary"
        of_image = {image: (PictureStack(tuple(p), of_mask), str(p[0].parent)) for image, p in paths.items()}
        return _Found(form, of_image, left_out)
    pictured = recognise([p[0] for p in paths.values()]) if kind == "auto" else kind
    what = {
        "binary": "binary masks",
        "segments": "segment ids",
        "saliency": "saliency maps, cut at half of the maximum",
    }
    pictures = {image: (Picture(p[0], pictured), str(p[0])) for image, p in paths.items()}
    return _Found(f"{form}, {what[pictured]}", pictures, left_out)


def _by_coco_file(folder: Path, files: list[str], images: TaggedImages) -> _Found | None:
    """The images of a COCO file, where it or a folder that holds no other JSON file is given."""
    jsons = [folder] if folder.is_file() else [folder / file for file in files if file.lower().endswith(".json")]
    if len(jsons) != 1:
        return None
    try:
        annotations = read_coco(jsons[0])
    except TagsegError:
        if len(files) > 1:  # PNG files whose names do not fit, and a JSON file of something else
            return None
        raise
    matched = _match(annotations, images, jsons[0])
    outlined = [
        (image, OutlinedSegments.of(jsons[0], annotations[key]))
        for image, key in matched.items()
        if annotations[key].segmentations
    ]
    left_out = sorted(set(annotations) - set(matched.values()))
    return _Found("COCO's instances", {i: (each, each.origin) for i, each in outlined}, left_out) if outlined else None


def _match(keys: Mapping[str, Any], images: TaggedImages, where: Path) -> dict[str, str]:
    """Image name → key. Exact names first, then those that differ in case or Unicode normalisation alone."""
    names = {sample.name for sample in images.samples}
    loose: dict[str, list[str]] = defaultdict(list)
    for key in keys:
        loose[fold_name(key)].append(key)
    matched: dict[str, str] = {}
    for sample in images.samples:
        for candidate in _candidates(sample):
            similar = [candidate] if candidate in keys else loose.get(fold_name(candidate), [])
            fitting = [key for key in similar if key == sample.name or key not in names]
            if len(fitting) > 1:
                several = f"the image {sample.name} could be {list_some(fitting)} in {where}"
                raise TagsegError(f"{several}, expected one of that name: rename or remove the others")
            if fitting:
                matched[sample.name] = fitting[0]
                break
    return matched


def _candidates(sample: Sample) -> Iterator[str]:
    """Names that proposals of an image may have: its own, with the extension, with the name of the images' folder."""
    yield sample.name
    yield sample.name + sample.image.suffix
    yield f"{sample.image.parent.name}/{PurePosixPath(sample.name).name}"


def _report(folder: Path, images: TaggedImages, found: _Found) -> None:
    without = [sample.name for sample in images.samples if sample.name not in found.of_image]
    parts = [f"{len(found.of_image)} of {len(images)} images have proposals"]
    if without:
        parts.append(f"{len(without)} have none ({list_some(without)})")
    if found.left_out:
        parts.append(f"{len(found.left_out)} names belong to no image ({list_some(found.left_out)})")
    logger.info("proposals: %s is taken for %s; %s", folder, found.form, ", ".join(parts))


def _nothing(folder: Path, files: list[str], images: TaggedImages) -> str:
    name = images.samples[0].name if images.samples else "NAME"
    held = f"it holds {len(files)} PNG and JSON files ({list_some(files)})" if files else "it holds no PNG or JSON file"
    if folder.is_file():
        held, expected = "no name in it is an image's, or it has no annotation", f"file_name {name!r} with extension"
    else:
        expected = f"{folder / name}.png, {folder / name}/*.png, {folder / name}.json or one COCO file"
    return (
        f"{folder} has proposals for none of {len(images)} images ({images.source}): {held}, expected e.g. {expected}"
    )

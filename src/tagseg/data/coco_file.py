"""COCO's JSON of objects, read and checked once: what is written in several ways, or does not fit, ends here."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from tagseg.data.coco_values import Box, Key, may_enclose, read_box, read_flag, read_key, read_segmentation, read_side
from tagseg.data.file_size import read_whole
from tagseg.data.json_text import parse_json
from tagseg.data.notes import Note
from tagseg.data.outlines import Outline
from tagseg.errors import TagsegError, list_some


class Category(NamedTuple):
    """One entry of ``categories``."""

    key: Key
    name: str
    supercategory: str


class CocoAnnotation(NamedTuple):
    """One annotated object; without outline if it encloses nothing or was not asked for. ``key`` is its id.

    ``extent`` is that of the outline; without one, of the box, if there is one.
    """

    category: Key
    crowd: bool
    outline: Outline | None
    extent: Box | None
    key: object


class CocoImage(NamedTuple):
    """One image: name as written (with ``/``), annotated (H, W) in pixels if given, and its objects."""

    file: str
    size: tuple[int, int] | None
    annotations: tuple[CocoAnnotation, ...]


@dataclass(frozen=True, eq=False)
class CocoFile:
    """What a file holds.

    Attributes:
        path: the file.
        categories: by ascending id.
        images: in the order of the file.
        annotated: ids of the categories that some object has.
        outlined: of the objects that seem to have an outline, whether they are crowds: none, either, or both.
        notes: what was read other than literally or left out.
    """

    path: Path
    categories: tuple[Category, ...]
    images: tuple[CocoImage, ...]
    annotated: frozenset[Key]
    outlined: frozenset[bool]
    notes: tuple[Note, ...]


def read_coco_file(path: Path, outlines: bool) -> CocoFile:
    """Read a file of COCO's instances.

    Ids of images and of categories must be unique. Ids may be text in one place and numbers in another. Objects of
    images that the file does not list are left out, with a warning.

    Args:
        path: the file.
        outlines: whether to read outlines and boxes; training on tags needs none.

    Raises:
        TagsegError: an entry is malformed or contradicts another; the message names it.
    """
    try:
        content = _load(path)
        return _Reader(path, content, outlines).read()
    except OSError as error:
        raise TagsegError(f"{path} cannot be read ({error.strerror}): check the file") from error
    except KeyError as error:
        raise TagsegError(f"{path} has an entry without {error}, expected COCO's instances: check the file") from error
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise TagsegError(f"{path} cannot be read ({reason}), expected COCO's instances: check the file") from error


def annotated_categories(path: Path) -> frozenset[Key]:
    """Ids of the categories that some object of another split's file has; none if it cannot be read."""
    try:
        return frozenset(read_key(entry["category_id"]) for entry in _load(path)["annotations"])
    except (OSError, KeyError, ValueError, TypeError, AttributeError, RecursionError):
        return frozenset()  # that file's own reading says what is wrong with it


def _load(path: Path) -> dict[str, Any]:
    content = parse_json(read_whole(path, "COCO's instances"))
    if isinstance(content, list):
        raise ValueError(f"a list of {len(content)}: detections, or labels of another format")
    missing = [name for name in ("images", "annotations", "categories") if name not in content]
    if missing:
        raise ValueError(f"no {' and no '.join(missing)}, only {list_some(list(content), most=8) or 'nothing'}")
    for name in ("images", "annotations", "categories"):
        if not isinstance(content[name], list) or not all(isinstance(entry, dict) for entry in content[name]):
            raise ValueError(f"{name} is no list of entries")
    if any("segments_info" in entry for entry in content["annotations"][:1]):
        raise ValueError("COCO's panoptic format, which has PNG files: export instances, or their JSON")
    return content


class _Reader:
    """Reads the entries and gathers what is noticed."""

    def __init__(self, path: Path, content: dict[str, Any], outlines: bool) -> None:
        self.path = path
        self.content = content
        self.outlines = outlines
        self.noticed: dict[str, list[str]] = defaultdict(list)
        self.outlined: set[bool] = set()
        self.id_types: dict[str, set[bool]] = defaultdict(set)  # by kind: is it text

    def read(self) -> CocoFile:
        categories = self._categories()
        names = self._names()
        objects = self._objects({category.key for category in categories}, names)
        images = []
        for key, entry in zip(names, self.content["images"], strict=True):
            try:
                sides = read_side(entry.get("height")), read_side(entry.get("width"))
            except ValueError as error:
                raise ValueError(f"the image {names[key]} has {error}") from error
            size = (sides[0], sides[1]) if sides[0] and sides[1] else None
            if size is None and self.outlines:
                self.noticed["images without width or height, taken from the image file"].append(names[key])
            images.append(CocoImage(names[key], size, tuple(objects.pop(key, ()))))
        annotated = frozenset(o.category for image in images for o in image.annotations)
        return CocoFile(self.path, categories, tuple(images), annotated, frozenset(self.outlined), self._notes())

    def _categories(self) -> tuple[Category, ...]:
        found: dict[Key, Category] = {}
        for entry in self.content["categories"]:
            name = " ".join(str(entry["name"] if entry["name"] is not None else "").split())
            key = self._key(entry["id"], "category", f"the category {name!r}")
            if key in found:
                raise ValueError(f"the category id {key} belongs to {found[key].name!r} and to {name!r}")
            found[key] = Category(key, name, str(entry.get("supercategory") or ""))
        # by id: the published order of labels; ids that are text come after numbers
        return tuple(sorted(found.values(), key=lambda c: (isinstance(c.key, str), c.key)))

    def _names(self) -> dict[Key, str]:
        """File name by image id, in the order of the file."""
        names: dict[Key, str] = {}
        id_of: dict[str, Key] = {}
        for number, entry in enumerate(self.content["images"], 1):
            name = entry["file_name"]
            if not isinstance(name, str) or not name.strip():
                raise ValueError(f"image {entry.get('id', number)!r} has the file_name {name!r}, a name is needed")
            name = name.strip()
            key = self._key(entry["id"], "image", f"the image {name}")
            if key in names:
                raise ValueError(f"the image id {key} belongs to {names[key]} and to {name}")
            if name in id_of:
                raise ValueError(f"it lists an image file twice: {name}, with the ids {id_of[name]} and {key}")
            names[key], id_of[name] = name, key
        return names

    def _objects(self, categories: set[Key], names: dict[Key, str]) -> dict[Key, list[CocoAnnotation]]:
        objects: dict[Key, list[CocoAnnotation]] = defaultdict(list)
        orphans: list[str] = []
        for number, entry in enumerate(self.content["annotations"], 1):
            where = f"annotation {(own := entry.get('id', number))}"
            image = self._key(entry["image_id"], "image", where)
            if image not in names:
                orphans.append(f"{where} of image {image}")
                continue
            where = f"{where} of {names[image]}"
            category = self._key(entry["category_id"], "category", where)
            if category not in categories:
                raise ValueError(f"{where} has the category {category}, which it does not define")
            objects[image].append(self._object(entry, category, own, where))
        if orphans and not objects:
            raise ValueError(f"no annotation belongs to one of its images: {list_some(orphans)}")
        text = "annotations of images that it does not list, left out"
        self.noticed[text] += orphans
        return objects

    def _object(self, entry: dict[str, Any], category: Key, key: object, where: str) -> CocoAnnotation:
        flag = entry.get("iscrowd")
        try:
            crowd = flag == 1 if type(flag) is int and flag in (0, 1) else read_flag(flag)
            if isinstance(flag, str):
                self.noticed[f"annotations with iscrowd as text, {flag!r} read as {int(crowd)}"].append(where)
            if crowd not in self.outlined and may_enclose(entry.get("segmentation")):
                self.outlined.add(crowd)
            if not self.outlines:
                return CocoAnnotation(category, crowd, None, None, key)
            outline, extent, nested = read_segmentation(entry.get("segmentation"))
        except KeyError as error:
            raise ValueError(f"{where}: run lengths without {error}") from error
        except (ValueError, TypeError, OverflowError) as error:
            raise ValueError(f"{where}: {error}") from error
        if nested:
            self.noticed["outlines nested otherwise than COCO's, read as polygons of points"].append(where)
        extent = read_box(entry.get("bbox")) if outline is None else extent
        return CocoAnnotation(category, crowd, outline, extent, key)

    def _key(self, value: Any, kind: str, where: str) -> Key:
        self.id_types[kind].add(isinstance(value, str))
        if type(value) is int:  # nearly always
            return value
        try:
            return read_key(value)
        except ValueError as error:
            raise ValueError(f"{where} has {error}, expected a number or text") from error

    def _notes(self) -> tuple[Note, ...]:
        mixed = [kind for kind, types in self.id_types.items() if len(types) == 2]
        notes = [Note(f"{kind} ids are text in some places and numbers in others: matched") for kind in mixed]
        for text, names in self.noticed.items():
            notes += Note.of(text, names, warning=text.startswith("annotations of images"))
        return tuple(notes)

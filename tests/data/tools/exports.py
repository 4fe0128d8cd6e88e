"""Exports as the tools write them, fields and all, and what is read of them as plain values."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from tagseg.data.dataset import TaggedImages
from tagseg.data.tag_columns import Entries
from tagseg.data.tools.export import Export, entries_of


def photos(folder: Path, *names: str) -> Path:
    """Write small photos."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 3)).save(folder / name)
    return folder


def write(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, ensure_ascii=False), "utf-8")
    return path


def tags_of(export: Export, column: str = "auto") -> dict[str, tuple[str, ...]]:
    return {row.image: row.tags for row in entries_of(export, column).rows}


def said(*read: Export | Entries | TaggedImages) -> str:
    """All notes, warnings with a mark."""
    return "\n".join(f"{'!' if note.warning else ''}{note}" for each in read for note in each.notes)


def loaded(images: TaggedImages) -> dict[str, tuple[str, ...]]:
    return {sample.name: tuple(images.classes[tag] for tag in sample.tags) for sample in images.samples}


def choices(*names: str, field: str = "choice") -> dict[str, Any]:
    """A result of Label Studio's Choices."""
    return {
        "value": {"choices": list(names)},
        "id": "R3gTbmjqGx",
        "from_name": field,
        "to_name": "image",
        "type": "choices",
        "origin": "manual",
    }


def taxonomy(*paths: Sequence[str], field: str = "taxonomy") -> dict[str, Any]:
    value = {"taxonomy": [list(path) for path in paths]}
    return {"value": value, "id": "kz", "from_name": field, "to_name": "image", "type": "taxonomy", "origin": "manual"}


def rectangle(name: str, field: str = "label") -> dict[str, Any]:
    value = {"x": 1.5, "y": 2.0, "width": 30.1, "height": 40, "rotation": 0, "rectanglelabels": [name]}
    return {
        "original_width": 4,
        "original_height": 3,
        "image_rotation": 0,
        "value": value,
        "id": "Dx_aB91ISN",
        "from_name": field,
        "to_name": "image",
        "type": "rectanglelabels",
        "origin": "manual",
    }


def brush(name: str, field: str = "tag") -> dict[str, Any]:
    value = {"format": "rle", "rle": [0, 0, 0, 96, 37], "brushlabels": [name]}
    return {"value": value, "id": "b", "from_name": field, "to_name": "image", "type": "brushlabels"}


def annotation(*results: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "id": 7,
        "completed_by": 1,
        "result": list(results),
        "was_cancelled": False,
        "ground_truth": False,
        "created_at": "2026-11-20T10:00:00.000000Z",
        "updated_at": "2026-11-20T10:00:09.000000Z",
        "draft_created_at": None,
        "lead_time": 9.1,
        "prediction": {},
        "result_count": len(results),
        "unique_id": "0a3c",
        "task": 1,
        "project": 1,
        **more,
    }


def task(number: int, image: str, *annotations: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """A task of Label Studio's JSON export."""
    return {
        "id": number,
        "annotations": list(annotations),
        "file_upload": image.rpartition("/")[2],
        "drafts": [],
        "predictions": [],
        "data": {"image": image},
        "meta": {},
        "created_at": "2026-11-19T09:00:00.000000Z",
        "updated_at": "2026-11-20T10:00:09.000000Z",
        "inner_id": number,
        "total_annotations": len(annotations),
        "cancelled_annotations": 0,
        "total_predictions": 0,
        "comment_count": 0,
        "unresolved_comment_count": 0,
        "last_comment_updated_at": None,
        "project": 1,
        "updated_by": 1,
        "comment_authors": [],
        **more,
    }


def minimal(number: int, image: str, annotator: int = 1, **answers: Any) -> dict[str, Any]:
    """An annotation of Label Studio's JSON-MIN export; the order of its keys is Label Studio's."""
    return {
        "image": image,
        "id": number,
        **answers,
        "annotator": annotator,
        "annotation_id": 10 * number + annotator,
        "created_at": "2026-11-20T10:00:00.000000Z",
        "updated_at": "2026-11-20T10:00:09.000000Z",
        "lead_time": 9.1,
    }


def cvat_xml(images: str, labels: Iterable[str] = ("cat", "dog")) -> str:
    """``annotations.xml`` of "CVAT for images 1.1" with these elements."""
    declared = "".join(
        f"<label><name>{name}</name><color>#fa3253</color><type>any</type><attributes></attributes></label>"
        for name in labels
    )
    return f"""<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta>
    <task>
      <id>4</id><name>pets</name><size>3</size><mode>annotation</mode><overlap>0</overlap><bugtracker></bugtracker>
      <created>2026-11-20 11:34:24.617558+00:00</created><updated>2026-11-20 11:38:27.301183+00:00</updated>
      <subset>default</subset><start_frame>0</start_frame><stop_frame>2</stop_frame><frame_filter></frame_filter>
      <segments><segment><id>4</id><start>0</start><stop>2</stop><url>http://localhost:8080/api/jobs/4</url></segment>
      </segments>
      <owner><username>admin</username><email></email></owner><assignee></assignee>
      <labels>{declared}</labels>
    </task>
    <dumped>2026-11-20 11:38:28.799808+00:00</dumped>
  </meta>
  {images}
</annotations>
"""


def cvat_image(number: int, name: str, *children: str, attributes: str = "") -> str:
    inner = "\n    ".join(children)
    return f'<image id="{number}" name="{name}" {attributes} width="4" height="3">\n    {inner}\n  </image>'


def cvat_tag(label: str) -> str:
    return f'<tag label="{label}" source="manual">\n    </tag>'


def cvat_box(label: str) -> str:
    where = 'occluded="0" xtl="0.5" ytl="0.5" xbr="2.5" ybr="2.00" z_order="0"'
    return f'<box label="{label}" source="manual" {where}>\n    </box>'


def labelme_json(image: str, flags: Mapping[str, bool] = {}, *shapes: str) -> dict[str, Any]:
    """A file of LabelMe; X-AnyLabeling has a few keys more."""
    return {
        "version": "5.4.1",
        "flags": dict(flags),
        "shapes": [
            {
                "label": label,
                "points": [[0.5, 0.5], [2.5, 2.0]],
                "group_id": None,
                "description": "",
                "shape_type": "rectangle",
                "flags": {},
                "mask": None,
            }
            for label in shapes
        ],
        "imagePath": image,
        "imageData": "iVBORw0KGgo" * 40,
        "imageHeight": 3,
        "imageWidth": 4,
    }

"""The coco source: tags and masks straight from the annotations."""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tagseg.data.config import DataConfig
from tagseg.data.dataset import TaggedImages
from tagseg.data.sources import load
from tagseg.errors import NothingToScore, TagsegError

from .conftest import true_mask

SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "tiny_coco"


def box(x: int, y: int, width: int, height: int) -> list[list[int]]:
    return [[x, y, x + width, y, x + width, y + height, x, y + height]]


def annotation(image: int, category: int, outline: Any, crowd: int = 0) -> dict[str, Any]:
    return {"image_id": image, "category_id": category, "segmentation": outline, "iscrowd": crowd}


ANNOTATIONS = [
    annotation(1, 90, box(3, 1, 1, 1)),  # the smaller is on top, though listed first
    annotation(1, 3, box(2, 0, 3, 2)),
    annotation(1, 7, {"size": [4, 6], "counts": [16, 8]}, crowd=1),  # columns 4 and 5, under the objects
    annotation(2, 7, {"size": [4, 6], "counts": [0, 2, 22]}, crowd=1),
]
CONTENT: dict[str, Any] = {
    "images": [{"id": i, "file_name": f"{i:012}.jpg", "height": 4, "width": 6} for i in (2, 1, 3)],
    "annotations": ANNOTATIONS,
    "categories": [{"id": i, "name": n} for i, n in ((90, "cup"), (3, "table"), (7, "person"))],
}


def make(root: Path, content: Any = CONTENT, split: str = "train") -> None:
    (root / "annotations").mkdir(exist_ok=True)
    (root / "annotations" / f"instances_{split}.json").write_text(json.dumps(content))
    (root / split).mkdir(exist_ok=True)
    for i in (1, 2, 3):
        Image.new("RGB", (6, 4)).save(root / split / f"{i:012}.jpg")


def get(
    root: Path, split: str = "train", masks: bool = True, masks_folder: str = "auto", **settings: Any
) -> TaggedImages:
    return load(DataConfig(source="coco", root=str(root), masks=masks_folder, **settings), split, masks)


def texts(data: TaggedImages) -> list[str]:
    """What was noticed."""
    return [str(note) for note in data.notes]


def test_a_crowd_is_a_tag_and_untagged_images_can_be_left_out(tmp_path):
    make(tmp_path)
    every, tagged = get(tmp_path), get(tmp_path, untagged=False)
    assert every.classes == ("table", "person", "cup")  # by id
    assert [(s.name[-1], s.tags) for s in every.samples] == [("2", (1,)), ("1", (0, 1, 2)), ("3", ())]
    assert [s.name for s in tagged.samples] == ["000000000002", "000000000001"]
    train = every
    assert train.tags_from == "instances_train.json"


def test_masks_are_drawn(tmp_path):
    make(tmp_path, split="val")
    crowd, objects, empty = (true_mask(pickle.loads(pickle.dumps(s))) for s in get(tmp_path, "val").samples)
    assert objects.tolist() == [
        [0, 0, 1, 1, 1, 255],
        [0, 0, 1, 3, 1, 255],
        [0, 0, 0, 0, 255, 255],
        [0, 0, 0, 0, 255, 255],
    ]
    assert (objects.dtype, int((crowd == 255).sum()), int(empty.sum())) == (np.uint8, 2, 0)


def test_without_masks_no_outline_is_read(tmp_path):
    make(tmp_path, CONTENT | {"annotations": [annotation(1, 3, "anything")]})
    assert get(tmp_path, masks=False).samples[0].mask is None


def test_chosen_classes_in_their_order(tmp_path):
    make(tmp_path, split="val")
    data = get(tmp_path, "val", classes=("cup", "table"))
    assert [s.tags for s in data.samples] == [(), (0, 1), ()]
    assert np.unique(true_mask(data.samples[1])).tolist() == [0, 1, 2]
    assert "1 categories that are not among the chosen classes, scored as background: person" in texts(data)
    with pytest.raises(TagsegError, match=r"class 'cap' of --data\.classes.*did you mean 'cup'"):
        get(tmp_path, "val", classes=("table", "cap"))
    with pytest.raises(TagsegError, match=r"class 'bird' of --data\.classes is not among .*table, person, cup"):
        get(tmp_path, "val", classes=("bird",))


def test_a_test_set_may_lack_a_class(tmp_path):
    make(tmp_path)
    data = get(tmp_path, classes=("bird", "Cup ", "table"))
    assert data.classes == ("bird", "Cup ", "table")
    assert data.samples[1].tags == (1, 2)
    assert "1 classes that instances_train.json has no category for: bird" in texts(data)


def test_images_in_another_folder_and_missing_ones(tmp_path):
    make(tmp_path)
    (tmp_path / "images").mkdir()
    (tmp_path / "train").rename(tmp_path / "images" / "train")
    assert get(tmp_path).samples[0].image.is_file()
    make(tmp_path, split="val")
    (tmp_path / "val" / "000000000002.jpg").unlink()
    with pytest.raises(TagsegError, match=r"1 of 3 images that instances_val\.json names .*skip_missing"):
        get(tmp_path, "val")
    data = get(tmp_path, "val", skip_missing=True)
    assert len(data) == 2
    assert any(n.warning and n.examples == ("000000000002.jpg",) for n in data.notes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"annotations": [{"image_id": 1, "segmentation": []}]}, "an entry without 'category_id'"),
        ({"annotations": [annotation(1, 4, [])]}, "the category 4, which it does not define"),
        ({"annotations": [annotation(1, 3, [[1, 2, 3]])]}, "a polygon that is not"),
        ({"annotations": [annotation(1, 3, [["x", "y"]])]}, "cannot be read"),
        ({"annotations": 5}, "cannot be read"),
        ({"images": [{"id": 1}]}, "an entry without 'file_name'"),
        ({"images": [CONTENT["images"][0]] * 2}, "the image id 2 belongs to .* and to"),
        ({"images": [CONTENT["images"][0], CONTENT["images"][0] | {"id": 5}]}, "lists an image file twice"),
    ],
)
def test_malformed_annotations(tmp_path, change, message):
    make(tmp_path, CONTENT | change)
    with pytest.raises(TagsegError, match=message) as error:
        get(tmp_path)
    assert "instances_train.json" in str(error.value)


@pytest.mark.parametrize("outline", [{"size": [4, 6], "counts": [5]}, {"size": [6, 4], "counts": [0, 24]}])
def test_damaged_run_lengths_name_the_image(tmp_path, outline):
    make(tmp_path, CONTENT | {"annotations": [annotation(1, 3, outline) | {"id": 7}]})
    with pytest.raises(TagsegError, match=r"annotation 7 of 000000000001\.jpg has run lengths"):
        true_mask(get(tmp_path).samples[1])


def test_resized_images_are_refused(tmp_path):
    make(tmp_path)
    Image.new("RGB", (3, 2)).save(tmp_path / "train" / "000000000001.jpg")
    with pytest.raises(TagsegError, match=r"000000000001\.jpg are of 6×4, expected its image's 3×2"):
        true_mask(get(tmp_path).samples[1])


def test_bad_settings(tmp_path):
    make(tmp_path)
    with pytest.raises(TagsegError, match=r"instances_train2017\.json does not exist, splits present: train"):
        get(tmp_path, "train2017")
    with pytest.raises(TagsegError, match=r"--data\.tags is 'labels\.csv', expected a file"):
        get(tmp_path, tags="labels.csv")
    with pytest.raises(TagsegError, match=r"--data\.masks is 'masks', expected auto or none"):
        get(tmp_path, masks_folder="masks")
    (tmp_path / "train").rename(tmp_path / "elsewhere")
    with pytest.raises(TagsegError, match=r"has no folder train.*--data\.images"):
        get(tmp_path)
    (tmp_path / "annotations" / "instances_train.json").write_text("{")
    with pytest.raises(TagsegError, match="cannot be read"):
        get(tmp_path)


def test_objects_without_outline_are_tags_and_their_boxes_are_ignored(tmp_path):
    boxed = {"bbox": [0, 0, 2, 3]}
    content = [
        annotation(1, 3, box(2, 0, 3, 2)),
        annotation(1, 90, [], 0) | boxed,
        annotation(2, 7, None) | boxed,
        annotation(2, 90, [[0, 0, 2, 3]]) | boxed,  # two points
        {"image_id": 3, "category_id": 7} | boxed,
        annotation(3, 3, [[1, 1, 1, 1, 1, 1]]) | {"bbox": [0, 0, 0, 0]},
    ]
    make(tmp_path, CONTENT | {"annotations": content})
    data = get(tmp_path, contradictions="warn")
    assert [s.tags for s in data.samples] == [(1, 2), (0, 2), (0, 1)]
    two, one, three = (true_mask(s).tolist() for s in data.samples)
    assert one == [[255, 255, 1, 1, 1, 0], [255, 255, 1, 1, 1, 0], [255, 255, 0, 0, 0, 0], [0] * 6]
    assert two == three == [[255, 255, 0, 0, 0, 0]] * 3 + [[0] * 6]
    found = " / ".join(texts(data))
    assert "4 objects without outline: they are tags, their boxes are ignored in scoring" in found
    assert "1 objects with neither outline nor box: they are tags, scored as background" in found
    assert "classes of which no object is counted in scoring: person (without outline), cup" in found


def test_boxes_alone_train_and_score_nothing(tmp_path):
    make(tmp_path, CONTENT | {"annotations": [annotation(1, 3, None) | {"bbox": [0, 0, 2, 3]}]})
    assert get(tmp_path, masks=False).samples[1].tags == (0,)
    with pytest.raises(NothingToScore, match=r"all 1 objects .* without outline, which scoring ignores"):
        get(tmp_path)
    assert len(get(tmp_path, contradictions="warn")) == 3


def test_crowds_alone_are_refused_or_counted(tmp_path):
    crowds = [annotation(i, 3, {"size": [4, 6], "counts": [0, 2, 22]}) | {"iscrowd": "1"} for i in (1, 2)]
    make(tmp_path, CONTENT | {"annotations": crowds})
    with pytest.raises(NothingToScore, match=r"all 2 objects .* crowd regions .*--data\.crowd objects"):
        get(tmp_path)
    data = get(tmp_path, crowd="objects")
    assert np.unique(true_mask(data.samples[0])).tolist() == [0, 1]
    assert "2 annotations with iscrowd as text, '1' read as 1" in " ".join(texts(data))
    one = annotation(3, 7, box(0, 0, 2, 2))
    make(tmp_path, CONTENT | {"annotations": [*crowds * 5, one]})
    data = get(tmp_path, contradictions="warn")
    warnings = [str(note) for note in data.notes if note.warning]
    assert any("no object is counted in scoring: table (crowd regions" in text for text in warnings)
    assert any(text.startswith("10 of 11 objects are crowd regions") for text in warnings)


def test_a_background_category_is_label_0_and_one_to_ignore_255(tmp_path):
    categories = [{"id": i, "name": n} for i, n in enumerate(("_Background_", "cat", "void"))]
    whole = annotation(1, 0, box(0, 0, 6, 4))
    content = [whole, annotation(1, 1, box(0, 0, 2, 1)), annotation(1, 2, box(0, 3, 6, 1))]
    make(tmp_path, CONTENT | {"annotations": content, "categories": categories})
    data = get(tmp_path)
    assert data.classes == ("cat",)
    assert data.samples[1].tags == (0,)
    assert true_mask(data.samples[1]).tolist() == [[1, 1, 0, 0, 0, 0], [0] * 6, [0] * 6, [255] * 6]


def photo(path: Path, orientation: int, size: tuple[int, int] = (6, 4)) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    Image.new("RGB", size).save(path, exif=exif.tobytes())


@pytest.mark.parametrize(("setting", "turned"), [("auto", False), ("displayed", False), ("stored", True)])
def test_photos_that_exif_turns_without_changing_their_size(tmp_path, setting, turned):
    make(tmp_path, CONTENT | {"annotations": [annotation(1, 3, box(0, 0, 2, 1))]})
    photo(tmp_path / "train" / "000000000001.jpg", 3)
    data = get(tmp_path, frame=setting)
    mask = true_mask(data.samples[1])
    assert mask[3, 4:].tolist() == ([1, 1] if turned else [0, 0])
    assert mask[0, :2].tolist() == ([0, 0] if turned else [1, 1])
    warned = [str(n) for n in data.notes if n.warning]
    assert bool(warned) == (setting == "auto")
    assert not warned or "--data.frame stored" in warned[0]
    assert not any(n.warning for n in get(tmp_path, masks=False).notes)


def test_a_whole_file_keeps_a_fifth_for_scoring(tmp_path):
    names = [f"{i:012}.jpg" for i in range(20)]
    images = [{"id": i, "file_name": n, "height": 4, "width": 6} for i, n in enumerate(names)]
    content = [annotation(i, 3, box(0, 0, 2, 2)) for i in range(20)]
    (tmp_path / "images").mkdir()
    for name in names:
        Image.new("RGB", (6, 4)).save(tmp_path / "images" / name)
    (tmp_path / "result.json").write_text(json.dumps(CONTENT | {"images": images, "annotations": content}))
    train, val = get(tmp_path, "train", masks=False), get(tmp_path, "val")
    assert len(val) in range(1, 11)
    assert sorted(s.name for s in (*train.samples, *val.samples)) == [n[:-4] for n in names]
    assert len(get(tmp_path, "train", val_split="")) == 20
    found = "annotations are in result.json, one file for all splits, of whose images a fifth is kept for scoring"
    assert f"{found}; images in images/" in texts(train)
    assert "annotations are in result.json; images in images/" in texts(get(tmp_path, "train", val_split=""))
    with pytest.raises(TagsegError, match=r"result\.json has no splits"):
        get(tmp_path, "test")
    boxes = [each | {"segmentation": [], "bbox": [0, 0, 2, 2]} for each in content]
    (tmp_path / "result.json").write_text(json.dumps(CONTENT | {"images": images, "annotations": boxes}))
    assert len(get(tmp_path, "train", masks=False)) == 20  # none can be scored, so none is kept from training
    with pytest.raises(NothingToScore, match="no outlines and no splits"):
        get(tmp_path, "val")
    crowds = [each | {"iscrowd": 1} for each in content]
    (tmp_path / "result.json").write_text(json.dumps(CONTENT | {"images": images, "annotations": crowds}))
    assert len(get(tmp_path, "train", masks=False)) == 20
    with pytest.raises(NothingToScore, match=r"--data\.crowd objects"):
        get(tmp_path, "val")
    assert len(get(tmp_path, "train", masks=False, crowd="objects")) < 20


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the shared development data")
def test_real_annotations():
    settings: dict[str, Any] = {"train_split": "train2017", "val_split": "val2017"}
    train, val = (get(SHARED, split, **settings) for split in settings.values())
    assert (len(train), len(val), len(train.classes)) == (50, 50, 80)
    assert train.classes[:2] == ("person", "bicycle")
    assert train.classes[-1] == "toothbrush"
    for sample in (*train.samples, *val.samples):
        labels = set(np.unique(true_mask(sample)).tolist()) - {0, 255}
        assert labels <= {tag + 1 for tag in sample.tags}  # an object may be wholly under others

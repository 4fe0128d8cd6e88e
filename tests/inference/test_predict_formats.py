"""``predict --format``: the formats hold what the masks do, whatever interrupts."""

import json
import zipfile
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tagseg.data.coco_mask import CocoMask, CocoObject
from tagseg.data.outlines import read_outline
from tagseg.errors import TagsegError
from tagseg.formats.npz import read_scores
from tagseg.formats.settings import FormatSettings
from tagseg.inference.predict import predict

from .conftest import CLASSES, mask_of

pytestmark = pytest.mark.slow
FAST: dict[str, Any] = {"quiet": True, "mirror": False, "scales": (1.0,), "overlays": False}


def test_all_formats_hold_the_masks(network, photos, tmp_path):
    out = tmp_path / "out"
    done = predict(network, photos, out, format="png,coco,yolo,labelstudio,cvat,npz", **FAST)
    masks = {each.name: np.array(Image.open(mask_of(each))) for each in done}
    content = json.loads((out / "coco.json").read_text())
    assert [image["file_name"] for image in content["images"]] == [
        each.image.relative_to(photos).as_posix() for each in done
    ]
    for image, each in zip(content["images"], done, strict=True):
        objects = [
            CocoObject(part["category_id"], read_outline(part["segmentation"]))
            for part in content["annotations"]
            if part["image_id"] == image["id"]
        ]
        drawn = CocoMask(each.image, (image["height"], image["width"]), tuple(objects))()
        np.testing.assert_array_equal(drawn, masks[each.name])
        scores, names = read_scores(out / "scores" / f"{each.name}.npz")
        assert names == ("background", *CLASSES)
        assert scores.shape == (len(CLASSES) + 1, *masks[each.name].shape)
        certain = np.sort(scores, axis=0)[-1] - np.sort(scores, axis=0)[-2] > 1 / 255
        np.testing.assert_array_equal(scores.argmax(axis=0)[certain], masks[each.name][certain])
    with zipfile.ZipFile(out / "cvat.zip") as archive:
        listed = archive.read("ImageSets/Segmentation/default.txt").decode().splitlines()
    assert listed == [each.name for each in done]
    assert len(json.loads((out / "labelstudio.json").read_text())) == len(done)
    assert len(list((out / "yolo" / "labels").rglob("*.txt"))) == len(done)


def test_without_png_there_are_no_masks(network, photos, tmp_path):
    (done,) = predict(network, photos / "plain.jpg", tmp_path / "out", format=("coco",), **FAST)
    assert done.mask is None
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "coco.json", "classes.csv", "predictions.csv", "data.json",
    }  # fmt: skip
    assert (tmp_path / "out" / "predictions.csv").read_text().splitlines()[1].split(",")[1] == ""


def test_results_below_the_photos_are_not_predicted_again(network, photos, tmp_path):
    first = predict(network, photos, photos / "out", format="png,yolo,cvat", **FAST)
    again = predict(network, photos, photos / "out", format="png,yolo,cvat", **FAST)
    assert [each.name for each in again] == [each.name for each in first]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"format": "png,xml"}, "format is 'xml', expected one or more of png"),
        ({"format": "npz", "scores": True}, "both write scores/"),
        ({"format": "voc-server"}, "differ from PASCAL VOC's 20"),
        ({"format_settings": {"scores_as": "top3"}}, "expected FormatSettings"),
    ],
)
def test_what_cannot_be_written_is_told_before_anything_is_labelled(
    network, photos, tmp_path, unchecked, settings, told
):
    with pytest.raises(TagsegError, match=told):
        predict(network, photos, tmp_path / "out", **settings, **FAST)
    assert not (tmp_path / "out").exists()


def test_scores_are_float16_and_the_format_says_otherwise(network, photos, tmp_path):
    plain, top = photos / "plain.jpg", FormatSettings(scores_as="top2")
    predict(network, plain, tmp_path / "a", scores=True, **FAST)
    predict(network, plain, tmp_path / "b", format="npz", format_settings=top, **FAST)
    with (
        np.load(tmp_path / "a" / "scores" / "plain.npz") as exact,
        np.load(tmp_path / "b" / "scores" / "plain.npz") as two,
    ):
        assert exact["scores"].dtype == np.float16
        assert two["scores"].dtype == two["labels"].dtype == np.uint8
        assert two["scores"].shape[0] == 2


def test_after_ctrl_c_every_format_holds_the_masks_that_exist(network, photos, tmp_path, monkeypatch):
    from tagseg.inference.predictor import Predictor

    label_files = Predictor.label_files

    def interrupted(self, images):
        for number, result in enumerate(label_files(self, images)):
            if number == 4:
                raise KeyboardInterrupt
            yield result

    monkeypatch.setattr(Predictor, "label_files", interrupted)
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt, match=r"^stopped after 4 of \d+ images, which are written$"):
        predict(network, photos, out, format="png,coco,labelstudio,cvat,yolo", writers=0, **FAST)
    names = sorted(
        path.relative_to(out / "masks").with_suffix("").as_posix() for path in (out / "masks").rglob("*.png")
    )
    assert len(names) == 4
    images = json.loads((out / "coco.json").read_text())["images"]
    assert sorted(image["file_name"].rsplit(".", 1)[0] for image in images) == names
    assert len(json.loads((out / "labelstudio.json").read_text())) == 4
    with zipfile.ZipFile(out / "cvat.zip") as archive:
        assert archive.testzip() is None
        assert sorted(archive.read("ImageSets/Segmentation/default.txt").decode().splitlines()) == names
    assert (out / "yolo" / "data.yaml").is_file()

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tagseg.data.config import DataConfig
from tagseg.errors import TagsegError
from tagseg.inference.evaluate import evaluate
from tagseg.inference.predict import predict
from tagseg.metrics.segmentation import SegmentationScore

from .conftest import CLASSES, photo, tiny_network


@pytest.fixture
def data(tmp_path: Path) -> DataConfig:
    """Four images with tags; three have masks, one of them with ignored pixels."""
    root = tmp_path / "data"
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    rows = ["image,labels,split"]
    tags = [(0,), (0, 2), (), (1,)]
    for index, present in enumerate(tags):
        Image.fromarray(photo(30 + index, 44, seed=index)).save(root / "images" / f"{index}.png")
        labels = np.zeros((30 + index, 44), np.uint8)
        for position, tag in enumerate(present):
            labels[5:25, 5 + 20 * position : 20 + 20 * position] = tag + 1
        if index == 0:
            labels[:3] = 255
        if index != 3:
            Image.fromarray(labels).save(root / "masks" / f"{index}.png")
        rows.append(f"{index}.png,{';'.join(CLASSES[tag] for tag in present)},val")
    (root / "labels.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return DataConfig(source="folder", root=str(root), classes=CLASSES)


def test_scores_what_predict_writes(network, data, tmp_path):
    evaluation = evaluate(network, data, output=tmp_path / "out", quiet=True)
    done = predict(network, Path(data.root) / "images", tmp_path / "predicted", quiet=True)
    score = SegmentationScore(4)
    for prediction in done[:3]:
        truth = np.array(Image.open(Path(data.root) / "masks" / f"{prediction.name}.png"))
        score.update(np.array(Image.open(prediction.mask)), truth)
    assert evaluation.result == score.compute() or np.isnan(evaluation.result.iou).any()
    np.testing.assert_array_equal(evaluation.matrix, score.matrix)

    saved = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert saved["mean_iou"] == evaluation.result.mean_iou
    assert saved["protocol"]["images"] == 3
    assert saved["protocol"]["images without mask, left out"] == 1
    assert saved["protocol"]["tags used"] == "no"
    assert saved["protocol"]["scales"] == [1.0, 1.25, 1.5]
    assert [c["name"] for c in saved["classes"]] == ["background", *CLASSES]
    assert saved["classes"][2]["truth_pixels"] == 0
    lines = (tmp_path / "out" / "confusion_matrix.csv").read_text().splitlines()
    assert len(lines) == 5


@pytest.mark.parametrize("what", ["cam", "aux_cam"])
@pytest.mark.parametrize("size", [None, 32])
def test_cams_use_tags_and_say_so(network, data, what, size):
    evaluation = evaluate(network, data, what=what, size=size, quiet=True)
    assert evaluation.protocol["tags used"] == "yes, from labels.csv"
    assert evaluation.protocol["background threshold"] == 0.5
    assert evaluation.result.predicted_pixels[2] == 0, "no scored image has the tag 'square'"


def test_limit_and_table(network, data, capsys):
    evaluation = evaluate(network, data, limit=1, scales=(1.0,), mirror=False)
    printed = capsys.readouterr().out
    assert printed.rstrip("\n") == evaluation.table()
    for expected in (
        "mIoU",
        "pixel accuracy",
        "circle",
        "background",
        "images: 1",
        "tags used: no",
        "ignored label: 255",
    ):
        assert expected in printed


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (("circle", "square"), r"model has 2 classes and folder .* has 3; only the data have triangle"),
        (("circle", "square", "star"), r"only the model has star and only the data have triangle"),
        (("square", "circle", "triangle"), "their order differs"),
    ],
)
def test_a_network_of_other_classes(data, classes, message):
    with pytest.raises(TagsegError, match=message) as error:
        evaluate(tiny_network(classes), data, quiet=True)
    assert "\n" not in str(error.value)


def test_data_without_masks(network, data):
    for path in (Path(data.root) / "masks").iterdir():
        path.unlink()
    with pytest.raises(TagsegError, match="mask"):
        evaluate(network, data, quiet=True)


@pytest.mark.parametrize("size", [(10, 10), (30, 44)])
def test_masks_that_do_not_fit(network, data, size):
    Image.fromarray(np.full(size, 9, np.uint8)).save(Path(data.root) / "masks" / "0.png")
    with pytest.raises(TagsegError, match=r"\b0\b") as error:
        evaluate(network, data, quiet=True)
    assert "\n" not in str(error.value)


def test_masks_of_nothing_but_ignored_pixels(network, data):
    for path in (Path(data.root) / "masks").iterdir():
        with Image.open(path) as mask:
            ignored = np.full((mask.height, mask.width), 255, np.uint8)
        Image.fromarray(ignored).save(path)
    with pytest.raises(TagsegError, match="all pixels of the masks are ignored"):
        evaluate(network, data, quiet=True)


def test_negative_limit(network, data):
    with pytest.raises(TagsegError, match="limit is -1"):
        evaluate(network, data, limit=-1, quiet=True)


def test_both_scores_are_given_with_a_crf(network, data, tmp_path, capsys):
    plain = evaluate(network, data, quiet=True)
    both = evaluate(network, data, crf=True, output=tmp_path)
    np.testing.assert_array_equal(both.matrix, plain.matrix)
    done = predict(network, Path(data.root) / "images", tmp_path / "predicted", crf=True, quiet=True)
    score = SegmentationScore(4)
    for prediction in done[:3]:
        truth = np.array(Image.open(Path(data.root) / "masks" / f"{prediction.name}.png"))
        score.update(np.array(Image.open(prediction.mask)), truth)
    assert both.crf_matrix is not None
    assert both.crf_result is not None
    np.testing.assert_array_equal(both.crf_matrix, score.matrix)
    assert (both.crf_matrix != both.matrix).any(), "the photos are noise: a CRF changes some label"

    printed = capsys.readouterr().out.splitlines()
    assert printed[0].split("  ")[-2:] == ["with CRF", "true px %"]
    row = next(line for line in printed if line.startswith("mIoU"))
    assert row.split()[1:] == [f"{100 * both.result.mean_iou:.2f}", f"{100 * both.crf_result.mean_iou:.2f}"]
    saved = json.loads((tmp_path / "evaluation.json").read_text())
    assert saved["mean_iou"] == both.result.mean_iou
    assert saved["crf"]["mean_iou"] == both.crf_result.mean_iou
    assert saved["protocol"]["CRF"]["bilateral_sigma_xy"] == 121.0
    assert len((tmp_path / "confusion_matrix_crf.csv").read_text().splitlines()) == 5


def test_a_crf_is_for_the_segmentation(network, data):
    with pytest.raises(TagsegError, match="crf is for the segmentation and what is 'cam'"):
        evaluate(network, data, what="cam", crf=True, quiet=True)

import json
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tagseg.data.config import DataConfig
from tagseg.data.images import read_image
from tagseg.data.sources import load
from tagseg.errors import TagsegError
from tagseg.fast.cam import class_cams
from tagseg.inference.evaluate import Labeller, evaluate
from tagseg.inference.predict import predict
from tagseg.inference.predictor import Predictor
from tagseg.inference.segment import cam_label_map, resize, to_input
from tagseg.metrics.segmentation import SegmentationScore

from .conftest import CLASSES, mask_of, photo, tiny_network


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
        score.update(np.array(Image.open(mask_of(prediction))), truth)
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
    with pytest.raises(TagsegError, match="the tags circle, triangle have no pixel"):
        evaluate(network, data, quiet=True)
    untagged = "".join(f"{index}.png,,val\n" for index in range(4))
    (Path(data.root) / "labels.csv").write_text("image,labels,split\n" + untagged)
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
        score.update(np.array(Image.open(mask_of(prediction))), truth)
    assert both.crf_matrix is not None
    assert both.crf_result is not None
    np.testing.assert_array_equal(both.crf_matrix, score.matrix)
    assert (both.crf_matrix != both.matrix).any(), "the photos are noise: a CRF changes some label"

    printed = capsys.readouterr().out.splitlines()
    assert printed[0].split("  ")[-2:] == ["with CRF", "true px %"]
    row = next(line for line in printed if line.startswith("mIoU"))
    assert row.split()[1:3] == [f"{100 * both.result.mean_iou:.2f}", f"{100 * both.crf_result.mean_iou:.2f}"]
    saved = json.loads((tmp_path / "evaluation.json").read_text())
    assert saved["mean_iou"] == both.result.mean_iou
    assert saved["crf"]["mean_iou"] == both.crf_result.mean_iou
    assert saved["protocol"]["CRF"]["bilateral_sigma_xy"] == 121.0
    assert len((tmp_path / "confusion_matrix_crf.csv").read_text().splitlines()) == 5


def test_a_crf_is_for_the_segmentation(network, data):
    with pytest.raises(TagsegError, match="crf is for the segmentation and what is 'cam'"):
        evaluate(network, data, what="cam", crf=True, quiet=True)


def masks_of(data: DataConfig) -> list[Path]:
    return sorted((Path(data.root) / "masks").iterdir())


def change_ids(data: DataConfig, new: dict[int, int]) -> None:
    for path in masks_of(data):
        table = np.arange(256, dtype=np.uint8)
        table[list(new)] = list(new.values())
        Image.fromarray(table[np.array(Image.open(path))]).save(path)


@pytest.mark.parametrize("order", [("square", "circle", "triangle"), ("cross", "triangle", "circle", "square")])
def test_classes_are_matched_by_name(data, order):
    """The same pixels of each class, wherever the network has it."""
    plain = evaluate(tiny_network(order), data, quiet=True)
    own = evaluate(tiny_network(CLASSES), data, quiet=True)
    counted = dict(zip(plain.classes, plain.result.truth_pixels, strict=True))
    assert counted == dict(zip(own.classes, own.result.truth_pixels, strict=True)) | (
        {"cross": 0} if "cross" in order else {}
    )
    assert counted["circle"] > 0


def test_a_test_set_that_lacks_a_class_is_scored_with_the_classes_of_the_network(network, data):
    """Its tags alone would give the classes circle and triangle, and id 3 would be none."""
    data = replace(data, classes=())
    text = (Path(data.root) / "labels.csv").read_text().replace("square", "")
    (Path(data.root) / "labels.csv").write_text(text)
    evaluation = evaluate(network, data, quiet=True)
    assert evaluation.classes == ("background", *CLASSES)
    assert evaluation.result.truth_pixels[3] > 0


def test_what_was_read_is_shown_first_and_saved(network, data, tmp_path, caplog):
    with caplog.at_level(logging.INFO, "tagseg"):
        evaluate(network, data, output=tmp_path)
    lines = [record.message for record in caplog.records]
    assert lines[0] == f"data     {data.root}: photos with a tag file (labels.csv)"
    assert lines[1] == "val      4 images in images/; tags from labels.csv, 1 without tags; 3 masks from masks/"
    assert lines[2] == "classes  3: circle 2, square 1, triangle 1 (images)"
    saved = json.loads((tmp_path / "data.json").read_text())
    assert saved["splits"]["val"]["masks"] == 3
    caplog.clear()
    evaluate(network, data, quiet=True)
    assert not caplog.records


def test_absent_classes_are_named_beside_the_mean(network, data, capsys):
    evaluate(network, data)
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("mIoU"))
    assert row.endswith("without square (no pixel in the ground truth)")


def test_tags_and_masks_that_contradict_each_other_give_no_number(network, data, tmp_path, capsys):
    change_ids(data, {1: 2})
    with pytest.raises(TagsegError) as error:
        evaluate(network, data, output=tmp_path / "out")
    text = str(error.value)
    assert "contradict the tags in 2 of 3 images, 0, 1 (tagged without a pixel: circle in 2 images" in text
    assert "mask id 2 looks like 'circle'" in text
    assert "\n" not in text
    assert capsys.readouterr().out == ""
    assert not (tmp_path / "out").exists()


def test_contradictions_can_be_accepted_and_are_said(network, data, tmp_path, capsys, caplog):
    change_ids(data, {1: 2, 3: 2})
    with pytest.raises(TagsegError, match=r"accept it with --data.contradictions warn"):
        evaluate(network, data, quiet=True)
    with caplog.at_level(logging.WARNING, "tagseg"):
        evaluate(network, replace(data, contradictions="warn"), output=tmp_path)
    assert "contradict the tags in 2 of 3 images" in caplog.text
    printed = capsys.readouterr().out
    assert "absent from the ground truth: circle, triangle" in printed
    assert "of these tagged: circle, triangle" in printed
    notes = json.loads((tmp_path / "data.json").read_text())["notes"]
    assert any("contradict the tags" in note["text"] and note["warning"] for note in notes)


def test_background_alone_is_no_bare_number(network, data, capsys):
    change_ids(data, {1: 0, 3: 0, 255: 0})
    with pytest.raises(TagsegError, match="they hold no id of a class"):
        evaluate(network, data, quiet=True)
    evaluate(network, replace(data, contradictions="warn"))
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("mIoU"))
    assert "of background alone: no class has a pixel in the ground truth" in row


def test_scoring_the_segmentation_needs_no_tags(network, data):
    with_tags = evaluate(network, data, quiet=True)
    (Path(data.root) / "labels.csv").unlink()
    without = evaluate(network, replace(data, classes=()), quiet=True)
    np.testing.assert_array_equal(without.matrix, with_tags.matrix)
    assert not without.notes
    with pytest.raises(TagsegError, match="tag"):
        evaluate(network, data, what="cam", quiet=True)


@pytest.mark.parametrize("what", ["cam", "aux_cam"])
@pytest.mark.parametrize("batch", [1, 4])
def test_cams_of_the_tagged_classes_alone_give_the_labels_of_all(network, data, what, batch):
    samples = load(data, "val").samples
    samples = (*samples, *(replace(samples[0], tags=tags) for tags in ((), (0, 1), (1, 0), (1,))))
    predictor = Predictor(network, scales=(1.0, 0.5), size=32, batch=batch)
    found = {id(sample): labels for sample, labels, _, _ in Labeller(what, predictor, 0.4).label(samples)}
    assert len(found) == len(samples)
    for sample in samples:
        image = read_image(sample.image)
        every = class_cams(network, resize(to_input(network, image), (32, 32)), (1.0, 0.5))
        cam = (every.final if what == "cam" else every.auxiliary)[0]
        plain = cam_label_map(cam, sample.tags, image.shape[:2], 0.4)
        assert np.mean(found[id(sample)] == plain) > 0.999  # to rounding
        assert set(np.unique(found[id(sample)])) <= {0, *(tag + 1 for tag in sample.tags)}

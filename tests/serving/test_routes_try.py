import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from tagseg.fast.cam import auxiliary_cam
from tagseg.formats.npz import read_scores
from tagseg.fsr.cam import CamClasses
from tagseg.fsr.config import CamConfig, PartitionConfig
from tagseg.fsr.partition import partition
from tagseg.inference.multi_scale import MultiScale
from tagseg.inference.predictor import Predictor
from tagseg.inference.segment import Sizing, to_input
from tagseg.reviewing.views import photo_views
from tagseg.serving.limits import Limits
from tagseg.serving.own_folder import LOCK

from .served import (
    SCALES,
    assert_told,
    encoded,
    labels_in,
    photo_array,
    predicted_mask,
    running,
    segmented,
    send,
    serving_of,
)


@pytest.fixture(scope="module")
def served(tiny):
    with running(serving_of(tiny)) as client:
        yield client


def files_of_all_kinds():
    """Name and content of photos that are not plainly RGB."""
    rgb = Image.fromarray(photo_array())
    deep = (photo_array()[..., 0].astype(np.uint16) << 8) + 7
    frames = [rgb, Image.fromarray(photo_array(seed=1))]
    turned = Image.Exif()
    turned[274] = 6
    alpha = rgb.convert("RGBA")
    alpha.putalpha(Image.fromarray(np.tile(np.arange(56, dtype=np.uint8) * 4, (40, 1))))
    return {
        "cmyk.jpg": encoded(rgb.convert("CMYK"), "JPEG"),
        "deep.png": encoded(Image.fromarray(deep)),
        "alpha.png": encoded(alpha),
        "moving.gif": encoded(rgb, "GIF", save_all=True, append_images=frames[1:]),
        "turned.jpg": encoded(rgb, "JPEG", exif=turned),
        "grey.tif": encoded(rgb.convert("L"), "TIFF"),
        "wrong ending.txt": encoded(rgb, "JPEG"),
    }


@pytest.mark.parametrize("name", list(files_of_all_kinds()))
def test_a_mask_equals_that_of_predict_whatever_the_file(served, tiny, tmp_path, name):
    content = files_of_all_kinds()[name]
    (tmp_path / name).write_bytes(content)
    found = segmented(served, content, name)
    mask = served.get(f"/api/results/{found['id']}/mask.png")
    assert mask.content == predicted_mask(tiny, tmp_path / name, tmp_path / "out")
    assert (found["height"], found["width"]) == labels_in(mask.content).shape
    labels = labels_in(mask.content)
    assert {row["label"]: row["share"] for row in found["classes"]} == {
        label: pytest.approx((labels == label).mean()) for label in np.unique(labels) if label
    }
    assert found["name"] == name
    photo = served.get(f"/api/results/{found['id']}/photo.jpg")
    assert photo.headers["content-type"] == "image/jpeg"
    with Image.open(io.BytesIO(photo.content)) as shown:
        assert shown.size == (found["width"], found["height"])
        assert shown.getexif().get(274, 1) == 1


@pytest.mark.slow  # compiles the filter
def test_a_crf_is_that_of_predict(served, tiny, tmp_path):
    content = encoded(photo_array())
    (tmp_path / "photo.png").write_bytes(content)
    found = segmented(served, content, crf="true")
    assert found["crf"] is True
    expected = predicted_mask(tiny, tmp_path / "photo.png", tmp_path / "out", crf=True)
    assert served.get(f"/api/results/{found['id']}/mask.png").content == expected


def test_probabilities_and_confidence_are_those_of_a_result(served, tiny):
    image = photo_array()
    found = segmented(served, encoded(image))
    result = Predictor(tiny, scales=SCALES)(image, probs=True)
    assert result.probs is not None
    for x, y in ((0, 0), (55, 39), (20, 11), (31, 30)):
        answer = served.get(f"/api/results/{found['id']}/probability", params={"x": x, "y": y}).json()["probabilities"]
        values = [row["probability"] for row in answer]
        assert values == sorted(values, reverse=True)
        by_label = {row["label"]: row["probability"] for row in answer}
        assert [by_label[k] for k in sorted(by_label)] == pytest.approx(result.probs[:, y, x].tolist(), abs=2e-3)
        assert {row["label"]: row["name"] for row in answer} == result.names
    told = {row["label"]: row["confidence"] for row in found["classes"]}
    assert told == pytest.approx({row["class"]: row["confidence"] for row in result.summary()}, abs=2e-3)
    for x, y in ((56, 0), (-1, 0), (0, 40)):
        answer = served.get(f"/api/results/{found['id']}/probability", params={"x": x, "y": y})
        assert_told(answer, 422, "outside the photo of 56 x 40")
    assert_told(served.get(f"/api/results/{found['id']}/probability?x=a&y=1"), 422, "x: ")


def test_the_partition_is_the_auxiliary_cam_of_the_predicted_tags(served, tiny):
    image = photo_array()
    found = segmented(served, encoded(image))
    regions = labels_in(served.get(f"/api/results/{found['id']}/partition.png").content)
    (views,) = photo_views(tiny, [image], MultiScale((1.0,), True, Sizing()))
    likely = views.tags >= min(0.5, float(views.tags.max()))
    index = likely.nonzero().flatten()[None]
    cam = auxiliary_cam(tiny, to_input(tiny, image), CamConfig().scales, CamClasses(index, index.new_ones(index.shape)))
    expected = partition(cam, index.new_ones(index.shape).float(), to_input(tiny, image), PartitionConfig())[0].numpy()
    assert np.array_equal(regions, expected)
    assert set(np.unique(regions)) == {0, 1, 2}


def test_a_zip_has_the_files_of_predict(served, tiny, tmp_path):
    first, second = encoded(photo_array()), encoded(photo_array(seed=1))
    ids = [segmented(served, content, "../../a/beach.png")["id"] for content in (first, second)]
    answer = served.post("/api/results/zip", json={"ids": ids, "formats": ["png", "coco", "npz", "yolo"]})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/zip"
    assert "attachment" in answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert all(".." not in name and not name.startswith("/") for name in names)
        assert {"masks/beach.png", "masks/beach_2.png", "coco.json", "classes.csv", "predictions.csv"} <= set(names)
        assert any(name.endswith(".txt") for name in names)
        archive.extractall(tmp_path)
    assert (tmp_path / "masks/beach.png").read_bytes() == served.get(f"/api/results/{ids[0]}/mask.png").content
    probs = Predictor(tiny, scales=SCALES)(photo_array(seed=1), probs=True).probs
    assert np.abs(read_scores(tmp_path / "scores/beach_2.npz")[0] - probs).max() < 4e-3


@pytest.mark.parametrize(
    ("body", "status", "part"),
    [
        ({"ids": ["x"], "formats": ["png"]}, 404, "there is no result 'x'"),
        ({"ids": [], "formats": ["png"]}, 422, "0 ids"),
        ({"ids": ["x"], "formats": ["gif"]}, 422, "'gif', expected one or more of: png, coco"),
        ({"ids": ["x"], "formats": []}, 422, "formats: none"),
        ({"ids": ["x"], "format": ["png"]}, 422, "format"),
        ({"ids": 3}, 422, "ids"),
        ({"ids": ["x"] * 3 + [str(k) for k in range(600)]}, 422, "601 ids are given, expected 1 to 500"),
    ],
)
def test_zips_that_cannot_be_made_are_told(served, body, status, part):
    assert_told(served.post("/api/results/zip", json=body), status, part)


def test_a_request_that_is_no_json_is_told(served):
    answer = served.post("/api/results/zip", content=b"{", headers={"content-type": "application/json"})
    assert_told(answer, 400, "no readable JSON")


def damaged():
    whole = encoded(photo_array(), "JPEG")
    return {
        "text.jpg": (b"not a photo\n" * 9, 415, "text.jpg cannot be read as an image"),
        "empty.jpg": (b"", 415, "empty.jpg is empty"),
        "cut.jpg": (whole[: len(whole) // 2], 422, "cut.jpg cannot be read as an image (image file is truncated"),
        "paper.pdf": (b"%PDF-1.7\n" + b"x" * 99, 415, "paper.pdf cannot be read as an image: it is a document (PDF"),
    }


@pytest.mark.parametrize("name", list(damaged()))
def test_files_that_are_no_photo_are_told_by_the_name_they_came_with(served, name):
    content, status, part = damaged()[name]
    before = set(served.serving.folder.iterdir())
    answer = send(served, content, name)
    assert_told(answer, status, part)
    assert str(served.serving.folder) not in answer.text
    assert set(served.serving.folder.iterdir()) == before


def test_forms_without_a_photo_are_told(served):
    assert_told(served.post("/api/segment", data={"photo": "text"}), 400, "no file photo")
    assert_told(served.post("/api/segment", json={}), 400, "no file photo")
    assert_told(send(served, encoded(photo_array()), crf="maybe"), 422, "crf is 'maybe', expected true or false")
    two = [("photo", ("a.png", b"1")), ("photo", ("b.png", b"2"))]
    assert_told(served.post("/api/segment", files=two), 400, "Too many files")


@pytest.mark.parametrize("kind", ["mask.png", "photo.jpg", "partition.png", "probability?x=0&y=0"])
def test_unknown_results_are_told(served, kind):
    assert_told(served.get(f"/api/results/{'0' * 32}/{kind}"), 404, "there is no result")


def test_photos_above_a_limit_are_refused_by_their_headers_alone(tiny):
    bomb = encoded(Image.new("1", (5000, 5000)))
    assert len(bomb) < 10_000
    with running(serving_of(tiny, limits=Limits(pixels=1_000_000, values=1000, zip=50))) as client:
        assert_told(send(client, bomb, "bomb.png"), 413, "bomb.png has 25,000,000 pixels (5000 x 5000)", "1,000,000")
        long = encoded(Image.new("1", (66_000, 1)))
        assert_told(send(client, long), 413, "66000 x 1 pixels, expected at most 65,000 a side")
        huge = encoded(Image.new("1", (20_000, 20_000)))
        assert_told(
            send(client, huge, "huge.png"), 413, "huge.png has 400,000,000 pixels", "expected at most 1,000,000"
        )
        id = segmented(client, encoded(photo_array()))["id"]
        answer = client.post("/api/results/zip", json={"ids": [id], "formats": ["npz"]})
        assert_told(answer, 413, "would hold 8,960 probabilities, expected at most 1,000: leave out npz")
        answer = client.post("/api/results/zip", json={"ids": [id], "formats": ["png"]})
        assert_told(answer, 413, "larger than 50 bytes, expected at most that: choose fewer photos")


def test_the_oldest_results_leave_with_their_files(tiny):
    content = encoded(photo_array())
    serving = serving_of(tiny, limits=Limits(store=30_000))
    with running(serving) as client:
        ids = [segmented(client, content)["id"] for _ in range(8)]
        assert client.get(f"/api/results/{ids[-1]}/mask.png").status_code == 200
        assert_told(client.get(f"/api/results/{ids[0]}/mask.png"), 404, "the oldest leave")
        assert 1 <= len(serving.results) < 8
        kept = [path for path in serving.folder.iterdir() if path.name != LOCK]
        assert len(kept) == len(serving.results)
        folder = serving.folder
    assert not folder.exists()


def test_too_many_waiting_photos_are_told_and_later_ones_are_taken(tiny):
    serving = serving_of(tiny, limits=Limits(waiting=1))
    content = encoded(photo_array())
    with running(serving) as client:
        with serving.place():
            answer = send(client, content)
            assert_told(answer, 429, "1 photos are waiting already")
            assert answer.headers["retry-after"] == "2"
        segmented(client, content)

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import tagseg
from tagseg.data.config import DataConfig
from tagseg.errors import TagsegError
from tagseg.model.checkpoint import save_network
from tagseg.reviewing import review as module
from tagseg.reviewing import told_tags
from tagseg.reviewing.measure import NAMES
from tagseg.reviewing.outputs import HEADER
from tagseg.reviewing.review import review

from ..conftest import CLASSES, assert_refused, make_folder, tiny_network

pytestmark = pytest.mark.slow
FAST: dict[str, Any] = {"scales": (1.0,), "quiet": True}


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """As many tagged photos as labels need."""
    return make_folder(tmp_path_factory.mktemp("many"), train=18, val=4)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_photos_without_tags(tiny, tagged_folder, tmp_path):
    result = review(tiny, tagged_folder / "images", tmp_path / "out", scales=(1.0, 1.5), quiet=True)
    rows = rows_of(tmp_path / "out" / "review.csv")
    assert tuple(rows[0]) == HEADER
    assert [row["rank"] for row in rows] == [str(rank) for rank in range(1, 9)]
    assert [row["image"] for row in rows] == [str(photo.image) for photo in result.photos]
    scores = [float(row["score"]) for row in rows]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= float(row["estimated_iou"]) <= 1 for row in rows)
    assert all(row["tags"] == row["labels"] == "" for row in rows), "not known"
    assert all(row[name] for row in rows for name in NAMES if name not in ("tags", "labels"))
    assert result.mean_iou == pytest.approx(np.mean([photo.iou for photo in result.photos]))
    assert result.summary().startswith(f"estimated mean IoU of 8 photos: {100 * result.mean_iou:.0f} % ± ")
    assert result.sheet == tmp_path / "out" / "review.jpg"
    with Image.open(tmp_path / "out" / "review.jpg") as sheet:
        assert min(sheet.size) > 200
    assert json.loads((tmp_path / "out" / "data.json").read_text())["photos"] == 8


def test_photos_of_data_with_tags_and_labels(tiny, many, tmp_path, monkeypatch):
    monkeypatch.setattr(told_tags, "SIZE", 64)  # 8 × 8 patches
    data = DataConfig(root=str(many))
    result = review(tiny, output=tmp_path / "out", data=data, sheet=0, **FAST)
    assert len(result) == 22
    assert result.sheet is None
    assert not (tmp_path / "out" / "review.jpg").exists()
    assert all(0 <= photo.signals["labels"] <= 1 for photo in result.photos)
    assert any("tagged" in photo.why for photo in result.photos)
    without = review(tiny, output=tmp_path / "other", data=data, sheet=0, labels=False, split="val", **FAST)
    assert len(without) == 4
    assert all(np.isnan(photo.signals["labels"]) for photo in without.photos)
    assert not (tmp_path / "other" / "features").exists()


def test_photos_whose_tags_are_told_by_data(tiny, tagged_folder, tmp_path, caplog):
    caplog.set_level("INFO", "tagseg")
    stranger = tmp_path / "stranger.jpg"
    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(stranger)
    given = [tagged_folder / "images" / "train0.jpg", stranger]
    result = review(tiny, given, tmp_path / "out", data=DataConfig(root=str(tagged_folder)), scales=(1.0,))
    known = {photo.image.name: np.isfinite(photo.signals["tags"]) for photo in result.photos}
    assert known == {"train0.jpg": True, "stranger.jpg": False}
    assert np.isnan([photo.signals["labels"] for photo in result.photos]).all(), "one tagged photo is too few"
    assert "1 photos have tags, too few to make labels of them" in caplog.text
    assert "1 photos whose tags are not known" in caplog.text


def test_the_queue_does_not_depend_on_the_batch(tiny, many, tmp_path):
    one = review(tiny, many / "images", tmp_path / "a", sheet=0, **FAST)
    four = review(tiny, many / "images", tmp_path / "b", sheet=0, batch=4, **FAST)
    for first, second in zip(one.photos, four.photos, strict=True):
        assert first.score == pytest.approx(second.score, abs=1e-3)


def test_one_photo_and_a_network_of_a_run(tiny, tagged_folder, tmp_path):
    save_network(tiny, tmp_path / "run" / "last.safetensors")
    photo = tagged_folder / "images" / "val0.jpg"
    result = tagseg.review(tmp_path / "run", photo, tmp_path / "out", **FAST)
    assert [one.image for one in result.photos] == [photo]
    assert result.summary().startswith("estimated mean IoU of 1 photo: ")


def test_photos_of_any_size_and_one_colour(tiny, tmp_path):
    for name, size in (("one", (1, 1)), ("thin", (90, 1)), ("flat", (40, 40))):
        Image.new("RGB", size, (90, 90, 90)).save(tmp_path / f"{name}.png")
    result = review(tiny, tmp_path, tmp_path / "out", **FAST)
    assert {photo.name for photo in result.photos} == {"one", "thin", "flat"}
    assert all(np.isfinite(photo.score) for photo in result.photos)


def test_photos_that_are_all_untagged_make_no_labels(tiny, tmp_path):
    (tmp_path / "images").mkdir()
    rows = ["image,labels"]
    for index in range(told_tags.FEWEST):
        Image.new("RGB", (24, 24), (index, 90, 90)).save(tmp_path / "images" / f"{index}.png")
        rows.append(f"{index}.png,")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    (tmp_path / "classes.txt").write_text("\n".join(CLASSES))
    result = review(tiny, tmp_path, tmp_path / "out", sheet=0, **FAST)
    assert len(result) == told_tags.FEWEST
    assert all(np.isnan(photo.signals["labels"]) for photo in result.photos)
    assert all(np.isfinite(photo.signals["tags"]) for photo in result.photos)


def test_its_own_sheet_is_no_photo(tiny, tagged_folder, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "a.jpg").write_bytes((tagged_folder / "images" / "val0.jpg").read_bytes())
    review(tiny, photos, photos, **FAST)
    assert (photos / "review.jpg").is_file()
    assert len(review(tiny, photos, photos, **FAST)) == 1


def test_unreadable_photos_are_named_and_the_rest_is_done(tiny, tagged_folder, tmp_path, caplog):
    caplog.set_level("INFO", "tagseg")
    for name in ("val0", "val1"):
        (tmp_path / f"{name}.jpg").write_bytes((tagged_folder / "images" / f"{name}.jpg").read_bytes())
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "val0.jpg").read_bytes()[:300])
    with pytest.raises(TagsegError, match=r"1 of 3 photos failed, the others are done: .*cut\.jpg") as error:
        review(tiny, tmp_path, tmp_path / "out", **FAST)
    assert "\n" not in str(error.value)
    assert "estimated mean IoU of 2 photos" in caplog.text, "it would be lost with the result"
    assert len(rows_of(tmp_path / "out" / "review.csv")) == 2
    assert_refused(lambda: review(tiny, tmp_path / "cut.jpg", tmp_path / "none", **FAST), "cut.jpg")
    assert not (tmp_path / "none").exists()


def test_after_an_interruption_the_queue_has_what_was_done(tiny, tagged_folder, tmp_path, monkeypatch):
    real = module.measure
    seen: list[object] = []

    def measure(views, tags):
        if len(seen) == 3:
            raise KeyboardInterrupt
        seen.append(views)
        return real(views, tags)

    monkeypatch.setattr(module, "measure", measure)
    with pytest.raises(KeyboardInterrupt, match=r"stopped after 3 of 8 photos: .*review\.csv has the queue of these"):
        review(tiny, tagged_folder / "images", tmp_path / "out", **FAST)
    assert len(rows_of(tmp_path / "out" / "review.csv")) == 3


def test_what_the_photos_show_decides_and_not_their_order(trained_on_squares, many, tmp_path):
    """Photos as in training are surer than noise."""
    noise = tmp_path / "a_noise.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 48, 3), np.uint8)).save(noise)
    easy = sorted((many / "images").glob("train1*.jpg"))[:5]
    result = review(trained_on_squares, [*easy, noise], tmp_path / "out", sheet=0, **FAST)
    assert result.photos[0].image == noise


@pytest.fixture(scope="module")
def trained_on_squares(many):
    """Tells the colours of the squares apart."""
    import torch

    from tagseg.data import sources
    from tagseg.data.images import read_image

    network = tiny_network().train()
    samples = sources.load(DataConfig(root=str(many), val_split="train"), "train").samples
    pixels = torch.from_numpy(np.stack([read_image(sample.image) for sample in samples])).permute(0, 3, 1, 2)
    masks = torch.from_numpy(np.stack([sample.mask() for sample in samples if sample.mask]))[:, 4::8, 4::8].long()
    optimiser = torch.optim.AdamW(network.parameters(), 3e-3)
    for _ in range(30):
        loss = torch.nn.functional.cross_entropy(network.segment_logits(network.normalise(pixels)), masks)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return network.eval()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"photos": None}, "there are no photos to review, expected image files or folders, or data with tags"),
        ({"photos": "nowhere"}, "the image nowhere does not exist"),
        ({"model": "nowhere"}, "nowhere: no such file or folder"),
        ({"sheet": 101}, "sheet is 101, expected 0 to 100 photos"),
        ({"sheet": -1}, "sheet is -1"),
        ({"scales": ()}, "positive factors"),
        ({"split": "val"}, "split is 'val', but no data name splits"),
        ({"data": "photos"}, "data is 'photos', expected a DataConfig"),
        ({"data": DataConfig(root="absent")}, "absent"),
        ({"output": 3}, "output is 3"),
        ({"features": 3}, "features is 3"),
        ({"device": "cuda:77"}, "device 'cuda:77'"),
    ],
)
def test_bad_input_is_one_line(tiny, tagged_folder, tmp_path, options, message, unchecked):
    settings: dict[str, Any] = {
        "model": tiny,
        "photos": tagged_folder / "images",
        "output": tmp_path / "out",
        **FAST,
    } | options
    assert_refused(lambda: review(**settings), message)
    assert not (tmp_path / "out").exists()


def test_a_network_without_segmentation_is_refused(tiny, tagged_folder, tmp_path):
    save_network(tiny, tmp_path / "run" / "last.safetensors", {"maps": ["cam", "aux_cam"]})
    assert_refused(
        lambda: review(tmp_path / "run", tagged_folder / "images", tmp_path / "out", **FAST), "decoder was not trained"
    )


def test_tags_of_a_class_that_the_network_does_not_know(tagged_folder, tmp_path):
    other = tiny_network(classes=(*CLASSES[:2], "star"))
    data = DataConfig(root=str(tagged_folder))
    assert_refused(lambda: review(other, data=data, output=tmp_path / "out", **FAST), "triangle")


def test_data_of_one_split(tiny, tagged_folder, tmp_path):
    data = replace(DataConfig(root=str(tagged_folder)), val_split="")
    assert len(review(tiny, data=data, output=tmp_path / "out", sheet=0, **FAST)) == 6

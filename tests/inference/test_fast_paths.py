"""Every fast path against the plain one: one photo at a time, everything in the foreground, float32.

Labels may differ in at most one pixel of a thousand: a batch's matrix products are summed in another order, and a pixel
whose two best classes tie up to that rounding may fall either way.
"""

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tagseg.data.config import DataConfig
from tagseg.data.images import read_picture
from tagseg.data.masks import save_mask
from tagseg.errors import TagsegError
from tagseg.files import replacing
from tagseg.inference import export, label_maps
from tagseg.inference.evaluate import evaluate
from tagseg.inference.precision import check_precision
from tagseg.inference.predict import predict

from .conftest import CLASSES, blocks

pytestmark = pytest.mark.slow

PLAIN: dict[str, Any] = {"batch": 1, "writers": 0, "read_ahead": False}
FAST: dict[str, Any] = {"batch": 4, "writers": 2, "read_ahead": True}
SIZES = [(64, 96), (64, 96), (70, 40), (64, 96), (66, 95), (70, 40), (64, 96), (64, 96), (33, 70)]
HOW = {
    "one scale": {"scales": (1.0,), "mirror": False},
    "mirrored": {"scales": (1.0,)},
    "every scale": {},
    "square": {"size": 64},
    "shrunk": {"max_side": 64},
    "crf": {"crf": True},
    "crf, shrunk": {"crf": True, "max_side": 48},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Photos of several sizes, some equal, in two folders, with masks; two are broken."""
    root = tmp_path_factory.mktemp("mixed")
    rows = ["image,labels,split"]
    for index, size in enumerate(SIZES):
        name = f"{'sub/' * (index % 2)}{index}.png"
        pixels, labels = blocks(*size, seed=1000 + index)
        for kind, array in (("images", pixels), ("masks", labels)):
            path = root / kind / name
            path.parent.mkdir(parents=True, exist_ok=True)
            picture = Image.fromarray(array.astype(np.uint8))
            (picture if kind == "images" else picture.resize(size[::-1], Image.Resampling.NEAREST)).save(path)
        rows.append(f"{name},{';'.join(CLASSES[k - 1] for k in np.unique(labels) if k)},val")
    (root / "labels.csv").write_text("\n".join(rows) + "\n")
    return root


def all_files(folder: Path) -> dict[str, Path]:
    return {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}


def assert_same(plain: Path, fast: Path, share: float = 0.999) -> None:
    ours, theirs = all_files(fast), all_files(plain)
    assert sorted(ours) == sorted(theirs)
    assert any(name.startswith("masks/") for name in ours)
    for name, path in theirs.items():
        if name.endswith(".png"):
            equal = np.asarray(Image.open(path)) == np.asarray(Image.open(ours[name]))
            assert equal.mean() >= share, name
        elif name.endswith(".npz"):
            np.testing.assert_allclose(np.load(path)["scores"], np.load(ours[name])["scores"], atol=2e-3)


def without_shares(table: Path) -> list[list[str]]:
    return [line.split(",")[1:3] for line in table.read_text().splitlines()]


@pytest.mark.parametrize("how", HOW.values(), ids=HOW)
def test_prediction(trained, folder, tmp_path, how):
    settings = {"quiet": True, "scores": True} | how
    plain = predict(trained, folder / "images", tmp_path / "plain", **settings, **PLAIN)
    fast = predict(trained, folder / "images", tmp_path / "fast", **settings, **FAST)
    assert [p.name for p in fast] == [p.name for p in plain]
    assert [p.image for p in fast] == [p.image for p in plain]
    assert_same(tmp_path / "plain", tmp_path / "fast")
    tables = [without_shares(tmp_path / run / "predictions.csv") for run in ("plain", "fast")]
    assert tables[0] == tables[1]
    assert len(tables[0]) == 1 + len(SIZES)


@pytest.mark.parametrize("changed", [{"read_ahead": True}, {"writers": 1}, {"writers": 3}])
def test_threads_change_no_bit(trained, folder, tmp_path, changed):
    predict(trained, folder / "images", tmp_path / "plain", quiet=True, **PLAIN)
    predict(trained, folder / "images", tmp_path / "fast", quiet=True, **PLAIN | changed)
    plain, fast = all_files(tmp_path / "plain"), all_files(tmp_path / "fast")
    assert sorted(plain) == sorted(fast)
    assert [name for name in plain if plain[name].read_bytes() != fast[name].read_bytes()] == []


@pytest.mark.parametrize("how", [{"what": "cam"}, {"what": "aux_cam", "scales": (0.5,)}, {}, {"crf": True}])
def test_evaluation(trained, folder, how):
    data = DataConfig(source="folder", root=str(folder), classes=CLASSES)
    plain = evaluate(trained, data, quiet=True, batch=1, read_ahead=False, **how)
    fast = evaluate(trained, data, quiet=True, batch=4, **how)
    for ours, theirs in ((fast.matrix, plain.matrix), (fast.crf_matrix, plain.crf_matrix)):
        assert (ours is None) == (theirs is None)
        if ours is not None and theirs is not None:
            assert ours.sum() == theirs.sum()
            assert np.abs(ours - theirs).sum() / 2 <= 0.001 * theirs.sum()
    assert plain.protocol["precision"] == "32"
    assert (plain.protocol["batch"], fast.protocol["batch"]) == (1, 4)
    if not how:
        assert plain.result.mean_iou > 0.5, "the network has learned, so the comparison means something"


def test_broken_photos_in_a_batch(trained, folder, tmp_path):
    images = tmp_path / "images"
    for path in sorted((folder / "images").rglob("*.png")):
        (images / path.name).parent.mkdir(exist_ok=True)
        (images / path.name).write_bytes(path.read_bytes())
    (images / "1a.png").write_bytes(b"no image")
    (images / "3a.png").write_bytes((images / "3.png").read_bytes()[:300])
    messages = []
    for name, settings in (("plain", PLAIN), ("fast", FAST)):
        with pytest.raises(TagsegError, match=r"2 of 11 images failed.*1a\.png.*3a\.png") as error:
            predict(trained, images, tmp_path / name, quiet=True, **settings)
        messages.append(str(error.value))
    assert messages[0] == messages[1]
    assert_same(tmp_path / "plain", tmp_path / "fast")


@pytest.mark.parametrize("batch", [1, 4])
def test_bf16_keeps_a_trained_networks_labels(trained, folder, tmp_path, batch):
    predict(trained, folder / "images", tmp_path / "plain", quiet=True, **PLAIN)
    predict(trained, folder / "images", tmp_path / "bf16", quiet=True, **PLAIN | {"precision": "bf16", "batch": batch})
    assert_same(tmp_path / "plain", tmp_path / "bf16", share=0.99)


def test_bf16_reaches_the_network_and_not_the_merging(trained, folder, monkeypatch, tmp_path):
    logits, real, merge = [], trained.segment_logits, label_maps.label_map
    monkeypatch.setattr(trained, "segment_logits", lambda x: logits.append(real(x)) or logits[-1])
    monkeypatch.setattr(label_maps, "label_map", lambda grids, size: logits.extend(grids) or merge(grids, size))
    (photo,) = [folder / "images" / "0.png"]
    predict(trained, photo, tmp_path, quiet=True, scales=(1.0,), precision="bf16")
    assert [tensor.dtype for tensor in logits] == [torch.bfloat16, torch.float32]


def test_bf16_in_the_protocol_and_for_cams(trained, folder):
    data = DataConfig(source="folder", root=str(folder), classes=CLASSES)
    full, half = (evaluate(trained, data, what="cam", quiet=True, precision=p) for p in ("32", "bf16"))
    assert half.protocol["precision"] == "bf16"
    assert half.protocol["batch"] == "auto"
    assert np.abs(full.matrix - half.matrix).sum() / 2 <= 0.01 * full.matrix.sum()


@pytest.mark.parametrize(("settings", "message"), [({"batch": -1}, "batch is -1"), ({"writers": -1}, "writers is -1")])
def test_wrong_settings_are_one_line(network, folder, tmp_path, settings, message):
    with pytest.raises(TagsegError, match=message):
        predict(network, folder / "images", tmp_path / "out", quiet=True, **settings)
    assert not (tmp_path / "out").exists()


def test_a_wrong_precision_is_one_line():
    with pytest.raises(TagsegError, match="precision is '16', expected one of: 32, bf16"):
        check_precision("16")


@pytest.mark.parametrize("shrunk", [False, True])
def test_each_photos_scales_are_merged_once(trained, folder, monkeypatch, tmp_path, shrunk):
    sizes = []
    real = label_maps.merge_scales
    monkeypatch.setattr(label_maps, "merge_scales", lambda grids, size: sizes.append(size) or real(grids, size))
    data = DataConfig(source="folder", root=str(folder), classes=CLASSES)
    evaluate(trained, data, crf=True, quiet=True)
    assert sorted(sizes) == sorted(SIZES)
    sizes.clear()
    photo = folder / "images" / "0.png"
    predict(trained, photo, tmp_path, crf=True, scores=True, quiet=True, max_side=48 if shrunk else None)
    assert sizes == ([(64, 96), (32, 48)] if shrunk else [(64, 96)])


def test_each_mask_is_read_once(trained, folder, monkeypatch):
    data = DataConfig(source="folder", root=str(folder), classes=CLASSES)
    read = []
    monkeypatch.setattr("tagseg.inference.evaluate._truth", lambda sample, size: read.append(sample) or sample.mask())
    evaluate(trained, data, crf=True, quiet=True, scales=(1.0,))
    assert len(read) == len(SIZES)


def masks_and_rows(out: Path) -> tuple[list[str], list[str]]:
    rows = (out / "predictions.csv").read_text().splitlines()[1:]
    return sorted(name for name in all_files(out) if name.startswith("masks/")), [row.split(",")[1] for row in rows]


@pytest.mark.parametrize("writers", [0, 2])
def test_tables_describe_the_masks_that_are_there_after_an_interrupt(trained, folder, tmp_path, monkeypatch, writers):
    real, calls = trained.segment_logits, []

    def segment_logits(images):
        calls.append(len(images))
        if len(calls) == 6:
            raise KeyboardInterrupt
        return real(images)

    def slowly(path, *rest):
        time.sleep(0.2)
        save_mask(path, *rest)

    monkeypatch.setattr(trained, "segment_logits", segment_logits)
    monkeypatch.setattr("tagseg.formats.png.save_mask", slowly)
    settings = PLAIN | {"writers": writers}
    with pytest.raises(KeyboardInterrupt):
        predict(trained, folder / "images", tmp_path, quiet=True, scales=(1.0,), **settings)
    masks, rows = masks_and_rows(tmp_path)
    assert masks == sorted(rows)
    assert 1 <= len(masks) <= 5
    assert not [name for name in all_files(tmp_path) if name.endswith(".tmp")]


@pytest.mark.parametrize("writers", [0, 2])
def test_a_full_disk_is_one_line_and_tables_describe_the_rest(trained, folder, tmp_path, monkeypatch, writers):
    def full(path, *rest):
        if path.name == "4.png":
            with replacing(path):
                raise OSError(28, "No space left on device")
        save_mask(path, *rest)

    monkeypatch.setattr("tagseg.formats.png.save_mask", full)
    with pytest.raises(TagsegError, match=r"cannot write .*4\.png: No space left on device") as error:
        predict(trained, folder / "images", tmp_path, quiet=True, scales=(1.0,), **PLAIN | {"writers": writers})
    assert "\n" not in str(error.value)
    masks, rows = masks_and_rows(tmp_path)
    assert masks == sorted(rows)
    assert {"masks/0.png", "masks/2.png"} <= set(masks)


def test_files_are_drawn_in_the_background_and_the_network_runs_in_the_foreground(
    trained, folder, tmp_path, monkeypatch
):
    drawing, encoding, reading = set(), set(), set()
    real, draw, read = trained.segment_logits, export.draw_overlay, read_picture
    who = threading.current_thread
    monkeypatch.setattr(trained, "segment_logits", lambda x: encoding.add(who()) or real(x))
    monkeypatch.setattr(export, "draw_overlay", lambda *a, **k: drawing.add(who()) or draw(*a, **k))
    monkeypatch.setattr("tagseg.inference.photos.read_picture", lambda path: reading.add(who()) or read(path))
    predict(trained, folder / "images", tmp_path, quiet=True, scales=(1.0,))
    main = threading.main_thread()
    assert encoding == {main}
    assert main not in drawing | reading

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tagseg.data.images import read_image
from tagseg.data.palette import palette
from tagseg.errors import TagsegError
from tagseg.inference import label_maps, predictor
from tagseg.inference.jobs import jobs_of
from tagseg.inference.predict import predict
from tagseg.inference.segment import multi_scale_logits, to_input
from tagseg.model.checkpoint import save_network
from tagseg.pairwise.config import CrfConfig

from .conftest import CLASSES, mask_of, photo

pytestmark = pytest.mark.slow


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def files_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_of_all_kinds_of_images(network, photos, tmp_path):
    before = {path: path.read_bytes() for path in photos.rglob("*") if path.is_file()}
    out = tmp_path / "out"
    done = predict(network, photos, out, scores=True, quiet=True)
    names = {"plain", "grey", "rgba", "deep", "turned", "one", "thin", "sub/Größe 図"}
    assert {p.name for p in done} == names
    expected = {f"masks/{n}.png" for n in names} | {f"overlays/{n}.jpg" for n in names}
    expected |= {f"scores/{n}.npz" for n in names} | {"classes.csv", "predictions.csv", "data.json"}
    assert files_in(out) == expected, "and no temporary file is left"
    for prediction in done:
        image = read_image(prediction.image)
        with Image.open(mask_of(prediction)) as mask:
            assert mask.mode == "P"
            assert mask.getpalette() == palette().ravel().tolist()
            labels = np.array(mask)
        logits = multi_scale_logits(network, to_input(network, image))
        np.testing.assert_array_equal(labels, logits.argmax(dim=0).numpy())
        scores = np.load(out / "scores" / f"{prediction.name}.npz")
        assert scores["classes"].tolist() == ["background", *CLASSES]
        np.testing.assert_allclose(scores["scores"], logits.softmax(dim=0), atol=1e-3)
    assert before == {path: path.read_bytes() for path in photos.rglob("*") if path.is_file()}
    rows = rows_of(out / "predictions.csv")
    assert [row["mask"] for row in rows] == [f"masks/{p.name}.png" for p in done]
    for row, p in zip(rows, done, strict=True):
        assert row["classes"] == ";".join(p.shares)
        assert [float(s) for s in row["shares"].split(";") if s] == pytest.approx(list(p.shares.values()), abs=1e-4)
    legend = rows_of(out / "classes.csv")
    assert [row["name"] for row in legend] == ["background", *CLASSES]


def test_a_file_and_a_list_of_files_from_a_saved_network(network, photos, tmp_path):
    path = tmp_path / "run" / "best.safetensors"
    save_network(network, path)
    (single,) = predict(path.parent, photos / "grey.png", tmp_path / "a", overlays=False, quiet=True)
    assert files_in(tmp_path / "a") == {"masks/grey.png", "classes.csv", "predictions.csv", "data.json"}
    listed = predict(str(path), [photos / "grey.png", photos / "sub"], tmp_path / "b", quiet=True)
    assert [p.name for p in listed] == ["grey", "sub/Größe 図"]
    assert mask_of(listed[0]).read_bytes() == mask_of(single).read_bytes()


def test_broken_images_are_reported_and_the_rest_is_done(network, photos, tmp_path):
    (photos / "broken.jpg").write_bytes(b"no image")
    (photos / "cut.jpg").write_bytes((photos / "plain.jpg").read_bytes()[:200])
    with pytest.raises(TagsegError, match=r"2 of 10 images failed, the others are done: .*broken\.jpg.*cut\.jpg") as e:
        predict(network, photos, tmp_path / "out", quiet=True, mirror=False, scales=(1.0,))
    assert "\n" not in str(e.value)
    assert len(rows_of(tmp_path / "out" / "predictions.csv")) == 8
    assert len(list((tmp_path / "out" / "masks").rglob("*.png"))) == 8


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        torch.cuda.OutOfMemoryError(),
    ],
)
def test_a_photo_too_large_for_memory_does_not_stop_the_others(network, photos, tmp_path, monkeypatch, error):
    real = network.segment_logits

    def segment_logits(images: torch.Tensor) -> torch.Tensor:
        if images.shape[-1] == 96:
            raise error
        return real(images)

    monkeypatch.setattr(network, "segment_logits", segment_logits)
    with pytest.raises(TagsegError, match=r"1 of 8 images failed.*thin\.png does not fit into memory: lower max_side"):
        predict(network, photos, tmp_path / "out", quiet=True, mirror=False, scales=(1.0,), overlays=False)


def test_same_name_with_two_endings_gives_two_masks(network, tmp_path):
    for name in ("a.jpg", "a.png", "b.png"):
        Image.fromarray(photo(8, 8)).save(tmp_path / name)
    names = [name for _, name in jobs_of(tmp_path, tmp_path / "out").named]
    assert names == ["a.jpg", "a.png", "b"]


def test_names_that_collide_nevertheless_are_an_error(tmp_path):
    for name in ("a.jpg", "a.png", "a.jpg.png"):
        Image.fromarray(photo(8, 8)).save(tmp_path / name)
    with pytest.raises(TagsegError, match=r"two images would both be written as a\.jpg"):
        jobs_of(tmp_path, tmp_path / "out")


def test_images_are_never_overwritten(network, photos, tmp_path):
    masks = tmp_path / "set" / "masks"
    masks.mkdir(parents=True)
    Image.fromarray(photo(8, 8)).save(masks / "a.png")
    with pytest.raises(TagsegError, match="is an input and would be overwritten"):
        predict(network, masks, tmp_path / "set", quiet=True)
    predict(network, photos, photos, quiet=True, scales=(1.0,), mirror=False)
    again = predict(network, photos, photos, quiet=True, scales=(1.0,), mirror=False)
    assert len(again) == 8, "a second run into the same folder leaves out what the first one wrote"


def test_an_image_named_twice_is_predicted_once(photos, tmp_path):
    assert len(jobs_of([photos, photos / "grey.png", photos / "sub"], tmp_path / "out").named) == 8


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scales": ()}, "positive factors"),
        ({"size": 0}, "size is 0"),
        ({"max_side": -1}, "max_side is -1"),
        ({"device": "cuda:77"}, "device 'cuda:77'"),
        ({"images": "nowhere.jpg"}, "does not exist"),
        ({"images": []}, "no image in an empty list"),
        ({"model": "nowhere"}, "nowhere"),
    ],
)
def test_bad_input_is_one_line(network, photos, tmp_path, options, message):
    settings = {"model": network, "images": photos, "output": tmp_path / "out", "quiet": True} | options
    with pytest.raises(TagsegError, match=message) as error:
        predict(**settings)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_an_output_that_cannot_be_written(network, photos, tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(TagsegError, match=r"cannot write .*out"):
        predict(network, photos / "grey.png", tmp_path / "out", quiet=True)


SCRIPT = """
import sys
from tagseg.inference.predict import predict
predict(sys.argv[1], sys.argv[2], sys.argv[3], quiet=True, scores=True)
heavy = [name for name in ("lightning", "torchmetrics", "tagseg.training", "matplotlib") if name in sys.modules]
sys.exit(f"imported {heavy}" if heavy else 0)
"""


def test_prediction_imports_nothing_of_training(network, photos, tmp_path):
    path = tmp_path / "network.safetensors"
    save_network(network, path)
    arguments = [str(path), str(photos / "grey.png"), str(tmp_path / "out")]
    result = subprocess.run([sys.executable, "-c", SCRIPT, *arguments], capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "out" / "masks" / "grey.png").is_file()


def test_a_crf_changes_masks_and_leaves_scores(network, photos, tmp_path):
    plain = predict(network, photos, tmp_path / "plain", scores=True, quiet=True, overlays=False)
    refined = predict(network, photos, tmp_path / "crf", crf=True, scores=True, quiet=True, overlays=False)
    assert [p.name for p in plain] == [p.name for p in refined]
    masks = [[np.array(Image.open(mask_of(p))) for p in run] for run in (plain, refined)]
    assert [m.shape for m in masks[0]] == [m.shape for m in masks[1]]
    assert any((a != b).any() for a, b in zip(*masks, strict=True))
    for prediction in plain:
        files = (tmp_path / run / "scores" / f"{prediction.name}.npz" for run in ("plain", "crf"))
        before, after = (dict(np.load(file)) for file in files)
        assert all(np.array_equal(before[key], after[key]) for key in before)


def test_a_crf_sees_large_photos_shrunk(network, tmp_path, monkeypatch):
    shapes: list[tuple[int, ...]] = []
    real = label_maps.crf_marginals
    monkeypatch.setattr(
        label_maps, "crf_marginals", lambda p, i, *rest: shapes.extend(x.shape for x in i) or real(p, i, *rest)
    )
    Image.fromarray(photo(50, 200)).save(tmp_path / "wide.png")
    (done,) = predict(network, tmp_path / "wide.png", tmp_path / "out", crf=True, max_side=80, quiet=True)
    assert shapes == [(20, 80, 3)]
    assert Image.open(mask_of(done)).size == (200, 50)


def test_a_crf_labels_as_many_photos_at_once_as_there_are_threads(network, photos, tmp_path, monkeypatch):
    sizes = []
    real = predictor.label_maps
    monkeypatch.setattr(predictor, "label_maps", lambda logits, *rest: sizes.append(len(logits)) or real(logits, *rest))
    torch.set_num_threads(3)
    try:
        several = predict(network, photos, tmp_path / "several", crf=True, quiet=True, overlays=False)
    finally:
        torch.set_num_threads(1)
    assert sizes == [3, 3, 2]
    single = predict(network, photos, tmp_path / "single", crf=True, quiet=True, overlays=False)
    for a, b in zip(several, single, strict=True):
        same = np.array(Image.open(mask_of(a))) == np.array(Image.open(mask_of(b)))
        assert same.mean() > 0.99, "but for the rounding of the network's sums over threads"


def test_a_photo_whose_crf_fails_does_not_stop_the_others(network, photos, tmp_path):
    settings = CrfConfig(method="exact")
    Image.fromarray(photo(160, 150)).save(photos / "large.png")
    with pytest.raises(TagsegError, match=r"1 of 9 images failed.*large\.png: an exact filter over 24,000 points"):
        predict(network, photos, tmp_path / "out", crf=True, crf_settings=settings, quiet=True, overlays=False)
    assert len(list((tmp_path / "out" / "masks").rglob("*.png"))) == 8

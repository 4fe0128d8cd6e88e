"""Trainings from end to end, of a few steps on tiny photos."""

import errno
import json
import logging
import shutil
from pathlib import Path

import pytest
import torch

from tagseg.config import replace
from tagseg.config_file import read_config
from tagseg.errors import TagsegError
from tagseg.model.checkpoint import load_network, read_about
from tagseg.model.weights import read_weights
from tagseg.training.train import train

from ..conftest import CLASSES, full_disk, make_folder, tiny_config
from .conftest import At, logged, stop

pytestmark = pytest.mark.slow

CURVE = Path(__file__).with_name("loss_curve.json")
TERMS = {"loss", "classification", "uncertain", "certain", "affinity", "segmentation", "energy"}


def test_what_a_run_leaves(run):
    config, result = run
    names = {path.name for path in result.folder.iterdir()} - {"kept.ckpt"}
    networks = {"best.safetensors", "last.safetensors", "last_teacher.safetensors"}
    assert names == networks | {
        "config.yaml",
        "data.json",
        "last.ckpt",
        "previous.ckpt",
        "best.ckpt",
        "logs",
        "progress.jsonl",
    }
    assert result.steps == 8
    assert result.network == result.folder / "best.safetensors"
    assert read_config(result.folder / "config.yaml") == config
    assert load_network(result.folder).classes == CLASSES
    about = read_about(result.folder / "last.safetensors")
    assert about["step"] == 8
    assert about["scores"].keys() == result.scores.keys()


def test_scores_of_student_and_teacher(run):
    _, result = run
    what = ("segmentation", "segmentation_accuracy", "cam", "aux_cam", "tag_f1")
    assert result.scores.keys() == {f"val/{who}/{name}" for who in ("student", "teacher") for name in what}
    assert all(0 <= score <= 1 for score in result.scores.values())


def test_losses_and_health_are_logged(run):
    _, result = run
    values = logged(result.folder)
    assert {f"train/{name}" for name in TERMS} <= values[7].keys()
    assert {f"distillation/{n}_{w}" for n in ("certain", "uncertain") for w in ("kl", "teacher_entropy")} <= values[
        7
    ].keys()
    assert "train/segmentation" not in values[0], "L_seg starts after a tenth"


def test_the_teacher_follows_the_student_slowly(run):
    _, result = run
    student, teacher = (read_weights(result.folder / f"last{name}.safetensors") for name in ("", "_teacher"))
    apart = (student["classifier.weight"] - teacher["classifier.weight"]).abs().max()
    assert 0 < apart < 0.01


def test_a_view_that_is_no_multiple_of_the_patch_is_one_line(tagged_folder, tmp_path):
    config = tiny_config(tagged_folder, tmp_path, views={"size": 36}, mask={"block": 9})
    with pytest.raises(TagsegError, match=r"views.size is 36, expected a multiple of the patch size \(8\)") as caught:
        train(config)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "last.ckpt").exists()


def test_a_folder_that_holds_a_training_is_not_overwritten(run):
    config, result = run
    before = (result.folder / "last.ckpt").read_bytes()
    with pytest.raises(TagsegError, match=r"already holds a training: resume it with --resume"):
        train(config)
    assert (result.folder / "last.ckpt").read_bytes() == before


def test_without_masks_nothing_is_scored(tmp_path, caplog):
    root = make_folder(tmp_path / "data")
    shutil.rmtree(root / "masks")
    with caplog.at_level(logging.WARNING, "tagseg"):
        result = train(tiny_config(root, tmp_path / "run", run={"steps": 2, "validate_every": 1}))
    assert "no masks, so nothing is scored" in caplog.text
    assert result.scores == {}
    assert result.network.name == "last.safetensors"
    assert not (result.folder / "best.ckpt").exists()


def test_photos_with_tags_and_nothing_else_all_train(tmp_path, caplog):
    root = make_folder(tmp_path / "data")
    shutil.rmtree(root / "masks")
    rows = (root / "labels.csv").read_text().splitlines()
    (root / "labels.csv").write_text("\n".join(row.rpartition(",")[0] for row in rows))  # no split column
    with caplog.at_level(logging.INFO, "tagseg"):
        result = train(tiny_config(root, tmp_path / "run", run={"steps": 2, "validate_every": 1}))
    assert "the tags of 8 images" in caplog.text
    assert "all images train and none is scored" in caplog.text
    assert (result.scores, result.network.name) == ({}, "last.safetensors")


def test_masks_of_the_training_images_are_never_read(tmp_path):
    root = make_folder(tmp_path / "data")
    for path in (root / "masks").glob("train*"):
        path.write_bytes(b"broken")
    assert train(tiny_config(root, tmp_path / "run", run={"steps": 2, "validate_every": 1})).steps == 2


@pytest.mark.parametrize("workers", [0, 1])
def test_a_broken_photo_is_one_line_that_names_it(tmp_path, workers):
    root = make_folder(tmp_path / "data")
    photo = root / "images" / "train2.jpg"
    photo.write_bytes(photo.read_bytes()[:200])
    with pytest.raises(TagsegError) as caught:
        train(tiny_config(root, tmp_path / "run", run={"workers": workers}))
    message = str(caught.value)
    assert "train2.jpg" in message
    assert "\n" not in message
    assert "Traceback" not in message


def test_a_loss_that_is_not_finite_stops_the_training(tagged_folder, tmp_path):
    def spoil(_, module):
        with torch.no_grad():
            module.method.student.decoder[4].weight.fill_(torch.nan)

    with pytest.raises(TagsegError, match=r"^step 3: loss term 'segmentation' is nan"):
        train(tiny_config(tagged_folder, tmp_path, run={"validate_every": 2}), callbacks=[At(3, spoil)])
    kept = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert kept["global_step"] == 2, "the state that led there replaces nothing"
    assert all(torch.isfinite(v).all() for v in kept["state_dict"].values() if v.is_floating_point())


def test_a_full_disk_keeps_the_previous_checkpoint(tagged_folder, tmp_path):
    output = tmp_path / "run"
    train(tiny_config(tagged_folder, output, run={"steps": 2}))
    before = {name: (output / name).read_bytes() for name in ("last.ckpt", "last.safetensors")}
    config = tiny_config(tagged_folder, output, run={"steps": 4, "validate_every": 1})
    with full_disk(len(before["last.ckpt"]) // 2), pytest.raises(TagsegError) as caught:
        train(config, resume=output)
    assert "\n" not in str(caught.value)
    assert "kept" in str(caught.value)
    assert (output / "last.ckpt").read_bytes() == before["last.ckpt"]
    assert train(config, resume=output).steps == 4, "with space again it goes on"


@pytest.mark.parametrize("precision", ["highest", "high", "medium"])
def test_the_precision_of_products_holds_for_the_training_alone(tagged_folder, tmp_path, precision):
    inside = []
    watch = [At(step, lambda *_: inside.append(torch.get_float32_matmul_precision())) for step in range(2)]
    before = torch.get_float32_matmul_precision()
    other = "medium" if precision == "highest" else "highest"
    torch.set_float32_matmul_precision(other)
    try:
        config = tiny_config(tagged_folder, tmp_path / "a", run={"steps": 2, "matmul_precision": precision})
        train(config, callbacks=watch)
        assert inside == [precision] * 2
        assert torch.get_float32_matmul_precision() == other
        with pytest.raises(KeyboardInterrupt):
            train(replace(config, run={"output": str(tmp_path / "b")}), callbacks=[At(1, stop)])
        assert torch.get_float32_matmul_precision() == other, "also after an interruption"
    finally:
        torch.set_float32_matmul_precision(before)


VARIANTS = {
    "edges": {"partition": {"rule": "edge"}, "mask": {"random_until": 0}},
    "random masks": {"mask": {"choice": "random"}},
    "no masks": {"mask": {"choice": "none"}},
    "accumulated": {"run": {"steps": 2, "batch": 4, "accumulate": 2}},
    "local crops": {"views": {"local_crops": 2, "local_size": 16}},
    "half precision": {"run": {"steps": 2, "precision": "bf16-mixed"}},
}


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
def test_variants_run(tagged_folder, tmp_path, changes):
    result = train(replace(tiny_config(tagged_folder, tmp_path, run={"steps": 2}), **changes))
    assert result.steps == 2
    losses = logged(tmp_path)[1]
    assert ("train/uncertain" in losses) == (changes != VARIANTS["no masks"])
    assert "train/energy" in losses


def test_the_loss_curve_is_the_recorded_one(run):
    """Delete ``loss_curve.json`` and run this test twice to record a new one, where a change of numbers is meant."""
    _, result = run
    curve = [
        {k: v for k, v in values.items() if k.startswith("train/")}
        for _, values in sorted(logged(result.folder).items())
    ]
    curve = [{k: round(v, 6) for k, v in values.items()} for values in curve if values]
    version = ".".join(torch.__version__.split(".")[:2])
    if not CURVE.exists():
        CURVE.write_text(json.dumps({"torch": version, "curve": curve}, indent=1) + "\n")
        pytest.fail(f"{CURVE.name} was recorded: look at it and commit it")
    content = json.loads(CURVE.read_text())
    if content["torch"] != version:
        pytest.skip(f"recorded with torch {content['torch']}: others draw other initial weights from the same seed")
    recorded = content["curve"]
    assert len(recorded) == len(curve) == 8
    for step, (now, then) in enumerate(zip(curve, recorded, strict=True)):
        assert now == pytest.approx(then, rel=1e-3, abs=1e-6), f"step {step}"


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_disk_too_full_for_tensorboard_stops_in_one_line(tagged_folder, tmp_path, monkeypatch):
    """Lightning says that it is asked to log what cannot be logged."""

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tensorboard.summary.writer.record_writer.RecordWriter.write", full)
    config = tiny_config(tagged_folder, tmp_path, run={"steps": 6, "log_every": 1, "logger": "tensorboard"})
    with pytest.raises(TagsegError, match=r"could not be written \(.*No space left on device\); the previous"):
        train(config)

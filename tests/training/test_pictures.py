"""Pictures in TensorBoard: the same photos through the training, which is the same bit by bit with and without."""

import copy
import io
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tagseg.config import replace
from tagseg.data import sources
from tagseg.data.dataset import Sample, TaggedImages
from tagseg.errors import TagsegError
from tagseg.fsr.partition import CERTAIN_FOREGROUND, UNCERTAIN
from tagseg.methods.build import build_method
from tagseg.methods.config import with_method
from tagseg.reporting.method_maps import Photos
from tagseg.training import pictures as pictures_file
from tagseg.training.fixed_photos import even_steps, fixed_samples, read_fixed, square_images, various
from tagseg.training.module import TrainingModule
from tagseg.training.pictures import rows_of
from tagseg.training.train import train

from ..conftest import CLASSES, tiny_config
from .conftest import events, logged, weights_equal

TENSORBOARD = {"logger": "tensorboard", "pictures": 2}


@pytest.fixture(scope="module")
def pictured(run, tmp_path_factory):
    """``run`` with pictures."""
    config, _ = run
    output = tmp_path_factory.mktemp("pictured")
    return train(replace(config, run={**TENSORBOARD, "output": str(output)}))


@pytest.mark.slow
def test_weights_losses_and_scores_are_those_of_a_run_without_pictures(run, pictured):
    _, plain = run
    assert weights_equal(plain.folder, pictured.folder)
    assert weights_equal(plain.folder, pictured.folder, "last_teacher.safetensors")
    assert logged(plain.folder) == logged(pictured.folder)
    assert plain.scores == pictured.scores


@pytest.mark.slow
def test_a_run_resumed_with_pictures_ends_as_one_without(run, tmp_path):
    config, plain = run
    config = replace(config, run={**TENSORBOARD, "output": str(tmp_path)})
    resumed = train(config, resume=plain.folder / "kept.ckpt")
    assert weights_equal(plain.folder, resumed.folder)
    whole = logged(plain.folder)
    assert {step: values["train/loss"] for step, values in logged(tmp_path).items() if "train/loss" in values} == {
        step: whole[step]["train/loss"] for step in range(4, 8)
    }
    assert [one.step for one in events(tmp_path).Images("photos")] == [8], "0 is before it"


@pytest.mark.slow
def test_tensorboard_has_pictures_at_even_steps_and_at_scorings(pictured):
    images = events(pictured.folder).Images("photos")
    assert {0, 8} <= {one.step for one in images} <= {0, 4, 8}
    sizes = {Image.open(io.BytesIO(one.encoded_image_string)).size[0] for one in images}
    # Eight columns of 144 pixels, tags of 90, gaps of 8: photo, CAM, regions, mask, label, student, teacher, truth.
    assert sizes == {8 + 8 * 152 + 98}
    assert len({one.encoded_image_string for one in images}) == len(images), "the network changes"


@pytest.mark.slow
def test_tensorboard_has_the_curves_beside_the_losses(pictured):
    log = events(pictured.folder)
    names = {"train/loss", "train/uncertain", "rate/encoder", "rate/heads", "gradient/norm", "speed/images_per_second",
             "memory/process_peak_gb", "distillation/token_centre_norm", "distillation/patch_centre_norm",
             "distillation/certain_teacher_entropy", "distillation/certain_kl", "val/teacher/segmentation"}  # fmt: skip
    assert names <= set(log.Tags()["scalars"])
    for name in names - {"val/teacher/segmentation"}:
        assert [one.step for one in log.Scalars(name)] == list(range(8)), name
    values = {name: [one.value for one in log.Scalars(name)] for name in names}
    assert all(value > 0 for value in values["gradient/norm"] + values["speed/images_per_second"])
    assert max(values["rate/heads"]) == pytest.approx(10 * max(values["rate/encoder"]))
    assert values["rate/encoder"][-1] > 0, "the rate of the step, not of the next"


def method_and_photos(tagged_folder, tmp_path, name="fsr"):
    config = with_method(tiny_config(tagged_folder, tmp_path), name)
    module = TrainingModule(build_method(config, CLASSES))
    samples = fixed_samples(sources.load(config.data, "train", masks=False), sources.load(config.data, "val"))
    images, tags = square_images(samples, CLASSES, 32)
    return module.train(), read_fixed(samples), Photos(images, tags, tuple(range(len(samples))))


def test_drawing_changes_no_weight_no_mode_and_no_random_state(tagged_folder, tmp_path):
    module, photos, inputs = method_and_photos(tagged_folder, tmp_path)
    state = copy.deepcopy(module.state_dict())
    modes = {name: part.training for name, part in module.named_modules()}
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # type: ignore[index]
    rows_of(module, photos, inputs, 3)
    assert torch.equal(before[0], torch.get_rng_state())
    assert (before[1] == np.random.get_state()[1]).all()  # type: ignore[index]
    assert modes == {name: part.training for name, part in module.named_modules()}
    assert all(torch.equal(value, state[name]) for name, value in module.state_dict().items())
    assert all(parameter.grad is None for parameter in module.parameters())


def test_a_row_has_what_the_method_has_and_truth_where_there_is_a_mask(tagged_folder, tmp_path):
    module, photos, inputs = method_and_photos(tagged_folder, tmp_path)
    rows = rows_of(module, photos, inputs, 100)
    assert [row.truth is not None for row in rows] == [True, True, False, False], "scored ones, then training ones"
    for row in rows:
        maps = (row.cam, row.regions, row.pseudo_label, row.prediction, row.teacher)
        assert all(one is not None and one.shape == row.image.shape[:2] for one in maps)
        assert row.regions is not None
        assert set(np.unique(row.regions)) <= {0, UNCERTAIN, CERTAIN_FOREGROUND}
        assert row.masked is not None
        assert row.masked.shape == (4, 4)
    again = rows_of(module, photos, inputs, 100)
    for one, two in zip(rows, again, strict=True):
        assert one.prediction is not None
        assert two.prediction is not None
        assert (one.prediction == two.prediction).all()
    module, photos, inputs = method_and_photos(tagged_folder, tmp_path, "classifier")
    for row in rows_of(module, photos, inputs, 100):
        assert row.cam is not None
        assert row.regions is row.masked is row.pseudo_label is row.prediction is row.teacher is None


def test_photos_are_chosen_by_the_data_alone_and_show_many_classes():
    def sample(name, *tags, known=True):
        return Sample(name, Path(name), tags, tags_known=known)

    training = TaggedImages("", ("a", "b", "c"), tuple(sample(str(i), i % 2) for i in range(50)), "")
    scored = TaggedImages("", ("a", "b", "c"), (sample("x", 0), sample("y", 0, 1), sample("?", known=False)), "")
    names = [one.name for one in fixed_samples(training, scored)]
    assert names[:2] == ["y", "x"]
    assert len(names) == len(set(names)) == 4
    assert names == [one.name for one in fixed_samples(training, scored)]
    assert [one.name for one in various([sample("a"), sample("b", 2), sample("c", 2), sample("d", 0)], 3)] == [
        "b", "d", "c"
    ]  # fmt: skip
    assert fixed_samples(training, None, 2) == various(training.samples, 2)
    assert various([], 3) == ()


def test_even_steps():
    assert even_steps(1, 10) == {10}
    assert even_steps(3, 10) == {0, 5, 10}
    assert even_steps(4, 2) == {0, 1, 2}
    assert even_steps(0, 10) == frozenset()


@pytest.mark.slow
def test_none_are_made_where_none_are_wanted_or_kept(tagged_folder, tmp_path, monkeypatch):
    def refuse(*_):
        raise AssertionError("no photo is to be chosen")

    monkeypatch.setattr(pictures_file, "fixed_samples", refuse)
    base = tiny_config(tagged_folder, tmp_path / "csv", run={"steps": 1, "pictures": 4})
    train(base)
    train(replace(base, run={"logger": "tensorboard", "pictures": 0, "output": str(tmp_path / "off")}))
    assert events(tmp_path / "off").Tags()["images"] == []


@pytest.mark.slow
def test_what_cannot_be_drawn_is_told_once_and_the_training_goes_on(tagged_folder, tmp_path, monkeypatch, caplog):
    def broken(*_):
        raise TagsegError("mask.png cannot be read")

    monkeypatch.setattr(pictures_file, "read_fixed", broken)
    with caplog.at_level(logging.WARNING, "tagseg"):
        result = train(tiny_config(tagged_folder, tmp_path, run={**TENSORBOARD, "steps": 2}))
    assert result.steps == 2
    assert caplog.text.count("no more pictures of photos (mask.png cannot be read)") == 1

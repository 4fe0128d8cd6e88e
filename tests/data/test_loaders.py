"""How the images of a step look is a pure function of the seed and the step, whoever loads and augments them."""

import subprocess
import sys
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch
from lightning.fabric.utilities import move_data_to_device
from PIL import Image

from tagseg.beyond.offline_labels import ground_truth_labels
from tagseg.data import sources
from tagseg.data.batch import Batch, CroppedBatch
from tagseg.data.config import ViewConfig
from tagseg.data.dataset import Sample, TaggedImages
from tagseg.data.loaders import TrainingViews, score_loader, training_loader
from tagseg.data.sampler import StepSampler
from tagseg.errors import TagsegError

from ..conftest import tiny_config


@pytest.fixture(scope="module")
def images(tagged_folder, tmp_path_factory):
    return sources.load(tiny_config(tagged_folder, tmp_path_factory.mktemp("run")).data, "train", masks=False)


def batches(images, config, count=4, **options):
    run = config.run
    loader = training_loader(images, config.views, batch=run.batch, seed=run.seed, workers=run.workers, **options)
    iterator = iter(loader)
    first = [next(iterator) for _ in range(count)]
    del iterator, loader
    return first


def equal(a, b):
    return all(
        torch.equal(getattr(a, name), getattr(b, name))
        for name in ("view1", "view2", "local", "tags", "seeds", "drop_path_seeds", "label")
    )


def config_with(tagged_folder, tmp_path, **run):
    return tiny_config(tagged_folder, tmp_path, views={"local_crops": 1, "local_size": 16}, run=run)


def test_a_batch(images, tagged_folder, tmp_path):
    (batch,) = batches(images, config_with(tagged_folder, tmp_path, batch=3), 1)
    assert batch.view1.shape == batch.view2.shape == (3, 3, 32, 32)
    assert batch.local.shape == (3, 1, 3, 16, 16)
    assert batch.view1.dtype == torch.uint8
    keys = next(iter(StepSampler(len(images), 3, 0)))
    assert batch.tags.tolist() == [images.tag_matrix()[index].tolist() for _, index in keys]
    assert len(set(batch.seeds.tolist())) == 3


@pytest.mark.parametrize("workers", [1, 2])
def test_the_number_of_workers_changes_nothing(images, tagged_folder, tmp_path, workers):
    alone = batches(images, config_with(tagged_folder, tmp_path, workers=0))
    helped = batches(images, config_with(tagged_folder, tmp_path, workers=workers))
    assert all(equal(a, b) for a, b in zip(alone, helped, strict=True))


def test_an_image_looks_different_in_the_next_epoch(images, tagged_folder, tmp_path):
    config = config_with(tagged_folder, tmp_path, batch=6)
    first, second = batches(images, config, 2)
    order = [[index for _, index in keys] for keys in islice(StepSampler(6, 6, 0), 2)]
    for index in range(6):
        a, b = order[0].index(index), order[1].index(index)
        assert not torch.equal(first.view1[a], second.view1[b])
        assert torch.equal(first.tags[a], second.tags[b])
        assert first.seeds[a] != second.seeds[b]


def test_a_loader_that_begins_later_sees_the_same(images, tagged_folder, tmp_path):
    config = config_with(tagged_folder, tmp_path)
    assert equal(batches(images, config, 1, first_step=3)[0], batches(images, config, 4)[3])


def test_another_seed_draws_other_views(images, tagged_folder, tmp_path):
    one, other = (batches(images, config_with(tagged_folder, tmp_path, seed=seed, batch=6), 1)[0] for seed in (0, 1))
    assert sorted(one.tags.tolist()) == sorted(other.tags.tolist())
    assert not set(one.seeds.tolist()) & set(other.seeds.tolist())


def test_scored_images_are_resized_and_their_masks_are_not(tagged_folder, tmp_path):
    config = tiny_config(tagged_folder, tmp_path)
    (batch,) = score_loader(sources.load(config.data, "val"), config.views.size, batch=2, workers=0)
    assert batch.images.shape == (2, 3, 32, 32)
    assert batch.images.dtype == torch.float32
    assert batch.images.max() > 100, "0 to 255"
    assert [tuple(mask.shape) for mask in batch.masks] == [(40, 48), (40, 48)]
    assert batch.tags.tolist() == [[1, 0, 0], [0, 0, 0]]


def test_processes_share_the_scored_images_and_a_limit_holds_for_all(tagged_folder, tmp_path):
    config = tiny_config(tagged_folder, tmp_path)
    data = sources.load(config.data, "train")
    shares = [
        [batch.tags[0].tolist() for batch in score_loader(data, config.views.size, 1, 0, limit=3, part=(rank, 2))]
        for rank in range(2)
    ]
    assert [len(share) for share in shares] == [2, 1]
    assert [shares[0][0], shares[1][0], shares[0][1]] == data.tag_matrix()[:3].tolist()


DEVICE = {"augment": "device", "local_crops": 2, "local_size": 16, "blur_probability": 0.5, "solarise_probability": 0.3}


@pytest.mark.parametrize("crops", [0, 2])
@pytest.mark.parametrize("workers", [0, 2])
def test_augmenting_on_the_device_gives_the_same_batches(images, tagged_folder, tmp_path, workers, crops):
    on_device, by_loader = (
        tiny_config(
            tagged_folder,
            tmp_path,
            views=DEVICE | {"augment": where, "local_crops": crops},
            run={"workers": workers, "batch": 3},
        )
        for where in ("device", "loader")
    )
    for raw, expected in zip(batches(images, on_device), batches(images, by_loader), strict=True):
        assert expected.augmented() is expected
        final = raw.augmented()
        assert type(final) is Batch
        assert not equal(raw, expected), "the loader leaves augmentation to the device"
        assert torch.equal(final.tags, expected.tags)
        assert torch.equal(final.seeds, expected.seeds)
        for name in ("view1", "view2", "local"):
            got, wanted = getattr(final, name), getattr(expected, name)
            assert got.shape == wanted.shape
            assert got.dtype == torch.uint8
            assert ((got.int() - wanted.int()).abs() <= 3).all()


def test_a_batch_moves_as_lightning_moves_it_and_its_augmentations_stay_on_the_cpu(images, tagged_folder, tmp_path):
    (batch,) = batches(images, tiny_config(tagged_folder, tmp_path, views=DEVICE), 1)
    moved = move_data_to_device(batch, torch.device("meta"))
    assert type(moved) is CroppedBatch
    assert {tensor.device.type for tensor in (moved.view1, moved.view2, moved.local, moved.tags, moved.label)} == {
        "meta"
    }
    assert {tensor.device.type for tensor in (moved.seeds, moved.drop_path_seeds)} == {"cpu"}, "numbers are drawn there"
    assert moved.most_tags == int(batch.tags.sum(dim=1).max()), "counted before a GPU would have to be asked"
    assert {field.device.type for field in vars(moved.augmentations).values()} == {"cpu"}


@pytest.mark.parametrize("where", ["loader", "device"])
def test_parts_of_a_batch_are_its_images_in_order(images, tagged_folder, tmp_path, where):
    views = DEVICE | {"augment": where}
    (batch,) = batches(images, tiny_config(tagged_folder, tmp_path, views=views, run={"batch": 6}), 1)
    assert batch.parts(1) == [batch]
    parts = [part.augmented() for part in batch.parts(3)]
    assert {len(part.tags) for part in parts} == {2}
    names = ("view1", "view2", "local", "tags", "seeds", "drop_path_seeds", "label")
    assert equal(Batch(*(torch.cat([getattr(part, name) for part in parts]) for name in names)), batch.augmented())
    with pytest.raises(ValueError, match="6 images cannot be 4 equal parts"):
        batch.parts(4)


@pytest.mark.parametrize("where", ["loader", "device"])
def test_a_batch_is_pinned_whole(images, tagged_folder, tmp_path, where, monkeypatch):
    (batch,) = batches(images, tiny_config(tagged_folder, tmp_path, views=DEVICE | {"augment": where}), 1)
    pinned = []  # without a GPU no memory can be pinned: note what is asked for
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: pinned.append(tensor) or tensor.clone())
    copy = batch.pin_memory()
    assert len(pinned) == 7
    assert type(copy) is type(batch)
    assert equal(copy.augmented(), batch.augmented())


def photo(height, width):
    """Smooth content with noise, as a camera's."""
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 256, (4, 5, 3), np.uint8))
    smooth = np.asarray(small.resize((width, height), Image.Resampling.BICUBIC), np.float64)
    return Image.fromarray(np.clip(smooth + rng.normal(0, 4, smooth.shape), 0, 255).astype(np.uint8))


def views_of(path, keys=range(4), **settings):
    """The views of an image file, by key."""
    images = TaggedImages("test", ("a",), (Sample("a", path, (0,)),), "test")
    views = TrainingViews(images, ViewConfig(**{"size": 64, "local_size": 32} | settings), seed=0)
    return [views[key, 0][0][:3] for key in keys]


def differences(path, **settings):
    """Mean difference of each view with draft from the one without, in levels; and whether any differs."""
    plain, fast = (
        [view for views in views_of(path, draft=draft, **settings) for view in views if view.numel()]
        for draft in (False, True)
    )
    return [(a.float() - b.float()).abs().mean().item() for a, b in zip(plain, fast, strict=True)]


@pytest.mark.parametrize("orientation", [1, 3, 6, 7])
@pytest.mark.parametrize("size", [(600, 800), (597, 803)])
def test_draft_gives_the_same_views_but_for_a_little(tmp_path, size, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    photo(*size).save(tmp_path / "a.jpg", quality=95, exif=exif)
    levels = differences(tmp_path / "a.jpg", local_crops=1, jitter_probability=0.0)
    assert max(levels) < 4, "neighbouring levels, and up to a pixel of the reduced image"
    assert min(levels) > 0, "every image was decoded at a reduced size"


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_draft_keeps_grey_and_cmyk(tmp_path, mode):
    photo(600, 800).convert(mode).save(tmp_path / "a.jpeg", quality=95)
    assert 0 < max(differences(tmp_path / "a.jpeg", jitter_probability=0.0)) < 4


@pytest.mark.parametrize("name", ["a.png", "png.jpg", "small.jpg", "local.jpg"])
def test_draft_changes_nothing_where_it_does_not_pay(tmp_path, name):
    settings: dict[str, Any] = {"size": 64}
    if name == "local.jpg":  # the views alone would allow it, a small crop does not
        settings |= {"local_crops": 1, "local_scale": (0.01, 0.011), "local_size": 60}
    size = (100, 130) if name == "small.jpg" else (600, 800)
    photo(*size).save(tmp_path / name, format="PNG" if "png" in name else "JPEG")
    assert set(differences(tmp_path / name, **settings)) == {0.0}


def test_draft_names_a_damaged_jpeg_in_one_line(tmp_path):
    photo(600, 800).save(tmp_path / "photo.jpg", quality=95)
    whole = (tmp_path / "photo.jpg").read_bytes()
    for size in (0, 100, len(whole) // 2):
        (tmp_path / "photo.jpg").write_bytes(whole[:size])
        with pytest.raises(TagsegError, match=r"photo\.jpg.*expected") as error:
            views_of(tmp_path / "photo.jpg")
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("augment", ["loader", "device"])
def test_labels_come_along_where_they_are_asked_for(tagged_folder, tmp_path, augment):
    """The squares of these photos are brighter than the ground."""
    config = tiny_config(
        tagged_folder, tmp_path, run={"batch": 6},
        views={"size": 32, "augment": augment, "jitter_probability": 0.0},
    )  # fmt: skip
    labelled = ground_truth_labels(sources.load(config.data, "train", masks=True))
    (batch,) = batches(labelled, config, 1, labels=True)
    batch = batch.augmented()
    assert batch.label.shape == (6, 32, 32)
    shown = (batch.label > 0).flatten(1).any(1)
    assert torch.equal(shown, batch.tags.any(1)) or shown.sum() >= 4, "a crop may miss its square"
    for view, label in zip(batch.view1[shown], batch.label[shown], strict=True):
        bright = view.float().amax(0)
        assert bright[label > 0].mean() > bright[label == 0].mean() + 50
        assert (bright[label > 0] > 100).float().mean() > 0.8


def test_without_asking_no_label_is_read(images, tagged_folder, tmp_path):
    (batch,) = batches(images, config_with(tagged_folder, tmp_path, batch=3), 1)
    assert batch.label.shape == (3, 0, 0)


@pytest.mark.parametrize(("device", "pinned"), [("cpu", False), ("cuda", True)])
def test_a_training_on_the_cpu_leaves_a_gpu_alone(images, monkeypatch, device, pinned):
    """A thread that page-locks memory would take some of a GPU that others may have filled."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    views, where = ViewConfig(size=32), torch.device(device)
    assert training_loader(images, views, batch=2, seed=0, workers=0, device=where).pin_memory == pinned
    assert score_loader(images, 32, 2, 0, device=where).pin_memory == pinned


FAILS = """
import atexit, time

ended = []
atexit.register(lambda: print(time.monotonic() - ended[0]))  # the first one runs last

import torch
from tagseg.data.loaders import _loader


class Photos(torch.utils.data.Dataset):
    def __len__(self):
        return 100

    def __getitem__(self, index):
        if index == 8:
            raise OSError("cannot be read")
        return torch.zeros(3)


try:
    for batch in _loader(Photos(), 2, torch.device("cpu"), batch_size=4):
        pass
except OSError as error:
    kept = error  # and with it, by its traceback, the iterator
ended.append(time.monotonic())
"""


@pytest.mark.processes
def test_python_does_not_wait_for_readers_after_an_error():
    done = subprocess.run([sys.executable, "-c", FAILS], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    assert float(done.stdout) < 30, "readers end themselves after a minute"

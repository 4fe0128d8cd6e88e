"""Up to 254 classes have labels, more are refused; of a thousand classes only the present ones take memory."""

import math
from contextlib import contextmanager

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tagseg.config import replace
from tagseg.data.batch import Batch
from tagseg.data.config import DataConfig
from tagseg.data.dataset import Sample, TaggedImages
from tagseg.data.sources import SOURCES, load
from tagseg.fast import dense_losses as fast
from tagseg.fast.dense_crf import crf_marginals
from tagseg.fast.ops import FAST
from tagseg.methods.fsr import FSR
from tagseg.pairwise.config import CrfConfig

from ..conftest import assert_refused, tiny_config, tiny_network
from ..steps import LATE
from .examples import assert_finite, labels, photos, values

MOST, MANY = 254, 1000
"""A mask's labels, and more than that, of which losses and refinement still are what they are."""


class Largest(TorchDispatchMode):
    """Notes how many numbers the largest tensor that is made holds."""

    numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(made):
            if isinstance(leaf, torch.Tensor):
                self.numbers = max(self.numbers, leaf.numel())
        return made


@pytest.mark.parametrize(("count", "accepted"), [(1, True), (254, True), (255, False), (MANY, False)])
def test_a_source_of_ones_own_may_name_as_many_classes_as_a_mask_has_labels(monkeypatch, tmp_path, count, accepted):
    def numbered(config, split, *, masks):
        names = tuple(f"class {number}" for number in range(count))
        return TaggedImages("numbers", names, (Sample("one", tmp_path / "one.jpg", (count - 1,)),), "numbers")

    monkeypatch.setitem(SOURCES, "numbers", numbered)
    config = DataConfig(source="numbers", root=str(tmp_path), class_map="none")
    if accepted:
        assert len(load(config, "train").classes) == count
    else:
        assert_refused(lambda: load(config, "train"), "numbers", f"{count} classes", "1 to 254")


@contextmanager
def largest_tensor():
    with Largest() as watched:
        yield watched


def test_a_network_of_more_classes_is_refused_in_one_line():
    assert_refused(lambda: tiny_network(tuple(map(str, range(MOST + 1)))), "255 classes", "at most 254")


def test_a_fast_step_never_holds_all_classes_at_the_size_of_the_view(tmp_path):
    side, count = 64, 2
    config = replace(tiny_config(tmp_path, tmp_path / "run"), views={"size": side}, mask={"block": 16})
    module = FSR(config, tuple(map(str, range(MOST)))).train()
    tags = torch.zeros(count, MOST)
    tags[0, 200:203] = 1
    seeds = torch.arange(count)
    views = photos(2 * count, (side, side), "random", 0)
    none = torch.zeros(count, 0, 0, dtype=torch.uint8)
    batch = Batch(
        views[:count], views[count:], torch.zeros(count, 0, 3, 16, 16, dtype=torch.uint8), tags, seeds,
        torch.stack([seeds, seeds], 1), none,
    )  # fmt: skip
    with largest_tensor() as largest:
        losses = module.losses(batch, LATE)
        losses.total.backward()
    assert all(math.isfinite(value.detach()) for value in losses.terms.values())
    assert "energy" in losses.terms
    assert largest.numbers < MOST * side**2


def test_cams_are_made_for_the_present_classes():
    network = tiny_network(tuple(map(str, range(MOST))))
    tags = torch.zeros(1, MOST)
    tags[0, [3, 253]] = 1
    images = network.normalise(photos(1, (32, 32), "random", 0))
    with largest_tensor() as largest:
        made = FAST.cams(network, images, (1.0, 0.5), FAST.cam_classes(tags))
    assert made.final.shape == (1, 2, 32, 32)
    assert largest.numbers < MOST * 32**2


def test_bands_do_not_grow_with_the_classes():
    """Of 1,001 classes some rows are computed at a time; the plain form would hold 1,001 planes at full size."""
    size, logits = (64, 64), values((1, MANY + 1, 4, 4), "random", 0).requires_grad_()
    known, image = labels(1, size, MANY + 1, "random", 0), photos(1, size, "random", 0)
    with largest_tensor() as largest:
        found = fast.dense_losses(logits, known, image, None)
        found["segmentation"].backward()
    assert largest.numbers <= MANY * 4096 / 8
    assert_finite(gradient=logits.grad)


def test_a_crf_of_a_thousand_classes_filters_those_that_can_win(monkeypatch):
    from tagseg.fast import mean_field

    filtered = []
    real = mean_field.relevant_classes
    monkeypatch.setattr(mean_field, "relevant_classes", lambda *given: filtered.append(real(*given)) or filtered[-1])
    logits = torch.zeros(MANY + 1, 24, 20)
    logits[[0, 7]] = 20
    photo = photos(1, (24, 20), "random", 0)[0].permute(1, 2, 0).numpy()
    (marginals,) = crf_marginals([logits.softmax(0)], [photo], CrfConfig(iterations=2))
    assert [int(keep.sum()) for keep in filtered] == [2]
    torch.testing.assert_close(marginals.sum(0), torch.ones(24, 20), rtol=1e-4, atol=1e-4)

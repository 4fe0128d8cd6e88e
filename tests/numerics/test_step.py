"""A whole training step is finite on any batch: empty tag rows, photos of one colour, labels that are all ignored."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tagseg.config import replace
from tagseg.data.batch import Batch
from tagseg.data.seeds import seed_of
from tagseg.methods.build import build_method
from tagseg.methods.config import with_method

from ..conftest import tiny_config
from ..steps import LATE
from .examples import LABELS, PHOTOS, SEEDS, assert_finite, examples, labels, photos, tags

AUTOCAST = st.sampled_from([torch.float32, torch.bfloat16, torch.float16])
COUNTS = st.sampled_from([1, 2, 21, 81, 254])
WEIGHTS = st.sampled_from(["random", "CAMs of 0"])


def batch(count: int, classes: int, size: int, photo: str, other: str, label: str | None, seed: int) -> Batch:
    views = [photos(count, (size, size), kind, seed + place) for place, kind in enumerate((photo, other))]
    seeds = [seed + place for place in range(count)]
    known = torch.zeros(count, 0, 0, dtype=torch.uint8)
    if label is not None:
        known = labels(count, (size, size), classes + 1, label, seed).to(torch.uint8)
    local = torch.zeros(count, 0, 3, 16, 16, dtype=torch.uint8)
    paths = torch.tensor([[seed_of(one, view) for view in (1, 2)] for one in seeds])
    return Batch(views[0], views[1], local, tags(count, classes, seed), torch.tensor(seeds), paths, known)


@pytest.fixture(scope="module")
def module_of(tmp_path_factory):
    """A method in training mode by its name, table and number of classes; made once."""
    made = {}
    nowhere = tmp_path_factory.mktemp("nowhere")

    def build(name, form, classes, weights):
        if (name, form, classes) not in made:
            torch.manual_seed(0)
            config = replace(with_method(tiny_config(nowhere, nowhere), name), speed={"step": form})
            made[name, form, classes] = build_method(config, tuple(map(str, range(classes)))).train()
        module = made[name, form, classes]
        module.zero_grad()
        with torch.no_grad():
            for head in (module.trained.classifier, module.trained.aux_classifier):
                head.weight.zero_() if weights == "CAMs of 0" else head.weight.normal_(std=0.1)
        return module

    return build


def assert_finite_step(module, given, step, dtype):
    with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        losses = module.losses(given, step)
    losses.total.backward()
    assert_finite(total=losses.total, **losses.terms, **losses.health)
    assert all(value.dtype == torch.float32 for value in losses.terms.values())
    assert_finite(**{name: p.grad for name, p in module.named_parameters() if p.grad is not None})
    assert_finite(**dict(module.named_buffers()))
    return losses


@pytest.mark.parametrize("form", ["plain", "fast"])
@examples(4)
@given(
    st.integers(1, 3), COUNTS, st.sampled_from([8, 16, 32]), PHOTOS, PHOTOS, st.none() | LABELS,
    st.sampled_from([0, LATE]), AUTOCAST, WEIGHTS, SEEDS,
)  # fmt: skip
def test_of_fsr(module_of, form, count, classes, size, photo, other, label, step, dtype, weights, seed):
    module = module_of("fsr", form, classes, weights)
    losses = assert_finite_step(module, batch(count, classes, size, photo, other, label, seed), step, dtype)
    if label == "all ignored" and step == LATE:
        assert losses.terms["segmentation"] == 0
    assert losses.terms["classification"] >= 0


@pytest.mark.parametrize("form", ["plain", "fast"])
@examples(3)
@given(st.integers(1, 3), COUNTS, st.sampled_from([8, 32]), PHOTOS, AUTOCAST, WEIGHTS, SEEDS)
def test_of_the_classifier(module_of, form, count, classes, size, photo, dtype, weights, seed):
    module = module_of("classifier", form, classes, weights)
    assert_finite_step(module, batch(count, classes, size, photo, photo, None, seed), LATE, dtype)

"""A whole step against its golden values: plain and fast tables, in float64 and float32."""

import numpy as np
import pytest
import torch

from tagseg.fast.ops import FAST
from tagseg.fsr.step import PLAIN

from ..golden_step import GOLDEN, step_values

# The plain table made the values in float64; another processor may round differently.
TABLES = {
    "plain, float64": (torch.float64, PLAIN, 1e-9),
    "plain, float32": (torch.float32, PLAIN, 2e-5),
    "fast, float32": (torch.float32, FAST, 2e-5),
}


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN / "step.npz") as arrays:
        return dict(arrays)


@pytest.mark.parametrize(("dtype", "ops", "tolerance"), TABLES.values(), ids=TABLES)
def test_losses_masks_centres_and_gradients_are_the_golden_ones(golden, dtype, ops, tolerance):
    values = step_values(dtype, ops)
    assert values.keys() == golden.keys()
    assert np.array_equal(values["mask"], golden["mask"])
    for name, expected in golden.items():
        if name == "mask":
            continue
        # The gradient of a key's bias is 0 in theory: a softmax does not see what is added to every key.
        scale = 1e-2 if name.endswith("key.bias") else np.abs(expected).max()
        assert np.abs(values[name] - expected).max() <= tolerance * scale, name


def test_every_loss_is_on_and_every_trained_parameter_has_a_gradient(golden):
    losses = {name.removeprefix("loss/") for name in golden if name.startswith("loss/")}
    assert losses == {"uncertain", "certain", "classification", "affinity", "segmentation", "energy", "total"}
    assert all(golden[f"loss/{name}"] != 0 for name in losses)
    assert all(value > 0 for name, value in golden.items() if name.startswith("gradient/"))
    assert golden["mask"].any(axis=(1, 2)).all()

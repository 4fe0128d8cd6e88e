"""No loss and no gradient is NaN or infinite on finite input, whatever the shape, the precision and the labels."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tagseg.fast import dense_losses as fast
from tagseg.frozen.decoder import segmentation_loss as decoder_loss
from tagseg.fsr import losses as plain
from tagseg.fsr.config import EnergyConfig
from tagseg.fsr.distillation import certain_loss, uncertain_loss
from tagseg.fsr.losses import affinity_loss, classification_loss

from .examples import (
    CLASSES,
    KINDS,
    LABELS,
    PHOTOS,
    PRECISIONS,
    SEEDS,
    assert_finite,
    examples,
    labels,
    photos,
    random,
    sides,
    tags,
    values,
)


def of(loss: Callable[..., Tensor], *leaves: Tensor) -> Tensor:
    """The loss, after a look at it and at its gradients."""
    leaves = tuple(leaf.detach().requires_grad_() for leaf in leaves)
    value = loss(*leaves)
    assert value.shape == ()
    assert value.dtype == torch.float32
    value.backward()
    assert_finite(loss=value, **{f"gradient {place}": leaf.grad for place, leaf in enumerate(leaves)})
    return value.detach()


@examples(12)
@given(st.integers(1, 4), CLASSES, KINDS, KINDS, PRECISIONS, SEEDS)
def test_classification(count, classes, kind, other, dtype, seed):
    wanted = tags(count, classes, seed)
    logits = values((count, classes), kind, seed, dtype), values((count, classes), other, seed + 1, dtype)
    assert of(lambda final, auxiliary: classification_loss(final, auxiliary, wanted), *logits) >= 0


@examples(12)
@given(st.integers(1, 3), sides(4), sides(4), st.integers(1, 9), KINDS, PRECISIONS, LABELS, SEEDS)
def test_affinity(count, h, w, width, kind, dtype, label, seed):
    features = values((count, width, h, w), kind, seed, dtype)
    if dtype == torch.float16 and kind == "near zero":
        features = features * 1e4  # the gradient is that of a direction: it has the size of 1 / |features|
    known = labels(count, (h, w), 4, label, seed)
    assert 0 <= of(lambda maps: affinity_loss(maps, known), features) <= 1


@pytest.mark.parametrize("dense_losses", [plain.dense_losses, fast.dense_losses], ids=["plain", "fast"])
@examples(12)
@given(
    st.integers(1, 2), CLASSES, st.tuples(sides(3), sides(3)), st.tuples(sides(9), sides(9)), KINDS, PRECISIONS, PHOTOS,
    LABELS, st.booleans(), SEEDS,
)  # fmt: skip
def test_segmentation_and_energy(dense_losses, count, classes, grid, size, kind, dtype, photo, label, exact, seed):
    known, image = labels(count, size, classes + 1, label, seed), photos(count, size, photo, seed)
    energy = EnergyConfig(method="exact" if exact else "lattice")

    def loss(logits: Tensor) -> Tensor:
        found = dense_losses(logits, known, image, energy)
        assert_finite(**found)
        assert found["segmentation"] >= 0
        assert label != "all ignored" or found["segmentation"] == 0
        return found["segmentation"] + found["energy"]

    of(loss, values((count, classes + 1, *grid), kind, seed, dtype))


@examples(10)
@given(st.integers(1, 3), CLASSES, st.tuples(sides(3), sides(3)), st.tuples(sides(8), sides(8)), KINDS, LABELS, SEEDS)
def test_the_decoder_on_frozen_features(count, classes, grid, size, kind, label, seed):
    known = labels(count, size, classes + 1, label, seed)
    value = of(lambda logits: decoder_loss(logits, known), values((count, classes + 1, *grid), kind, seed))
    assert value >= 0
    assert label != "all ignored" or value == 0


@examples(15)
@given(
    st.integers(1, 3), st.integers(1, 6), st.sampled_from([1, 2, 64, 4096]), KINDS, KINDS, PRECISIONS,
    st.floats(0.01, 1), st.floats(0.01, 1), st.floats(0, 1), SEEDS,
)  # fmt: skip
def test_both_terms_of_the_distillation(
    count, patches, prototypes, kind, other, dtype, student_temperature, teacher_temperature, ratio, seed
):
    masked = torch.rand(count, patches, generator=random(seed)) < ratio
    centre = values((prototypes,), "random", seed + 2)
    temperatures = student_temperature, teacher_temperature
    teacher = values((int(masked.sum()), prototypes), other, seed, dtype)

    def unmasked(student: Tensor) -> Tensor:
        found = uncertain_loss(student, teacher, masked, centre, *temperatures)
        assert_finite(entropy=found.teacher_entropy, kl=found.kl)
        return found.loss

    of(unmasked, values((len(teacher), prototypes), kind, seed + 1, dtype))
    tokens = values((count, prototypes), other, seed, dtype)

    def token(student: Tensor) -> Tensor:
        found = certain_loss(student, tokens, centre, *temperatures)
        assert_finite(entropy=found.teacher_entropy, kl=found.kl)
        return found.loss

    of(token, values((2 * count, prototypes), kind, seed + 1, dtype))

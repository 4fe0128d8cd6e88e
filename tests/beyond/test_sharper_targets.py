"""Teacher targets whose sharpness does not depend on the spread of the projections; centres without their start."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tagseg.beyond.sharper_targets import corrected, temperature_of
from tagseg.fsr.distillation import Centres, TeacherProjections, certain_loss

P = 12


def draw(*shape, seed=0):
    return torch.randn(*shape, P, generator=torch.Generator().manual_seed(seed))


def projections_of(means):
    """Of which the token of view 1 and the mean patch are given, both (P,)."""
    return TeacherProjections(means[:1], means[:0], means[1])


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1000), st.floats(1e-3, 10), st.floats(0.5, 5))
def test_a_sharpened_target_does_not_depend_on_how_much_the_projections_vary(seed, scale, sharpness):
    teacher, centre, student = draw(6, seed=seed), draw(seed=seed + 1), draw(6, seed=seed + 2)
    temperature = temperature_of(scale * teacher, scale * centre, sharpness)
    logits = scale * (teacher - centre) / temperature
    assert logits.square().mean().sqrt().item() == pytest.approx(sharpness, rel=1e-3)
    loss = certain_loss(student, scale * teacher, scale * centre, 0.1, temperature).loss
    unscaled = certain_loss(student, teacher, centre, 0.1, temperature_of(teacher, centre, sharpness)).loss
    torch.testing.assert_close(loss, unscaled, rtol=1e-3, atol=1e-4)


def test_equal_projections_stay_a_finite_uniform_target():
    same = draw().expand(4, P)
    part = certain_loss(draw(4), same, same[0], 0.1, temperature_of(same, same[0], 2.5))
    assert part.teacher_entropy.item() == pytest.approx(math.log(P), abs=1e-4)
    assert part.loss.isfinite()


def test_a_corrected_centre_is_the_weighted_mean_of_all_projections():
    centres, means = Centres(P, momentum=0.9), draw(3, 2)
    token, patch = corrected(centres, 0, projections_of(means[0]))
    torch.testing.assert_close(torch.stack([token, patch]), means[0])
    for pair in means:
        centres.update(projections_of(pair))
    weights = torch.tensor([0.81, 0.9, 1.0]) / 2.71
    expected = torch.einsum("n,nkp->kp", weights, means)
    torch.testing.assert_close(torch.stack(corrected(centres, 3, projections_of(draw(2, seed=9)))), expected)

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tagseg.fsr.distillation import Centres, TeacherProjections, certain_loss, uncertain_loss

P = 12
ZERO = torch.zeros(P)


def draw(*shape, seed=0, scale=1.0):
    return scale * torch.randn(*shape, P, generator=torch.Generator().manual_seed(seed))


def cross_entropy(student, teacher, centre, student_temperature, teacher_temperature):
    """Of one row, word by word."""
    target = torch.softmax((teacher - centre) / teacher_temperature, 0)
    return -(target * torch.log_softmax(student / student_temperature, 0)).sum()


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 1000), st.floats(0.001, 100), st.floats(0.02, 1), st.floats(0.02, 1))
def test_kl_is_positive_and_entropy_at_most_ln_p(seed, scale, student_temperature, teacher_temperature):
    student, teacher = draw(4, seed=seed, scale=scale), draw(4, seed=seed + 1, scale=scale)
    mask = torch.tensor([[True, True, False], [False, True, True]])
    for part in (
        certain_loss(student, teacher, ZERO, student_temperature, teacher_temperature),
        uncertain_loss(student, teacher, mask, ZERO, student_temperature, teacher_temperature),
    ):
        tolerance = 1e-5 * max(1.0, part.loss.item())
        assert part.kl >= -tolerance
        assert -1e-6 <= part.teacher_entropy <= math.log(P) + 1e-5
        assert part.loss.item() == pytest.approx((part.kl + part.teacher_entropy).item(), abs=tolerance)


def test_a_uniform_teacher_has_entropy_ln_p_and_a_uniform_student_learns_it():
    part = certain_loss(torch.zeros(3, P), torch.full((3, P), 0.7), ZERO, 0.1, 0.04)
    assert part.teacher_entropy.item() == pytest.approx(math.log(P))
    assert part.loss.item() == pytest.approx(math.log(P))
    assert part.kl.item() == pytest.approx(0, abs=1e-5)


def test_a_student_that_agrees_has_no_kl():
    teacher = draw(3)
    assert certain_loss(teacher * 2.5, teacher, ZERO, 0.1, 0.04).kl.item() == pytest.approx(0, abs=1e-5)


def test_the_certain_loss_is_the_mean_over_rows():
    student, teacher, centre = draw(3), draw(3, seed=1), draw(seed=2)
    expected = sum(cross_entropy(s, t, centre, 0.1, 0.05) for s, t in zip(student, teacher, strict=True)) / 3
    torch.testing.assert_close(certain_loss(student, teacher, centre, 0.1, 0.05).loss, expected)


def test_local_crops_are_compared_with_the_teacher_of_their_own_image():
    """Rows are one view after the other: view 2 of both images, then crop 1 of both images."""
    student, teacher = draw(4), draw(2, seed=1)
    pairs = [(0, 0), (1, 1), (2, 0), (3, 1)]
    expected = sum(cross_entropy(student[s], teacher[t], ZERO, 0.1, 0.05) for s, t in pairs) / 4
    torch.testing.assert_close(certain_loss(student, teacher, ZERO, 0.1, 0.05).loss, expected)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1000), st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=1, max_size=4))
def test_the_uncertain_loss_is_the_mean_of_each_images_mean(seed, mask):
    mask = torch.tensor(mask)
    student, teacher, centre = draw(*mask.shape, seed=seed), draw(*mask.shape, seed=seed + 1), draw(seed=seed + 2)
    means = []
    for s, t, m in zip(student, teacher, mask, strict=True):
        rows = [cross_entropy(s[i], t[i], centre, 0.1, 0.05) for i in range(4) if m[i]]
        means.append(sum(rows) / len(rows) if rows else torch.zeros(()))
    ours = uncertain_loss(student[mask], teacher[mask], mask, centre, 0.1, 0.05).loss
    torch.testing.assert_close(ours, sum(means) / len(means), rtol=1e-4, atol=1e-5)


def test_nothing_masked_is_zero_with_a_finite_gradient():
    student = torch.zeros(0, P, requires_grad=True)
    part = uncertain_loss(student, torch.zeros(0, P), torch.zeros(2, 5, dtype=torch.bool), ZERO, 0.1, 0.04)
    part.loss.backward()
    assert (part.loss, part.teacher_entropy, part.kl) == (0, 0, 0)
    assert student.grad is not None
    assert student.grad.shape == (0, P)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_half_precision_projections_are_computed_in_float32(kind):
    student, teacher = draw(3).to(kind), draw(3, seed=1).to(kind)
    part = certain_loss(student, teacher, ZERO, 0.1, 0.04)
    assert part.loss.dtype == torch.float32
    expected = certain_loss(student.float(), teacher.float(), ZERO, 0.1, 0.04)
    torch.testing.assert_close(part.loss, expected.loss, rtol=0.02, atol=0.02)


def test_only_the_loss_has_a_gradient_and_only_for_the_student():
    student = draw(3).requires_grad_()
    part = certain_loss(student, draw(3, seed=1), ZERO, 0.1, 0.04)
    assert not part.kl.requires_grad
    assert not part.teacher_entropy.requires_grad
    part.loss.backward()
    expected = (torch.softmax(student / 0.1, 1) - torch.softmax(draw(3, seed=1) / 0.04, 1)) / 0.1 / 3
    torch.testing.assert_close(student.grad, expected.detach(), rtol=1e-4, atol=1e-5)


def test_centres_are_moving_means_of_the_teachers_projections():
    centres = Centres(P, momentum=0.9)
    token, patches = draw(4), draw(4, 6, seed=1)
    projections = TeacherProjections(token, patches[:, 2], patches.mean((0, 1)))
    centres.update(projections)
    torch.testing.assert_close(centres.token, 0.1 * token.mean(0))
    torch.testing.assert_close(centres.patch, 0.1 * patches.mean((0, 1)))
    centres.update(projections)
    torch.testing.assert_close(centres.token, 0.19 * token.mean(0))


def test_centres_are_saved_with_a_checkpoint():
    assert set(Centres(P, 0.9).state_dict()) == {"token", "patch"}
    assert not list(Centres(P, 0.9).parameters())

"""Learning rate and momentum equal those of the published implementation at every step."""

import torch

from tagseg.fsr.schedules import learning_rate_factor, teacher_momentum

from ..conftest import assert_agrees


def test_learning_rate(golden):
    published = golden("schedule_metric.npz")["lr"]
    steps = len(published)
    ours = [6e-5 * learning_rate_factor(step, steps, 15, 0.1) for step in range(steps)]
    assert_agrees(torch.tensor(ours, dtype=torch.float64), published, 1e-6)


def test_teacher_momentum(golden):
    published = golden("schedule_metric.npz")["momentum"]
    steps = len(published)
    ours = [teacher_momentum(step, steps, 0.9995, 1.0) for step in range(steps)]
    assert_agrees(1 - torch.tensor(ours, dtype=torch.float64), 1 - published, 1e-6)

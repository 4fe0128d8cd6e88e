"""Teacher (section 1 of docs/method.md): an exponential moving average of the student."""

from __future__ import annotations

import copy

import torch

from tagseg.model.network import Network


def make_teacher(student: Network) -> Network:
    """A copy of the student that takes no gradient and no drop path."""
    return copy.deepcopy(student).requires_grad_(False).eval()


@torch.no_grad()
def update_teacher(teacher: Network, student: Network, momentum: float) -> None:
    """θ_t ← m θ_t + (1 − m) θ_s, in place, for all parameters at once."""
    theirs: list[torch.Tensor] = [p for p in teacher.parameters() if p.is_floating_point()]
    ours = [p.detach() for p in student.parameters() if p.is_floating_point()]
    torch._foreach_lerp_(theirs, ours, 1 - momentum)

"""Self-distillation (METHOD §5): L_unc on masked patches, L_cer on the global token, their centres and their health."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from tagseg.training.processes import averaged


@dataclass
class Distilled:
    """A cross-entropy of student with teacher and what it is made of.

    Attributes:
        loss: mean cross-entropy, with gradient for the student; 0 where nothing is masked.
        teacher_entropy: mean entropy of the teacher's distributions in nats; ln P means it teaches nothing.
        kl: ``loss − teacher_entropy``: how far the student is from the teacher.
    """

    loss: Tensor
    teacher_entropy: Tensor
    kl: Tensor


def health(**parts: Distilled) -> dict[str, Tensor]:
    """Teacher entropy and KL of the cross-entropies, by name."""
    return {
        f"{name}_{what}": value.detach()
        for name, part in parts.items()
        for what, value in (("teacher_entropy", part.teacher_entropy), ("kl", part.kl))
    }


class Centres(nn.Module):
    """The centres c_c (global token) and c_p (patches) that keep the teacher from collapsing to one prototype.

    EMA of the teacher's batch means, reduced over all processes, updated after the loss. Saved with checkpoints.
    """

    token: Tensor
    patch: Tensor

    def __init__(self, prototypes: int, momentum: float) -> None:
        super().__init__()
        self.momentum = momentum
        self.register_buffer("token", torch.zeros(prototypes))
        self.register_buffer("patch", torch.zeros(prototypes))

    @torch.no_grad()
    def update(self, token: Float[Tensor, " P"], patch: Float[Tensor, " P"]) -> None:
        """Move towards the means of the teacher's projections: tokens of view 1, all patches of view 2."""
        means = averaged(torch.stack([token.float(), patch.float()]))
        self.token.lerp_(means[0], 1 - self.momentum)
        self.patch.lerp_(means[1], 1 - self.momentum)

    def corrected(
        self, updates: int, token: Float[Tensor, " P"], patch: Float[Tensor, " P"]
    ) -> tuple[Float[Tensor, " P"], Float[Tensor, " P"]]:
        """Both centres as if they had not started at 0 (Kingma & Ba 2015, section 3). Not in the paper.

        Args:
            updates: how many times they were updated.
            token: what the next update will be told; it is the centre where there was none before.
            patch: likewise.
        """
        if updates == 0:
            first = averaged(torch.stack([token.float(), patch.float()]))
            return first[0], first[1]
        weight = 1 - self.momentum**updates
        return self.token / weight, self.patch / weight


def temperature_of(teacher: Float[Tensor, "M P"], centre: Float[Tensor, " P"], sharpness: float) -> Float[Tensor, ""]:
    """The τ_t at which the teacher's centred projections have root mean square ``sharpness``. Not in the paper.

    The published τ_t is a constant, whatever the projections vary by: where they hardly differ from image to image, as
    they do at first, the target is uniform. With this τ_t the entropy of the P logits is about ln P − sharpness²/2.
    """
    square = averaged((teacher.float() - centre).square().mean().reshape(1))[0]
    return square.sqrt().clamp(min=1e-6) / sharpness


def certain_loss(
    student: Float[Tensor, "M P"],
    teacher: Float[Tensor, "B P"],
    centre: Float[Tensor, " P"],
    student_temperature: float,
    teacher_temperature: Tensor | float,
) -> Distilled:
    """L_cer: the student's global token of the masked view 2 (and of local crops) against the teacher's of view 1.

    Args:
        student: M = B rows a view, one view after the other; each view is compared with the teacher's B rows.
        teacher: projections of the unmasked view 1.
        centre: c_c.
        student_temperature: divisor of the student's projection.
        teacher_temperature: τ_t.
    """
    target = torch.softmax((teacher - centre).float() / teacher_temperature, dim=-1)
    target = target.repeat(len(student) // len(teacher), 1)
    cross, entropy = _cross_entropy(target, student, student_temperature)
    return _distilled(cross.mean(), entropy.mean())


def uncertain_loss(
    student: Float[Tensor, "M P"],
    teacher: Float[Tensor, "M P"],
    mask: Bool[Tensor, "B N"],
    centre: Float[Tensor, " P"],
    student_temperature: float,
    teacher_temperature: Tensor | float,
) -> Distilled:
    """L_unc: the student recovers masked patches of view 2 that only the teacher sees.

    Mean over an image's masked patches, then over images.

    Args:
        student: projections of the M masked patches of all images, in the mask's order; input masked.
        teacher: projections of the same patches; input unmasked.
        mask: True where a patch is masked; M of them.
        centre: c_p.
        student_temperature: divisor of the student's projection.
        teacher_temperature: τ_t.
    """
    target = torch.softmax((teacher - centre).float() / teacher_temperature, dim=-1)
    cross, entropy = _cross_entropy(target, student, student_temperature)
    counts = mask.sum(dim=1)
    weights = (1 / counts.clamp(min=1) / len(mask)).repeat_interleave(counts)
    return _distilled((cross * weights).sum(), (entropy * weights).sum())


def _cross_entropy(target: Tensor, student: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Cross-entropy of each row and the entropy of its target."""
    cross = -(target * torch.log_softmax(student.float() / temperature, dim=-1)).sum(-1)
    return cross, torch.special.entr(target).sum(-1)


def _distilled(loss: Tensor, entropy: Tensor) -> Distilled:
    return Distilled(loss, entropy, (loss - entropy).detach())

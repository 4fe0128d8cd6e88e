"""Self-distillation (section 5 of docs/method.md): L_unc on masked patches, L_cer on global tokens, centres."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from tagseg.distributed import averaged
from tagseg.fsr.config import DistillationConfig
from tagseg.fsr.schedules import step_of, teacher_temperature
from tagseg.model.network import Network


@dataclass
class Distilled:
    """The cross-entropy of a student with its teacher, and its parts.

    Attributes:
        loss: mean cross-entropy, with gradient for the student; 0 where nothing is masked.
        teacher_entropy: mean entropy of the teacher's distributions in nats; ln P means uniform targets.
        kl: ``loss − teacher_entropy``: how far the student is from the teacher.
    """

    loss: Tensor
    teacher_entropy: Tensor
    kl: Tensor


def health_of(**parts: Distilled) -> dict[str, Tensor]:
    """Teacher entropy and KL of the cross-entropies, by name."""
    return {
        f"{name}_{what}": value.detach()
        for name, part in parts.items()
        for what, value in (("teacher_entropy", part.teacher_entropy), ("kl", part.kl))
    }


@dataclass
class TeacherProjections:
    """The teacher's projections of the unmasked views, before centring; no gradient.

    Attributes:
        token: (B, P) global token of view 1.
        patches: (M, P) the M masked patches of view 2, in the mask's order.
        mean_patch: (P,) mean over all patches of view 2.
    """

    token: Tensor
    patches: Tensor
    mean_patch: Tensor

    @classmethod
    def joined(cls, parts: Sequence[TeacherProjections]) -> TeacherProjections:
        """Those of a batch from those of its parts, which have equally many images."""
        if len(parts) == 1:
            return parts[0]
        token, patches = (torch.cat([getattr(part, name) for part in parts]) for name in ("token", "patches"))
        return cls(token, patches, torch.stack([part.mean_patch for part in parts]).mean(0))


class Centres(nn.Module):
    """The centres c_c (global token) and c_p (patches) that keep the teacher from collapsing to one prototype.

    EMA of the teacher's means over the whole batch, all parts and all processes, updated once a step, after its losses.
    Saved with checkpoints.
    """

    token: Tensor
    patch: Tensor

    def __init__(self, prototypes: int, momentum: float) -> None:
        super().__init__()
        self.momentum = momentum
        self.register_buffer("token", torch.zeros(prototypes))
        self.register_buffer("patch", torch.zeros(prototypes))

    @torch.no_grad()
    def update(self, projections: TeacherProjections) -> None:
        """Move towards the means of the teacher's projections: tokens of view 1, all patches of view 2."""
        self.move(self.means_of(projections))

    @torch.no_grad()
    def means_of(self, projections: TeacherProjections) -> Float[Tensor, "2 P"]:
        """The means of tokens and of patches over all processes."""
        return averaged(torch.stack([projections.token.mean(0), projections.mean_patch]).to(self.token.dtype))

    @torch.no_grad()
    def move(self, means: Float[Tensor, "2 P"]) -> None:
        """Move towards the means of tokens and of patches."""
        self.token.lerp_(means[0], 1 - self.momentum)
        self.patch.lerp_(means[1], 1 - self.momentum)


@dataclass
class Targets:
    """What the teacher's projections are centred with and divided by."""

    token_centre: Tensor
    token_temperature: Tensor | float
    patch_centre: Tensor
    patch_temperature: Tensor | float


@torch.no_grad()
def project_teacher(
    teacher: Network, x1: Float[Tensor, "B 3 H W"], x2: Float[Tensor, "B 3 H W"], masked: Int64[Tensor, " M"]
) -> TeacherProjections:
    """The teacher on both views, normalised and unmasked; ``masked``: the places of the patches to compare."""
    view1, view2 = teacher.encoder(x1), teacher.encoder(x2)
    patches = teacher.project(view2.patch_list())
    return TeacherProjections(
        teacher.project(view1.global_token()), patches.flatten(0, 1)[masked], patches.mean((0, 1))
    )


def published_targets(
    centres: Centres, projections: TeacherProjections, step: int, steps: int, config: DistillationConfig
) -> Targets:
    """The centres and τ_t as published: τ_t depends on the step alone."""
    temperature = teacher_temperature(step, step_of(config.temperature_warmup, steps), *config.teacher_temperature)
    return Targets(centres.token, temperature, centres.patch, temperature)


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
    target = torch.softmax(_full(teacher - centre) / teacher_temperature, dim=-1)
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
    target = torch.softmax(_full(teacher - centre) / teacher_temperature, dim=-1)
    cross, entropy = _cross_entropy(target, student, student_temperature)
    counts = mask.sum(dim=1)
    weights = (1 / counts.clamp(min=1) / len(mask)).repeat_interleave(counts, output_size=len(cross))
    return _distilled((cross * weights).sum(), (entropy * weights).sum())


def _cross_entropy(target: Tensor, student: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Cross-entropy of each row and the entropy of its target."""
    cross = -(target * torch.log_softmax(_full(student) / temperature, dim=-1)).sum(-1)
    return cross, torch.special.entr(target).sum(-1)


def _distilled(loss: Tensor, entropy: Tensor) -> Distilled:
    return Distilled(loss, entropy, (loss - entropy).detach())


def _full(values: Tensor) -> Tensor:
    """At least float32: softmax over many prototypes needs its digits."""
    return values.to(torch.promote_types(values.dtype, torch.float32))

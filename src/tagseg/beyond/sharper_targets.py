"""Teacher targets that are never uniform: a temperature that follows the spread of its projections. Not in the paper.

The published τ_t is a constant, whatever the spread of the projections. Where they hardly differ from image to image,
as at first, the target is uniform. With the τ_t below the entropy of the P logits is about ln P − sharpness²/2.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from tagseg.distributed import averaged
from tagseg.fsr.config import DistillationConfig
from tagseg.fsr.distillation import Centres, Targets, TeacherProjections


def sharper_targets(
    centres: Centres,
    projections: TeacherProjections,
    step: int,
    steps: int,
    config: DistillationConfig,
    *,
    sharpness: float,
) -> Targets:
    """In place of ``fsr.distillation.published_targets``.

    Args:
        centres: as they are.
        projections: the teacher's, of this process's share of the batch.
        step: number of the step, after each of which the centres move.
        steps: not read.
        config: not read.
        sharpness: root mean square of the teacher's logits.
    """
    token_centre, patch_centre = corrected(centres, step, projections)
    return Targets(
        token_centre,
        temperature_of(projections.token, token_centre, sharpness),
        patch_centre,
        temperature_of(projections.patches, patch_centre, sharpness),
    )


def corrected(
    centres: Centres, updates: int, projections: TeacherProjections
) -> tuple[Float[Tensor, " P"], Float[Tensor, " P"]]:
    """Both centres as if they had not started at 0 (bias correction, Kingma & Ba 2015, section 3).

    Args:
        centres: as they are.
        updates: how many times they were updated.
        projections: of the current step; their means are the centres where there were none before.
    """
    if updates == 0:
        means = torch.stack([projections.token.mean(0), projections.mean_patch])
        first = averaged(means.to(torch.promote_types(means.dtype, torch.float32)))
        return first[0], first[1]
    weight = 1 - centres.momentum**updates
    return centres.token / weight, centres.patch / weight


def temperature_of(teacher: Float[Tensor, "M P"], centre: Float[Tensor, " P"], sharpness: float) -> Float[Tensor, ""]:
    """The τ_t at which the teacher's centred projections have root mean square ``sharpness``."""
    full = teacher.to(torch.promote_types(teacher.dtype, torch.float32))
    square = averaged((full - centre).square().mean().reshape(1))[0]
    return square.sqrt().clamp(min=1e-6) / sharpness

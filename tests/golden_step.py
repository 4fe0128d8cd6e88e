"""One whole training step on fixed input, and the golden values of it: ``python -m tests.golden_step`` makes them anew.

The small published network, two photos, every loss on, one local crop. The values in ``golden/step.npz`` were computed
by the plain table in float64; both tables must give them. What both tables share (masks, targets, labels of patches)
cannot be checked by comparing the tables with each other.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tagseg.data.batch import Batch
from tagseg.data.seeds import seed_of
from tagseg.fsr.config import EnergyConfig, FSRConfig, MaskConfig
from tagseg.fsr.distillation import Centres
from tagseg.fsr.losses import StepLosses
from tagseg.fsr.step import PLAIN, Ops, State, mask_view2, training_step
from tagseg.model.published import load_published
from tagseg.model.teacher import make_teacher

GOLDEN = Path(__file__).parent / "golden"
STEP, STEPS = 12, 20
"""Late enough that every loss is on and masks follow the CAM."""
CONFIG = FSRConfig(mask=MaskConfig(block=16), energy=EnergyConfig(scale=1e-3))
"""The published settings, but for blocks that fit 96 pixels and an energy that is not lost in rounding."""


def step_batch() -> Batch:
    """Two crops of each of two photos as views, a smaller one as local crop."""
    with np.load(GOLDEN / "labels.npz") as arrays:
        photos, tags = torch.from_numpy(arrays["image_u8"]), torch.from_numpy(arrays["labels"])
    seeds = torch.tensor([11, 12])
    return Batch(
        view1=photos[:, :, :96, :96].contiguous(),
        view2=photos[:, :, 60:156, 40:136].contiguous(),
        local=photos[:, None, :, 100:148, 100:148].contiguous(),
        tags=tags.float(),
        seeds=seeds,
        drop_path_seeds=torch.tensor([[seed_of(seed, view) for view in (1, 2, 3)] for seed in seeds.tolist()]),
        label=torch.zeros((2, 0, 0), dtype=torch.uint8),
    )


def step_state(dtype: torch.dtype) -> State:
    """Student, a teacher that differs from it, and centres that are not 0."""
    student = load_published(GOLDEN / "network.safetensors", heads=3).network.to(dtype).requires_grad_(True).train()
    teacher = make_teacher(student)
    centres = Centres(student.config.prototypes, CONFIG.distillation.centre_momentum).to(dtype)
    with torch.no_grad():
        for index, parameter in enumerate(teacher.parameters()):
            waves = torch.sin(torch.arange(parameter.numel(), dtype=torch.float64) + index)
            parameter.add_(0.02 * waves.view_as(parameter).to(dtype))
        for index, centre in enumerate(centres.buffers()):
            centre.copy_(0.1 * torch.cos(torch.arange(len(centre), dtype=torch.float64) + index))
    return State(student, teacher, centres)


def step_mask(state: State, ops: Ops) -> Tensor:
    """The masked patches of view 2, (2, 6, 6)."""
    batch = step_batch()
    x2, classes = state.student.normalise(batch.view2), ops.cam_classes(batch.tags)
    mask = mask_view2(state.student, x2, batch, classes, "uncertain", CONFIG, ops)
    assert mask is not None  # masking is on
    return mask


def step_losses(state: State, batch: Batch, ops: Ops) -> StepLosses:
    """The losses of the step; the student's gradients are left behind."""
    losses = training_step(state, batch, STEP, STEPS, CONFIG, ops)
    losses.total.backward()
    return losses


def step_values(dtype: torch.dtype, ops: Ops) -> dict[str, np.ndarray]:
    """Losses, health, mask, centres after the step, and the norm of every parameter's gradient."""
    state = step_state(dtype)
    mask = step_mask(state, ops)
    losses = step_losses(state, step_batch(), ops)
    values = {f"loss/{name}": value for name, value in (losses.terms | {"total": losses.total}).items()}
    values |= {f"health/{name}": value for name, value in losses.health.items()}
    values |= {f"centre/{name}": value for name, value in state.centres.named_buffers()}
    for name, parameter in state.student.named_parameters():
        norm = torch.zeros(()) if parameter.grad is None else parameter.grad.norm()
        values[f"gradient/{name}"] = norm
    numbers = {name: value.detach().double().numpy() for name, value in values.items()}
    return numbers | {"mask": mask.numpy()}


if __name__ == "__main__":
    torch.set_num_threads(1)
    save: Any = np.savez_compressed  # its type does not allow for arrays by name
    save(GOLDEN / "step.npz", **step_values(torch.float64, PLAIN))

"""AdamW with the paper's parameter groups and its learning rate (section 8 of docs/method.md).

Not in the paper, and off by default: layer-wise decay of the rate, and heads that learn before the encoder.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from tagseg.errors import TagsegError
from tagseg.fsr.config import OptimiserConfig
from tagseg.fsr.schedules import learning_rate_factor, step_of
from tagseg.model.network import Network
from tagseg.training.rates import with_rates

_NO_DECAY = ("class_token", "register_tokens", "positions", "rope.freqs", "mask_token")
_BELOW_BLOCKS = ("patch_embed.", "patch_norm.", "norm_pre.", "positions", "rotary.", "register_tokens")
"""Parts of the encoder that make what enters its first block."""


def parameter_groups(network: Network, settings: OptimiserConfig) -> list[dict[str, Any]]:
    """Encoder and heads, each with and without weight decay; with a layer decay also each depth of the encoder.

    Heads (decoder, projector, classifiers) learn ``head_factor`` times faster. No decay for 1-D parameters, biases,
    class, register and mask tokens, the position embedding and learned frequencies of rotary positions. ``head`` of a
    group tells whether it is of a head.
    """
    settings = with_rates(settings, network.config.encoder)
    groups: dict[tuple[bool, bool, float], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        head = not name.startswith("encoder.")
        decays = parameter.ndim > 1 and not name.endswith(_NO_DECAY)
        factor = (
            settings.head_factor if head else settings.layer_decay ** layers_above(name, len(network.encoder.blocks))
        )
        groups.setdefault((head, decays, factor), []).append(parameter)
    return [
        {
            "params": parameters,
            "lr": settings.rate * factor,
            "weight_decay": settings.weight_decay if decays else 0.0,
            "head": head,
        }
        for (head, decays, factor), parameters in groups.items()
    ]


def layers_above(name: str, depth: int) -> int:
    """How many layers of the encoder stand above a parameter of it, 0 to depth + 1.

    The final norm, the aggregation and what it reads, and the mask token, which is not pretrained, have none above.

    Args:
        name: in the network.
        depth: number of blocks.
    """
    part = name.removeprefix("encoder.")
    block = re.match(r"blocks\.(\d+)\.", part)
    if block:
        return depth - int(block[1])
    return depth + 1 if part.startswith(_BELOW_BLOCKS) else 0


def make_optimiser(
    network: Network, settings: OptimiserConfig, steps: int
) -> tuple[torch.optim.AdamW, torch.optim.lr_scheduler.LambdaLR]:
    """The optimiser and its schedule, to be advanced once a step."""
    groups = parameter_groups(network, settings)
    optimiser = torch.optim.AdamW(groups, betas=settings.betas, fused=True)
    starts = 0, step_of(settings.heads_first, steps)
    heads, encoder = (schedule_from(start, settings, steps) for start in starts)
    factors = [heads if group["head"] else encoder for group in groups]
    return optimiser, torch.optim.lr_scheduler.LambdaLR(optimiser, factors)


def schedule_from(start: int, settings: OptimiserConfig, steps: int) -> Callable[[int], float]:
    """Factor of the rate by step: 0 before ``start``, then warm-up and decay over the steps that are left."""
    left = steps - start
    warmup = step_of(settings.warmup, left)

    def factor(step: int) -> float:
        return 0.0 if step < start else learning_rate_factor(step - start, left, warmup, settings.warmup_ratio)

    return factor


def adopt_rates(checkpoint: dict[str, Any], network: Network, settings: OptimiserConfig, steps: int) -> None:
    """Replace a checkpoint's rates, decay and momenta by the configuration's, in place.

    PyTorch restores them with the optimiser's state, so that a resumed run would not notice another setting.

    Raises:
        TagsegError: its parameters are grouped for another layer decay.
    """
    groups = make_optimiser(network, settings, steps)[0].param_groups
    theirs = checkpoint["optimizer_states"][0]["param_groups"]
    if [len(group["params"]) for group in theirs] != [len(group["params"]) for group in groups]:
        raise TagsegError(
            f"optimiser.layer_decay is {settings.layer_decay}, expected the resumed run's, which groups its parameters "
            "otherwise: resume with its own settings, or start from its network with --network.start"
        )
    for saved, group in zip(theirs, groups, strict=True):
        saved["lr"] *= group["initial_lr"] / saved["initial_lr"]
        saved.update({key: group[key] for key in ("initial_lr", "weight_decay", "betas")})
    checkpoint["lr_schedulers"][0]["base_lrs"] = [group["initial_lr"] for group in groups]

"""Equals ``model.encoder.Encoder`` under autocast, to bfloat16's digits: copies of its weights, made once a step.

Autocast casts a weight in every pass without gradient, runs LayerNorms in float32, and keeps the tokens between blocks
in float32, so that most operations of a block convert what the one before wrote. With weights and tokens in bfloat16
nothing is converted; LayerNorm and softmax still sum in float32, and the weights that are trained stay in float32.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from tagseg.model.encoder import Encoder


class HalfCopies:
    """The copies of the encoders that one engine has met; each stays where it is, so that a CUDA graph can read it."""

    def __init__(self) -> None:
        self._copies: WeakKeyDictionary[Encoder, Encoder] = WeakKeyDictionary()

    @torch.no_grad()
    def of(self, encoder: Encoder) -> Encoder:
        """The copy, in evaluation mode and without gradient, with the weights as they are now."""
        if encoder not in self._copies or device_of(self._copies[encoder]) != device_of(encoder):
            self._copies[encoder] = half_copy(encoder)
        else:
            torch._foreach_copy_(list(self._copies[encoder].parameters()), list(encoder.parameters()))
        return self._copies[encoder]


def half_copy(encoder: Encoder) -> Encoder:
    """A copy in bfloat16, in evaluation mode, without gradient."""
    memo = {id(p): nn.Parameter(p.detach().bfloat16(), requires_grad=False) for p in encoder.parameters()}
    return copy.deepcopy(encoder, memo).eval()


def applies(encoder: Encoder, images: Tensor) -> bool:
    """Whether a copy is to be used: on a GPU, under autocast to bfloat16.

    Rotary positions are angles of up to hundreds, for which bfloat16 has too few digits.
    """
    return (
        images.is_cuda
        and torch.is_autocast_enabled("cuda")
        and torch.get_autocast_dtype("cuda") == torch.bfloat16
        and encoder.rotary is None
        and all(p.dtype == torch.float32 for p in encoder.parameters())
    )


def with_gradient(halves: Sequence[Tensor], weights: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Copies (bfloat16) of weights (float32) through which the weights get their gradients."""
    result: tuple[Tensor, ...] = _Halves.apply(list(halves), *weights)
    return result


class _Halves(torch.autograd.Function):
    """Casts all gradients back in one operation."""

    @staticmethod
    def forward(ctx: Any, halves: Sequence[Tensor], *weights: Tensor) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        # Not ``detach``: PyTorch would take the next refresh of the copies for a change of what a gradient needs.
        return tuple(half.data for half in halves)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        there = [gradient for gradient in gradients if gradient is not None]
        full = [torch.empty_like(gradient, dtype=torch.float32) for gradient in there]
        torch._foreach_copy_(full, there)
        results = iter(full)
        return None, *(None if gradient is None else next(results) for gradient in gradients)


def device_of(encoder: Encoder) -> torch.device:
    """Where its weights are."""
    return encoder.class_token.device

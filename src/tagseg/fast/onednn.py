"""Equals a block of ``model.encoder.Encoder`` without gradient, on a CPU, in oneDNN's fused products.

A product that adds its bias, applies the GELU or adds the residual before it writes its result saves a pass over memory
each, and weights laid out beforehand save the copy that every product makes of them. Where PyTorch has no oneDNN, or a
block is not timm's plain one, nothing is packed and ``packed_tokens.run_block`` takes PyTorch's products.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from jaxtyping import Float
from timm.layers import Mlp
from timm.models.vision_transformer import Attention, Block
from torch import Tensor, nn

from tagseg.fast.threads import Cores

_ROWS = 1024
"""The weights' layout is chosen for about so many rows; any number works."""


class FusedBlock:
    """The four linear layers of a block, their weights packed."""

    def __init__(self, block: Any) -> None:
        layers = (block.attn.qkv, block.attn.proj, block.mlp.fc1, block.mlp.fc2)
        reorder = torch.ops.mkldnn._reorder_linear_weight
        self.weights = [reorder(layer.weight.detach(), _ROWS) for layer in layers]
        self.biases = [None if layer.bias is None else layer.bias.detach() for layer in layers]

    def qkv(self, tokens: Float[Tensor, "T D"]) -> Float[Tensor, "T D3"]:
        """Queries, keys and values."""
        return self._product(tokens, 0, "none")

    def projected(self, attended: Float[Tensor, "T D"], tokens: Float[Tensor, "T D"]) -> Float[Tensor, "T D"]:
        """``tokens`` + what they attended to, projected."""
        return self._sum(attended, tokens, 1)

    def mlp(self, normed: Float[Tensor, "T D"], tokens: Float[Tensor, "T D"]) -> Float[Tensor, "T D"]:
        """``tokens`` + the MLP of the normalised ones."""
        return self._sum(self._product(normed, 2, "gelu"), tokens, 3)

    def _product(self, x: Tensor, layer: int, then: str) -> Tensor:
        result: Tensor = torch.ops.mkldnn._linear_pointwise(
            x, self.weights[layer], self.biases[layer], then, [], "none" if then == "gelu" else ""
        )
        return result

    def _sum(self, x: Tensor, other: Tensor, layer: int) -> Tensor:
        result: Tensor = torch.ops.mkldnn._linear_pointwise.binary(
            x, other, self.weights[layer], self.biases[layer], "add"
        )
        return result


PackedWeights = Mapping[nn.Module, FusedBlock]
"""Blocks with their packed weights; blocks that could not be packed are absent."""


def pack_weights(blocks: Iterable[nn.Module], cores: Cores) -> PackedWeights:
    """The blocks' weights as they are now, laid out for oneDNN. Valid until a weight changes.

    A cache could not know when to pack again: PyTorch's count of changes to a tensor leaves out what the fused AdamW
    does. So the caller decides how long the result is valid.
    """
    fitting = [block for block in blocks if _fits(block)]
    return dict(zip(fitting, cores.map(lambda block: FusedBlock(block), fitting, torch.device("cpu")), strict=True))


def _fits(block: Any) -> bool:
    """Whether a block is a plain one of float32 on a CPU with oneDNN."""
    weight = next(block.parameters())
    if (
        torch.compiler.is_compiling()
        or weight.device.type != "cpu"
        or weight.dtype != torch.float32
        or torch.is_autocast_enabled("cpu")
    ):
        return False
    onednn = torch.backends.mkldnn.is_available() and bool(torch.backends.mkldnn.enabled)
    if not onednn or not hasattr(torch.ops.mkldnn, "_reorder_linear_weight"):
        return False
    return (
        type(block) is Block
        and type(block.attn) is Attention
        and type(block.mlp) is Mlp
        and type(block.mlp.act) is nn.GELU
        and block.mlp.act.approximate == "none"
        and isinstance(block.mlp.norm, nn.Identity)
        and isinstance(block.ls1, nn.Identity)
        and isinstance(block.ls2, nn.Identity)
        and all(type(layer) is nn.Linear for layer in (block.attn.qkv, block.attn.proj, block.mlp.fc1, block.mlp.fc2))
    )

"""What tests of the fast forms share: networks of all kinds whose weights are not at their neutral start."""

import dataclasses
from typing import Any

import timm.models.vision_transformer as vit
import torch

from tagseg.model.network import Network

from ..conftest import TINY, tiny_network

KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "registers": {"reg_tokens": 2},
    "layer scale": {"init_values": 0.5},
    "normalised queries": {"qk_norm": True},
    "no biases": {"qkv_bias": False},
}
"""Options of timm's ViT."""


def network_of(rate: float = 0.0, **options: Any) -> Network:
    """A tiny network in evaluation mode with that rate of drop path; ``options`` as of timm's ViT."""
    if name := options.get("block_fn"):
        options["block_fn"] = getattr(vit, name)
    options = {**TINY.encoder_options, **options}
    network = tiny_network(config=dataclasses.replace(TINY, drop_path=rate, encoder_options=options))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return network

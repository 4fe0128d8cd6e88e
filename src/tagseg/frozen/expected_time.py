"""How long a training on frozen features will take, measured on a few passes before it begins."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor

from tagseg.frozen.decoder import segmentation_loss
from tagseg.frozen.labels import FINER
from tagseg.model.network import Network, evaluating


def expected_seconds(
    network: Network, side: int, photos: int, steps: int, batch: int, device: torch.device
) -> tuple[float, float]:
    """Seconds for the features of so many photos and for so many steps of the decoder; reading photos is not counted.

    Draws no random numbers and changes no weights.
    """
    grid = side // network.patch_size
    maps = torch.zeros(batch, 2 * network.encoder.width, grid, grid, device=device, dtype=_precision(network))
    labels = torch.zeros(batch, FINER * grid, FINER * grid, dtype=torch.long, device=device)
    place = next(network.parameters()).device
    with evaluating(network.to(device)):
        encode = encoder_seconds(network, side, device)
        step = _seconds(lambda: torch.autograd.grad(
            segmentation_loss(network.decoder(maps), labels), list(network.decoder.parameters())
        ), device)  # fmt: skip
    network.to(place)
    return encode * photos, step * steps


def encoder_seconds(network: Network, side: int, device: torch.device) -> float:
    """Seconds of the encoder's forward pass for one image, without gradients; the network is on the device.

    Draws no random numbers and changes no weights.
    """
    images = torch.zeros(2, 3, side, side, device=device, dtype=_precision(network))
    with evaluating(network):
        return _seconds(lambda: _encoded(network, images), device) / len(images)


def _precision(network: Network) -> torch.dtype:
    """Of its weights, e.g. float64 with ``--run.precision 64-true``."""
    return next(network.parameters()).dtype


@torch.no_grad()
def _encoded(network: Network, images: Tensor) -> Tensor:
    return network.encoder(images).patches


def _seconds(work: Callable[[], object], device: torch.device, rounds: int = 2) -> float:
    """The shortest of a few rounds, after one to warm up."""
    shortest = float("inf")
    for _ in range(rounds + 1):
        started = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        shortest = min(shortest, time.perf_counter() - started)
    return shortest

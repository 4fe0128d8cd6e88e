"""Stateless randomness: a draw depends on its keys alone, not on the state of a worker's or a global generator."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def seed_of(*keys: int) -> int:
    """A well-mixed seed (0 to 2⁶³ − 1) of some integers, e.g. (seed, epoch, sample index)."""
    return int(np.random.SeedSequence(keys).generate_state(1, np.uint64)[0] >> np.uint64(1))


@contextmanager
def seeded(*keys: int) -> Iterator[None]:
    """Seed PyTorch's CPU generator with the keys; its former state is restored afterwards."""
    with torch.random.fork_rng(devices=[]):
        seed_generators(seed_of(*keys), torch.device("cpu"))
        yield


def seed_generators(seed: int, device: torch.device) -> None:
    """Seed PyTorch's generator of the CPU and, where work is done on another device, those of all devices.

    ``torch.manual_seed`` alone takes milliseconds on a CPU: it formats the stack for each kind of device.
    """
    if device.type == "cpu":
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)

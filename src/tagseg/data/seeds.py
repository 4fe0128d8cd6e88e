"""Stateless randomness: a draw depends on its keys alone, never on a worker's or a global generator."""

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
    """Draws from PyTorch's CPU generator inside depend on the keys; outside it goes on as if nothing had happened."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(*keys))
        yield

"""Which images a step sees: a pure function of (seed, step)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from torch.utils.data import Sampler

from tagseg.data.repeats import draw_repeats
from tagseg.data.seeds import seed_of

Key = tuple[int, int]
"""(draw, sample index): what a training sample is drawn from. Without repeats a draw is the epoch."""


class StepKeys(Sampler[list[Key]]):
    """The keys of each step's images, for ever.

    Positions count through the epochs; each epoch is a permutation drawn from (seed, epoch). A process takes its own
    part of every global batch, so that the images of a step do not depend on the number of processes. An image that
    comes several times in an epoch has another draw each time.

    Args:
        samples: number of images, or how often each comes in an epoch on average, 1 or more (``repeats``).
        batch: images of a step over all processes and accumulated parts.
        seed: of the permutations.
        first: global batch to begin with (a resumed run skips what it has seen).
        part: which part of a batch this process takes, and of how many.
        accumulate: a process's part of a batch is again split into so many.
    """

    def __init__(
        self,
        samples: int | Float[ndarray, " n"],
        batch: int,
        seed: int,
        first: int = 0,
        part: tuple[int, int] = (0, 1),
        accumulate: int = 1,
    ) -> None:
        self.factors = np.ones(samples) if isinstance(samples, int) else samples
        self.batch, self.seed, self.first = batch, seed, first
        self.part, self.accumulate = part, accumulate

    def epoch(self, number: int) -> list[Key]:
        """The keys of one epoch, all epochs as many."""
        rng = np.random.default_rng(seed_of(self.seed, number))
        counts = draw_repeats(self.factors, rng)
        order = rng.permutation(np.repeat(np.arange(len(counts)), counts))
        most, times = int(np.ceil(self.factors.max())), np.zeros(len(counts), np.int64)
        keys = []
        for index in order.tolist():
            keys.append((number * most + int(times[index]), index))
            times[index] += 1
        return keys

    def __iter__(self) -> Iterator[list[Key]]:
        """Yield the keys of one batch after the other."""
        rank, world = self.part
        own = self.batch // world
        step, number, epoch = self.first, 0, self.epoch(0)
        while True:
            keys = []
            for position in range(step * self.batch, (step + 1) * self.batch):
                if position // len(epoch) != number:
                    number = position // len(epoch)
                    epoch = self.epoch(number)
                keys.append(epoch[position % len(epoch)])
            mine = keys[rank * own : (rank + 1) * own]
            size = own // self.accumulate
            for start in range(0, own, size):
                yield mine[start : start + size]
            step += 1

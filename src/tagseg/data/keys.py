"""Which images a step sees: a pure function of (seed, step)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from tagseg.data.seeds import seed_of

Key = tuple[int, int]
"""(epoch, sample index): what a training sample is drawn from."""


class StepKeys(Sampler[list[Key]]):
    """The keys of each step's images, for ever.

    Positions count through the epochs; each epoch is a permutation drawn from (seed, epoch). A process takes its own
    part of every global batch, so that the images of a step do not depend on the number of processes.

    Args:
        samples: number of images.
        batch: images of a step over all processes and accumulated parts.
        seed: of the permutations.
        first: global batch to begin with (a resumed run skips what it has seen).
        part: which part of a batch this process takes, and of how many.
        accumulate: a process's part of a batch is again split into so many.
    """

    def __init__(
        self, samples: int, batch: int, seed: int, first: int = 0, part: tuple[int, int] = (0, 1), accumulate: int = 1
    ) -> None:
        self.samples, self.batch, self.seed, self.first = samples, batch, seed, first
        self.part, self.accumulate = part, accumulate

    def __iter__(self) -> Iterator[list[Key]]:
        """Yield the keys of one batch after the other."""
        rank, world = self.part
        own = self.batch // world
        step, epoch, order = self.first, -1, np.arange(self.samples)
        while True:
            keys = []
            for position in range(step * self.batch, (step + 1) * self.batch):
                if position // self.samples != epoch:
                    epoch = position // self.samples
                    order = np.random.default_rng(seed_of(self.seed, epoch)).permutation(self.samples)
                keys.append((epoch, int(order[position % self.samples])))
            mine = keys[rank * own : (rank + 1) * own]
            size = own // self.accumulate
            for start in range(0, own, size):
                yield mine[start : start + size]
            step += 1

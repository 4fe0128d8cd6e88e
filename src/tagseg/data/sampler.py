"""The images of each step: a pure function of (seed, step)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from torch.utils.data import Sampler

from tagseg.data.repeats import draw_repeats
from tagseg.data.seeds import seed_of

SampleKey = tuple[int, int]
"""(draw, sample index), from which the views of a training image are sampled. Without repeats, draw is the epoch."""


class StepSampler(Sampler[list[SampleKey]]):
    """Endless: the keys of the images of each step.

    Each epoch is a permutation drawn from (seed, epoch); a batch may reach into the next epoch. Each process takes its
    share of every batch, so the images of a step do not depend on the number of processes. An image that occurs several
    times in an epoch has a different draw each time.

    Args:
        samples: number of images, or the repeat factor of each image, 1 or more (``repeats``).
        batch: images of a step over all processes.
        seed: of the permutations.
        first: first step, more than 0 for a resumed run.
        part: rank of this process, and number of processes, which share each batch.
    """

    def __init__(
        self,
        samples: int | Float[ndarray, " n"],
        batch: int,
        seed: int,
        first: int = 0,
        part: tuple[int, int] = (0, 1),
    ) -> None:
        self.factors = np.ones(samples) if isinstance(samples, int) else samples
        self.batch, self.seed, self.first, self.part = batch, seed, first, part

    def epoch(self, number: int) -> list[SampleKey]:
        """The keys of one epoch; all epochs have the same number."""
        rng = np.random.default_rng(seed_of(self.seed, number))
        counts = draw_repeats(self.factors, rng)
        order = rng.permutation(np.repeat(np.arange(len(counts)), counts))
        most, times = int(np.ceil(self.factors.max())), np.zeros(len(counts), np.int64)
        keys = []
        for index in order.tolist():
            keys.append((number * most + int(times[index]), index))
            times[index] += 1
        return keys

    def __iter__(self) -> Iterator[list[SampleKey]]:
        """Yield the keys of this process's share of one step after the other."""
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
            yield keys[rank * own : (rank + 1) * own]
            step += 1

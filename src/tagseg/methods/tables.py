"""Which table of operations a training uses: plain, or the fast one on an engine. The only place that decides."""

from __future__ import annotations

import dataclasses
from functools import partial

import torch

from tagseg.beyond.sharper_targets import sharper_targets
from tagseg.config import Config
from tagseg.fsr.step import PLAIN, Ops
from tagseg.model.network import Network


class Table:
    """The operations that a configuration asks for. Nothing of ``fast`` is imported for the plain ones.

    Attributes:
        ops: the operations; valid whatever the weights are.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.ops = self._chosen()

    def on_device(self, networks: list[Network]) -> None:
        """Compile what is to be compiled, once the networks are on their device."""
        if self.config.speed.step == "fast":
            from tagseg.fast.engine import prepare_engine

            self.engine = prepare_engine(networks, self.config.speed.compile, self.config.speed.checkpoint)
            self.ops = self._chosen()

    def for_step(self, student: Network) -> Ops:
        """The operations for one step, in which the student's weights do not change."""
        if self.config.speed.step == "plain" or next(student.parameters()).device != torch.device("cpu"):
            return self.ops
        from tagseg.fast.ops import sharing_weights

        return sharing_weights(self.ops, student, self.engine)

    def _chosen(self) -> Ops:
        ops = PLAIN
        if self.config.speed.step == "fast":
            from tagseg.fast.engine import Engine
            from tagseg.fast.ops import fast_ops

            if not hasattr(self, "engine"):
                self.engine = Engine(recompute=self.config.speed.checkpoint)
            ops = fast_ops(self.engine)
        sharpness = self.config.beyond.teacher_sharpness
        if sharpness:
            targets = partial(sharper_targets, sharpness=sharpness, accumulate=self.config.run.accumulate)
            ops = dataclasses.replace(ops, targets=targets)
        return ops

"""Which table of operations a training uses: plain, or the fast one on an engine. The only place that decides."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import TYPE_CHECKING

from tagseg.beyond.sharper_targets import sharper_targets
from tagseg.config import Config
from tagseg.fsr.step import PLAIN, Ops
from tagseg.model.network import Network

if TYPE_CHECKING:
    from tagseg.fast.engine import Engine


class Table:
    """The operations that a configuration asks for. Nothing of ``fast`` is imported for the plain ones.

    Attributes:
        ops: the operations; valid whatever the weights are.
        engine: what the fast ones run on; ``None`` for the plain ones.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.engine: Engine | None = None
        if config.speed.step == "fast":
            from tagseg.fast.engine import Engine

            self.engine = Engine(recompute=config.speed.checkpoint)
        self.ops = self._chosen()

    def on_device(self, networks: list[Network]) -> None:
        """Compile what is to be compiled, once the networks are on their device."""
        if self.engine is not None and self.config.speed.compile:
            from tagseg.fast.engine import compiled_engine

            self.engine = compiled_engine(networks, self.engine)
            self.ops = self._chosen()

    def for_step(self, student: Network) -> Ops:
        """The operations for one step, in which the student's weights do not change."""
        if self.engine is None:
            return self.ops
        from tagseg.fast.ops import sharing_weights

        return sharing_weights(self.ops, student, self.engine)

    def _chosen(self) -> Ops:
        ops = PLAIN
        if self.engine is not None:
            from tagseg.fast.ops import fast_ops

            ops = fast_ops(self.engine)
        sharpness = self.config.beyond.teacher_sharpness
        if sharpness:
            ops = dataclasses.replace(ops, targets=partial(sharper_targets, sharpness=sharpness))
        return ops

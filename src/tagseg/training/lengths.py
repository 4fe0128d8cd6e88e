"""How long a training is where the settings leave it to the size of the collection (``run.steps`` 0)."""

from __future__ import annotations

import logging
import math

from tagseg.config import Config, replace

EPOCHS = 15
"""Passes over the photos of a step-by-step training: the paper's 20,000 steps of 8 on VOC's 10,582 photos."""
FEWEST, MOST = 500, 20_000
"""Steps of a step-by-step training."""
FROZEN_EPOCHS = 10
"""Passes of the method ``frozen``."""
FROZEN_FEWEST, FROZEN_MOST = 200, 1_000
"""Steps of its decoder."""

logger = logging.getLogger("tagseg")


def with_length(config: Config, photos: int) -> Config:
    """The configuration with a number of steps, which is logged where it follows from the number of photos."""
    if config.run.steps:
        return config
    epochs, fewest, most = EPOCHS, FEWEST, MOST
    if not config.method.STEPWISE:
        epochs, fewest, most = FROZEN_EPOCHS, FROZEN_FEWEST, FROZEN_MOST
    steps = min(most, max(fewest, math.ceil(epochs * photos / config.run.batch)))
    logger.info("%d steps of %d photos, by the size of the collection (--run.steps)", steps, config.run.batch)
    return replace(config, run={"steps": steps})

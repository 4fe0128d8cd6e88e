"""Settings of the search for suspicious tags."""

from __future__ import annotations

from dataclasses import dataclass

from tagseg.frozen.config import FeatureConfig
from tagseg.model.config import NetworkConfig


@dataclass(frozen=True)
class SuspiciousConfig:
    """Which features tags are held against, and where the worst are drawn.

    Attributes:
        network: its encoder; all else is not read.
        features: their size and folder; by default ``runs/features``, where a training of ``frozen`` finds them again.
        output: folder of the contact sheet and its table.
    """

    network: NetworkConfig
    features: FeatureConfig = FeatureConfig()
    output: str = "check"

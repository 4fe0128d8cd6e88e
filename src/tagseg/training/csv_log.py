"""Lightning's CSV logger over ``MetricsFile``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from torch import Tensor

from tagseg.training.metrics_file import MetricsFile


class CSVLog(CSVLogger):
    """Each row is written at once, so a killed training has lost none.

    Args:
        folder: of the run.
        part: name of the folder for this part of the training, in ``logs``.
    """

    def __init__(self, folder: Path, part: str) -> None:
        super().__init__(folder, name="logs", version=part)
        self.file = MetricsFile(folder / "logs" / part)

    @property
    def experiment(self) -> Any:
        """What Lightning asks for before a training; its own would delete files."""
        return self.file

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, Tensor | float], step: int | None = None) -> None:  # type: ignore[override]
        """Write a row."""
        values = {name: float(value) if isinstance(value, Tensor) else value for name, value in metrics.items()}
        self.file.append({**values, "step": 0 if step is None else step})

    @rank_zero_only
    def log_hyperparams(self, params: Any = None) -> None:
        """Nothing: ``config.yaml`` has them."""

    def save(self) -> None:
        """All is written already."""

    def finalize(self, status: str) -> None:
        """All is written already."""

"""Lightning's checkpoints through ``checkpoint_file.py``: whole or not there, hashed, the previous one kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning.pytorch.plugins import CheckpointIO

from tagseg.training.checkpoint_file import load_checkpoint, save_checkpoint
from tagseg.training.run_folder import CHECKPOINT, PREVIOUS


class WholeCheckpoints(CheckpointIO):
    """Writes and reads checkpoints, in the process that Lightning chooses.

    Args:
        resumed: the checkpoint that the training goes on from. Where it is ``previous.ckpt``, it is kept until another
            one is whole: the ``last.ckpt`` beside it is damaged.
    """

    def __init__(self, resumed: Path | None = None) -> None:
        self.keeps = resumed is None or resumed.name != PREVIOUS

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Write a checkpoint.

        Raises:
            OSError: the folder cannot be written or the disk is full.
        """
        save_checkpoint(checkpoint, Path(path), self.keeps)
        self.keeps = self.keeps or Path(path).name == CHECKPOINT

    def load_checkpoint(
        self, path: str | Path, map_location: Any | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a checkpoint to the CPU; never runs code that is in it, whatever is asked for."""
        return load_checkpoint(Path(path))

    def remove_checkpoint(self, path: str | Path) -> None:
        """Delete a checkpoint."""
        Path(path).unlink(missing_ok=True)

"""What a killed training has left in a run's folder that the one that goes on replaces or makes again."""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path

from tagseg.errors import TagsegError
from tagseg.files import remove_left_behind
from tagseg.training.checkpoint_file import remove_temporary
from tagseg.training.metrics_file import drop_rows

logger = logging.getLogger("tagseg")


def clear_superseded(folder: Path, step: int) -> None:
    """Delete temporary files, and rows of the logs that are written again. In the first process, before it writes.

    Args:
        folder: of the run; nothing happens where there is none.
        step: the training has done so many steps; 0: it begins.
    """
    remove_temporary(folder)
    for path in folder.glob("*.safetensors.part"):
        with suppress(OSError):
            path.unlink()
    for place in (folder, folder / "labels", *folder.glob("logs/part_*")):
        remove_left_behind(place)
    try:
        drop_rows(folder / "logs", step)
    except (OSError, TagsegError) as error:
        logger.warning("%s: rows of steps that are done again stay (%s)", folder / "logs", error)

"""Sizes of views and masked blocks against the encoder's patches, checked before anything is trained."""

from __future__ import annotations

import logging

from tagseg.config import Config
from tagseg.errors import TagsegError
from tagseg.fsr.config import FSRConfig

logger = logging.getLogger("tagseg")


def check_view_sizes(config: Config, patch: int) -> None:
    """Compare view, local crop and block with the side of a patch in pixels.

    Blocks of another size than some patches are no error: their edges are moved to those of patches. That is warned of.

    Raises:
        TagsegError: a view or local crop that is no multiple of the patch, with the nearest sizes that are.
    """
    encoder, size, mask = config.network.encoder, config.views.size, _mask_block(config)
    if size % patch:
        ways = (f"--views.size {fit}{_nearest_block(fit, patch, mask)}" for fit in _multiples_near(size, patch))
        raise TagsegError(
            f"views.size is {size}, expected a multiple of the patch size ({patch}) of {encoder}: "
            f"set {' or '.join(ways)}"
        )
    if config.views.local_crops and config.views.local_size % patch:
        ways = (f"--views.local_size {fit}" for fit in _multiples_near(config.views.local_size, patch))
        raise TagsegError(
            f"views.local_size is {config.views.local_size}, expected a multiple of the patch size ({patch}) of "
            f"{encoder}: set {' or '.join(ways)}"
        )
    if mask % patch:
        logger.warning(
            "mask.block is %d, no multiple of the patch size (%d) of %s, so blocks get unequal numbers of patches: for "
            "equal ones with views.size %d set --mask.block to one of %s",
            mask, patch, encoder, size, ", ".join(map(str, _blocks(size, patch))),
        )  # fmt: skip


def _mask_block(config: Config) -> int:
    """Side of a masked block in pixels; 0 where nothing is masked."""
    method = config.method
    return method.mask.block if isinstance(method, FSRConfig) and method.mask.choice != "none" else 0


def _multiples_near(size: int, patch: int) -> list[int]:
    """The multiples of the patch below and above a size that is none."""
    below = size // patch * patch
    return [fit for fit in (below, below + patch) if fit]


def _nearest_block(size: int, patch: int, block: int) -> str:
    """The setting of the nearest block that fits a view; nothing where nothing is masked."""
    return f" --mask.block {min(_blocks(size, patch), key=lambda fit: abs(fit - block))}" if block else ""


def _blocks(size: int, patch: int) -> list[int]:
    """Sides of blocks that are whole patches and divide a view."""
    return [block for block in range(patch, size + 1, patch) if size % block == 0]

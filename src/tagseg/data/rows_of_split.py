"""Which rows of a tag table are those of a split: by its splits, or by a hash where it has none."""

from __future__ import annotations

from tagseg.data.coco_layout import usual_name
from tagseg.data.config import DataConfig
from tagseg.data.held_back import held_back
from tagseg.data.layout import ImageFolder
from tagseg.data.mask_files import FoundMasks
from tagseg.data.names import fold
from tagseg.data.notes import Note
from tagseg.data.resolver import without_extension
from tagseg.data.tags import TagRow, TagTable
from tagseg.errors import NothingToScore, TagsegError


def rows_of_split(
    table: TagTable,
    config: DataConfig,
    split: str,
    photos: ImageFolder,
    found: FoundMasks,
    no_splits: str = "no split column",
) -> list[TagRow]:
    """The rows of a split, in their order.

    A table with splits gives those of this name, else of the only one that is another usual name of it (``valid`` for
    ``val``). Without splits a fifth of the images with a mask (at least one) is kept for validation. All rows, if both
    splits have the same name or there is no validation split.

    Args:
        table: all rows.
        config: ``train_split`` and ``val_split`` apply.
        split: name of the split.
        photos: where the images of the rows are.
        found: the masks of the images.
        no_splits: in words that the table has no splits.

    Raises:
        TagsegError: the split has no image.
        NothingToScore: it is the validation split, but no image has a mask.
    """
    is_file = table.unit != "folder"
    known = f"the file has {len(table.rows)} rows" if is_file else f"it has {len(table.rows)} photos"
    if table.has_splits:
        rows = _by_name(table, split)
        present = ", ".join(f"{name} ({count})" for name, count in table.splits().items()) or "none"
        known = f"splits present: {present}"
    elif takes_all(config):
        rows = list(table.rows)
    else:
        kept = _kept_for_scoring(table, photos, found)
        if split == config.val_split and not kept:
            if found.why_none:
                raise NothingToScore(f"no image is scored, and all train: {found.why_none}")
            where, name = (table.path.parent, f"{table.path.name} ") if is_file else (table.path, "")
            raise NothingToScore(
                f"{where} has no masks and {name}{no_splits}, so all images train and none is scored: add masks/ to "
                "have a fifth of them kept for that"
            )
        of_split = {config.train_split: False, config.val_split: True}
        rows = [row for row in table.rows if split in of_split and (row.image in kept) == of_split[split]]
        known = f"{known} and {no_splits}, which gives {config.train_split} about 80 %"
    if not rows:
        raise TagsegError(
            f"{table.path} has no image in split {split!r}; {known}: set --data.train_split or .val_split"
        )
    return rows


def takes_all(config: DataConfig) -> bool:
    """Whether all images of a table without splits are those of the split that is asked for."""
    return config.train_split == config.val_split or not config.val_split


def unscored(table: TagTable, config: DataConfig, found: FoundMasks) -> tuple[Note, ...]:
    """A folder of masks that is of no use."""
    if not found.why_none:
        return ()
    all_train = "" if table.has_splits or takes_all(config) else ", so all images train"
    return (Note(f"no image has a mask{all_train}, and none is scored: {found.why_none}", warning=True),)


def _by_name(table: TagTable, split: str) -> list[TagRow]:
    for alike in (str, fold, usual_name):
        rows = [row for row in table.rows if row.split and alike(row.split) == alike(split)]
        if rows and (alike is not usual_name or len({row.split for row in rows}) == 1):
            return rows
    return []


def _kept_for_scoring(table: TagTable, photos: ImageFolder, found: FoundMasks) -> set[str]:
    """Images, as the rows name them, that are kept for scoring: a fifth of those with masks."""
    matches = ((row.image, photos.find(row.image)) for row in table.rows) if found.of else ()
    masked = [image for image, match in matches if match and without_extension(match.file) in found.of]
    return {image for image, held in zip(masked, held_back(masked), strict=True) if held}

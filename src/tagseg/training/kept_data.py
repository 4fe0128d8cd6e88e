"""What a run keeps of the data, so that it can be resumed and scored when the files that said it are gone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tagseg.config import Config
from tagseg.config import replace as with_settings
from tagseg.data import sources
from tagseg.data.class_map import ClassMap
from tagseg.data.config import DataConfig
from tagseg.data.made_splits import are_made
from tagseg.data.split_list import FILE, save_splits


def keep_data(config: Config, folder: Path) -> Config:
    """Write the splits that were made, or listed, to the run's folder, and the class map into its settings.

    Args:
        config: of the run.
        folder: of the run.

    Returns:
        The settings to save and to train with: as they are, where there is no class map.

    Raises:
        TagsegError: the folder cannot be written.
    """
    if are_made(config.data):
        save_splits(folder / FILE, sources.made_splits_of(config.data))
    given = sources.class_map_of(config.data)
    return config if given is None else with_settings(config, data=_inlined(config.data, given))


def _inlined(data: DataConfig, given: ClassMap) -> dict[str, object]:
    """The class map as a setting, and the classes that it begins with, where only the tags of the training name them.

    Other photos may lack a tag, which would change what the ids in their masks mean.
    """
    settings: dict[str, object] = {"class_map": given.as_settings()}
    if sources.named_by_tags(data):
        plain = replace(data, class_map="none")
        settings["classes"] = sources.load(plain, data.train_split, masks=False, tags=False).classes
    return settings

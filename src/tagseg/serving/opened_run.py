"""A finished run of the method ``frozen``, opened: settings, photos, network, cached features."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tagseg.arguments import check_path
from tagseg.config import Config
from tagseg.config_file import NAME, read_config
from tagseg.data import sources
from tagseg.data.dataset import TaggedImages
from tagseg.data.proposals import Proposals
from tagseg.errors import TagsegError
from tagseg.frozen.config import FrozenConfig
from tagseg.frozen.features import FrozenFeatures, frozen_features
from tagseg.frozen.labels import given_proposals
from tagseg.inference.segment import pick_device
from tagseg.model.checkpoint import load_network
from tagseg.model.network import Network
from tagseg.serving.cuts import normalised_cuts
from tagseg.training.run_folder import NETWORK


@dataclass(frozen=True)
class OpenedRun:
    """What a run and its data are.

    Attributes:
        folder: of the run.
        config: of the method ``frozen``.
        images: the training photos with the tags of the data.
        network: of the run, in evaluation mode, on the CPU.
        proposals: by the photos' names; ``None`` where labels come from features alone.
    """

    folder: Path
    config: Config
    images: TaggedImages
    network: Network
    proposals: Mapping[str, Proposals] | None

    @staticmethod
    def of(folder: Path) -> OpenedRun:
        """Read it; no photo is opened.

        Raises:
            TagsegError: no finished run of the method ``frozen`` on tags, or its data are gone or have other classes.
        """
        check_path("run", folder, "a run folder (str or Path)")
        folder = Path(folder).expanduser()
        if not folder.is_dir():
            raise TagsegError(f"{folder}: no such folder, expected the folder of a run")
        if not (folder / NAME).is_file():
            raise TagsegError(f"{folder}: no run, expected a folder with {NAME} and {NETWORK}: train one first")
        config = read_config(folder / NAME)
        _check(config, folder)
        images = sources.load(config.data, config.data.train_split, masks=False)
        network = load_network(folder / NETWORK)
        if network.classes != images.classes:
            raise TagsegError(
                f"{folder}: its network knows {len(network.classes)} classes, its data have {len(images.classes)} "
                f"others or in another order now ({images.source}): train again, or bring the data back"
            )
        settings = config.method
        assert isinstance(settings, FrozenConfig)  # ``_check``
        are_given = settings.labels.source == "folder"
        proposals = given_proposals(images, settings.labels, config.data) if are_given else None
        return OpenedRun(folder, config, images, network, proposals)

    def features(self) -> FrozenFeatures:
        """The features and cuts of the photos, those that are not in the cache computed first.

        Raises:
            TagsegError: an unreadable photo, or too little space on the disk.
        """
        settings = self.config.method
        assert isinstance(settings, FrozenConfig)  # ``_check``
        own = settings.features.folder
        place = Path(own).expanduser() if own else self.folder.absolute().parent / "features"
        device = pick_device("cpu" if self.config.run.accelerator == "cpu" else "auto")
        found = frozen_features(self.network, self.images, settings.features.size, place, self.config.run, device)
        return dataclasses.replace(found, cuts=normalised_cuts(found))

    @property
    def network_file(self) -> Path:
        """The run's own network."""
        return self.folder / NETWORK

    @property
    def share(self) -> float | None:
        """The foreground share that the run was trained with; ``None``: estimated."""
        settings = self.config.method
        assert isinstance(settings, FrozenConfig)  # ``_check``
        return settings.labels.foreground_share or None


def _check(config: Config, folder: Path) -> None:
    """Raise ``TagsegError`` unless it is a finished run whose tags can be corrected."""
    settings = config.method
    if not isinstance(settings, FrozenConfig):
        raise TagsegError(
            f"{folder}: its method is {settings.NAME!r}, expected 'frozen': only its trainings take seconds, so "
            "that they can be corrected while you wait"
        )
    if settings.labels.source == "masks":
        raise TagsegError(
            f"{folder} was trained on ground-truth masks (labels.source masks), expected tags, which can be corrected: "
            "train with --labels.source spectral"
        )
    if not (folder / NETWORK).is_file():
        raise TagsegError(f"{folder} is not finished ({NETWORK} is not there): tagseg train --resume {folder}")
    if config.network.decoder != "conv":
        config.network.refuse("decoder", config.network.decoder, "conv with the method frozen")

"""Where masks come from: frozen features and tags, which need no training, or a trained network."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tagseg.config import Config
from tagseg.data.dataset import TaggedImages
from tagseg.data.palette import Colour
from tagseg.errors import TagsegError
from tagseg.frozen.config import FrozenConfig
from tagseg.frozen.crf_labels import SHARPNESS
from tagseg.frozen.expected_time import encoder_seconds
from tagseg.frozen.features import FrozenFeatures, frozen_features, side_of
from tagseg.frozen.labels import fitted_foreground, with_cuts
from tagseg.inference.batches import Batches
from tagseg.inference.multi_scale import MultiScale
from tagseg.inference.predictor import open_network
from tagseg.inference.segment import pick_device
from tagseg.labelling.scores import FromFeatures, FromNetwork, Scorer
from tagseg.model.checkpoint import trained_maps
from tagseg.model.fingerprint import network_fingerprint
from tagseg.model.network import Network
from tagseg.presets import PRESETS
from tagseg.progress import duration

logger = logging.getLogger("tagseg")

READ = {
    "network": ("encoder", "weights", "encoder_options", "aux_layer", "mean", "std"),
    "features": ("size", "folder"),
    "labels": ("foreground_share",),
}
"""Settings that labels without training depend on, beside those of the data."""


@dataclass(frozen=True)
class Prepared:
    """What makes the scores of some photos.

    Attributes:
        scorer: makes them; ``None`` if no photo has a tag.
        weights: a short name for the weights by their content.
        settings: what else masks depend on, as JSON takes it.
    """

    scorer: Scorer | None
    weights: str
    settings: dict[str, Any]


@dataclass(frozen=True)
class NoTraining:
    """Labels of frozen features and tags.

    Attributes:
        config: of the preset ``frozen``.
        features: folder of the features where the settings name none.
        workers: of the loader.
        device: computes the features.
    """

    config: Config
    features: Path
    workers: int
    device: torch.device

    @property
    def classes(self) -> None:
        """Any."""
        return None

    @property
    def colours(self) -> tuple[Colour, ...]:
        """Those of the data."""
        return ()

    @property
    def how(self) -> str:
        """How its masks are made, for people."""
        return "without training, from features of a pretrained encoder"

    def prepared(self, images: TaggedImages) -> Prepared:
        """What makes the scores of the photos.

        Raises:
            TagsegError: an unreadable photo, weights that cannot be had, too little space on the disk.
        """
        method = self.config.method
        assert isinstance(method, FrozenConfig)  # ``check_read``
        if not any(sample.tags for sample in images.samples):
            return Prepared(None, "", {"labels": "background"})
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.config.run.seed)  # weights "none" are the same each time
            network = Network(self.config.network, images.classes).to(self.device)
        if self.config.network.weights == "none":
            logger.warning("the encoder's weights are random (network.weights none): masks then follow colours, if any")
        side = side_of(method.features.size, network.patch_size)
        seconds = len(images) * encoder_seconds(network, side, self.device)
        logger.info("expected on %s: %s for the features (none where they are at hand)", self.device, duration(seconds))
        folder = Path(method.features.folder).expanduser() if method.features.folder else self.features
        loading = dataclasses.replace(self.config.run, workers=self.workers)
        features = with_cuts(frozen_features(network, images, side, folder, loading, self.device))
        foreground = fitted_foreground(features, method.labels.foreground_share)
        settings = {"labels": "spectral", "size": side, "foreground_share": method.labels.foreground_share,
                    "photos": _digest(features), "sharpness": SHARPNESS}  # fmt: skip
        return Prepared(FromFeatures(features, foreground, SHARPNESS), network_fingerprint(network), settings)


@dataclass(frozen=True)
class TrainedNetwork:
    """Labels of a network that may only answer with a photo's tags.

    Attributes:
        network: in evaluation mode.
        multi_scale: how it sees a photo.
        batches: photos that it sees at a time.
        how: its masks are made, for people.
    """

    network: Network
    multi_scale: MultiScale
    batches: Batches
    how: str

    @property
    def classes(self) -> tuple[str, ...]:
        """Of the network."""
        return self.network.classes

    @property
    def colours(self) -> tuple[Colour, ...]:
        """Of the network."""
        return self.network.colours

    def prepared(self, images: TaggedImages) -> Prepared:
        """What makes the scores of the photos."""
        scorer = FromNetwork(self.network, self.multi_scale, self.batches)
        settings = {"labels": "network", **dataclasses.asdict(self.multi_scale)}
        return Prepared(scorer, network_fingerprint(self.network), settings)


LabelSource = NoTraining | TrainedNetwork
"""Makes scores of photos; ``classes``: the names of the K foreground classes that it knows, ``None``: any."""


def label_source(
    config: Config,
    model: str | Path | Network | None,
    multi_scale: MultiScale,
    batch: int,
    features: Path,
    workers: int,
    device: str,
) -> LabelSource:
    """The source of masks; arguments are those of ``label``.

    Raises:
        TagsegError: no such model or device, or one that was not trained to segment.
    """
    if model is None:
        return NoTraining(config, features, workers, pick_device(device))
    network = open_network(model, device)
    if isinstance(model, Network):
        return TrainedNetwork(network, multi_scale, Batches(batch), "by a trained network, told the tags")
    if "segmentation" not in trained_maps(model):
        raise TagsegError(f"{model}: its decoder was not trained, expected a network that segments: leave the run out")
    name = Path(model).name
    return TrainedNetwork(network, multi_scale, Batches(batch), f"by the trained network {name}, told the tags")


def check_read(config: Config, with_model: bool, of_model: Mapping[str, object]) -> None:
    """Refuse settings that would be ignored.

    Args:
        config: the settings.
        with_model: whether a trained network makes the masks.
        of_model: arguments that only it reads, ``None`` where they are not given.

    Raises:
        TagsegError: another method than ``frozen``, or a setting that is not its default and not read.
    """
    given = {name: value for name, value in of_model.items() if value is not None}
    if given and not with_model:
        name, value = next(iter(given.items()))
        raise TagsegError(f"{name} is {value}, but only a network reads it: leave it out, or give a run")
    if not isinstance(config.method, FrozenConfig):
        raise TagsegError(
            f"the method is {config.method.NAME!r}, expected 'frozen': labels without training need frozen features"
        )
    usual = PRESETS["frozen"]().sections()
    because = "the run's network makes the masks" if with_model else "label does not read it"
    for name, section in config.sections().items():
        for item in dataclasses.fields(section) if name != "data" else ():
            value, default = getattr(section, item.name), getattr(usual[name], item.name)
            if value != default and (with_model or item.name not in READ.get(name, ())):
                section.refuse(item.name, value, f"{default!r}, the default, as {because}")


def _digest(features: FrozenFeatures) -> str:
    """A short name for all photos and their tags, on which the labels of each depend."""
    text = "".join(features.contents) + str(features.tags.tolist())
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

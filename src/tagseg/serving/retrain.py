"""Training on corrected tags: foreground, labels, tag classifiers, tag prior and decoder, all on cached features."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import UInt8
from torch import Tensor

from tagseg.beyond.weight_average import set_to_average
from tagseg.config import Config
from tagseg.data.dataset import IGNORE, TaggedImages
from tagseg.data.proposals import Proposals
from tagseg.frozen.config import FrozenConfig
from tagseg.frozen.decoder import DecoderRun, train_decoder
from tagseg.frozen.features import FrozenFeatures
from tagseg.frozen.labels import training_labels
from tagseg.frozen.tag_classifiers import fit_tag_classifiers, fit_tag_prior
from tagseg.model.network import Network
from tagseg.serving.heads import with_own_heads

STEPS = 40
"""Fewest steps of the decoder, which goes on from that of the run; more where that is what one pass over the photos
takes, and never more than the run's."""
WAY = 0.5
"""How far the decoder's weights go from the run's to those after these steps: so few steps alone cost some of what it
knows of new photos (docs/serve.md)."""

Report = Callable[[str, float], None]
"""Is told the stage and the share of the work that is done, 0 to 1."""


@dataclass(frozen=True)
class Corrections:
    """What the training is told.

    Attributes:
        images: the photos with their corrected tags.
        features: of the same photos, with the same tags, and their cuts.
        accepted: masks that the user accepted, at the size of the labels, by the photo's index: its labels.
        rejected: photos whose mask the user rejected: the decoder learns nothing from them. Their tags count.
        share: foreground share; ``None``: estimated.
    """

    images: TaggedImages
    features: FrozenFeatures
    accepted: Mapping[int, UInt8[Tensor, "H W"]]
    rejected: Sequence[int]
    share: float | None

    def supervised(self, labels: UInt8[Tensor, "n H W"]) -> UInt8[Tensor, "n H W"]:
        """Labels with the accepted masks in their places, and 255 for photos that were rejected."""
        labels = labels.clone()
        for index, mask in self.accepted.items():
            labels[index] = mask
        labels[list(self.rejected)] = IGNORE
        return labels


def retrained(
    start: Network,
    config: Config,
    corrections: Corrections,
    proposals: Mapping[str, Proposals] | None,
    report: Report,
    device: torch.device,
) -> tuple[Network, UInt8[Tensor, "n H W"]]:
    """A network that learnt the corrections, and the labels made of the tags alone; both depend on the arguments alone.

    The decoder begins with the run's each time, not with that of the last update, so that the same corrections give the
    same network in whatever order they came.

    Args:
        start: the run's network; it is not changed.
        config: of the run, of the method ``frozen``.
        corrections: tags, accepted and rejected masks.
        proposals: where the run's labels come from proposals.
        report: is told the stage.
        device: trains the decoder.

    Raises:
        NonFiniteLoss: a loss that is not finite.
    """
    settings = config.method
    assert isinstance(settings, FrozenConfig)  # ``Collection.open``
    features = corrections.features
    report("foreground", 0.0)
    # The CRF would take longer than all the rest, photo by photo.
    wanted = dataclasses.replace(settings.labels, foreground_share=corrections.share or 0.0, crf=False)
    told = training_labels(features, corrections.images, wanted, proposals, _noted(report))
    network = with_own_heads(start)
    report("tags", 0.3)
    fit_tag_classifiers(network, features)
    if network.tag_prior is not None:
        fit_tag_prior(network.tag_prior, features)
    steps = steps_of(config, len(features))
    report("decoder", 0.4)
    for parameter in network.decoder.parameters():
        parameter.requires_grad_(True)
    train_decoder(
        network.decoder,
        features,
        corrections.supervised(told),
        settings.decoder,
        DecoderRun(steps, config.run.batch, config.run.seed),
        device,
        lambda done, loss, rate: report("decoder", 0.4 + 0.4 * done / steps),
    )
    set_to_average(network.decoder, start.decoder, network.decoder, 1 - WAY)
    return network.requires_grad_(False).eval(), told


def steps_of(config: Config, photos: int) -> int:
    """Steps of the decoder in an update: each photo is seen once at least, as corrected ones are among them."""
    return min(config.run.steps, max(STEPS, -(-photos // config.run.batch)))


def _noted(report: Report) -> Callable[[str, int, int], None]:
    """Foreground and labels are the first three tenths of the work; cuts are at hand."""
    ranges = {"normalised cuts": (0.0, 0.0), "foreground": (0.0, 0.2), "labels": (0.2, 0.3)}

    def note(what: str, done: int, total: int) -> None:
        first, last = ranges.get(what, (0.3, 0.3))
        report(what, min(last, first + (last - first) * done / max(1, total)))

    return note

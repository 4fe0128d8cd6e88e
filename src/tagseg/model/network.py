"""The whole network (section 1 of docs/method.md): encoder, two classifiers, decoder, projector; one typed output."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn
from torch.nn import functional as F

from tagseg.data.dataset import IGNORE
from tagseg.data.palette import Colour, colours_with
from tagseg.errors import TagsegError
from tagseg.model.config import NetworkConfig
from tagseg.model.encoder import Encoder, Features
from tagseg.model.heads import ConvDecoder, LargeFOV, Projector, TagPrior, pooled
from tagseg.model.pretrained import create_vit
from tagseg.model.vit_parts import parts_of


@dataclass
class NetworkOutput:
    """The outputs of the network for B images.

    Attributes:
        logits: (B, K) of the final classifier after global max pooling.
        aux_logits: (B, K) of the auxiliary classifier.
        segmentation: (B, C, h, w) logits of the decoder, background first.
        cam: (B, K, h, w) ReLU of the final classifier's map, not normalised.
        aux_cam: (B, K, h, w) the same of the auxiliary classifier.
        features: the maps and the global token the heads read.
    """

    logits: Tensor
    aux_logits: Tensor
    segmentation: Tensor
    cam: Tensor
    aux_cam: Tensor
    features: Features


class Network(nn.Module):
    """Student or teacher.

    Args:
        config: encoder and head sizes.
        classes: names of the K foreground classes.
        pool: share of the patches that tag logits are pooled over; 0: global max pooling, as in the paper.
        colours: RGB of labels 0 to K, background first; by default VOC's. They paint masks and change no result.

    Raises:
        TagsegError: the encoder cannot be created, or there are more classes than a mask has labels.
    """

    def __init__(
        self, config: NetworkConfig, classes: tuple[str, ...], pool: float = 0.0, colours: tuple[Colour, ...] = ()
    ) -> None:
        super().__init__()
        if len(classes) >= IGNORE:  # labels are bytes
            raise TagsegError(f"a network got {len(classes)} classes, expected at most {IGNORE - 1}: leave some out")
        self.config = config
        self.classes = tuple(classes)
        self.colours = colours or colours_with({}, len(classes) + 1)
        self.pool = pool
        # Weights of a start (``model/start.py``) replace pretrained ones, which then need not be had.
        initial = dataclasses.replace(config, weights="none") if config.start else config
        self.encoder = Encoder(parts_of(create_vit(initial), config.encoder), config)
        width, foreground = self.encoder.width, len(classes)
        self.classifier = nn.Conv2d(width, foreground, 1, bias=False)
        self.aux_classifier = nn.Conv2d(width, foreground, 1, bias=False)
        self.decoder: nn.Sequential
        if config.decoder == "conv":
            self.decoder = ConvDecoder(2 * width, foreground + 1, config.decoder_width)
        else:
            self.decoder = LargeFOV(width, foreground + 1, config.decoder_width, config.decoder_dilation)
        self.tag_prior = TagPrior(2 * width, foreground) if config.tag_prior else None
        self.projector = Projector(width, config.projector_width, config.projector_bottleneck, config.prototypes)

    @property
    def patch_size(self) -> int:
        """Side of a patch in pixels; inputs are multiples of it."""
        return self.encoder.patch_size

    def forward(self, images: Float[Tensor, "B 3 H W"], mask: Bool[Tensor, "B h w"] | None = None) -> NetworkOutput:
        """Run everything but the projector on normalised images; ``mask``: True masks a patch."""
        features = self.encoder(images, mask)
        cam, aux_cam = self.cams_of(features)
        logits, aux_logits = self.classify(features)
        return NetworkOutput(logits, aux_logits, self.segment(features), cam, aux_cam, features)

    def classify(self, features: Features) -> tuple[Float[Tensor, "B K"], Float[Tensor, "B K"]]:
        """Tag logits of the final and of the auxiliary map: global **max** pooling, then the 1×1 classifier."""
        return (
            F.linear(pooled(features.patches, self.pool), self.classifier.weight.flatten(1)),
            F.linear(pooled(features.auxiliary, self.pool), self.aux_classifier.weight.flatten(1)),
        )

    def cams_of(self, features: Features) -> tuple[Float[Tensor, "B K h w"], Float[Tensor, "B K h w"]]:
        """Final and auxiliary class activation maps (section 2), not normalised."""
        return F.relu(self.classifier(features.patches)), F.relu(self.aux_classifier(features.auxiliary))

    def cams(self, images: Float[Tensor, "B 3 H W"]) -> tuple[Float[Tensor, "B K h w"], Float[Tensor, "B K h w"]]:
        """Final and auxiliary class activation maps of images, not normalised."""
        return self.cams_of(self.encoder(images))

    def segment_logits(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B C h w"]:
        """Only the decoder's logits: what prediction needs."""
        if self.config.decoder == "conv":
            return self.segment(self.encoder(images))
        return self.decoder(self.encoder.patch_map(images))

    def segment(self, features: Features) -> Float[Tensor, "B C h w"]:
        """The decoder's logits of features."""
        if self.config.decoder == "conv":
            maps = torch.cat([features.patches, features.auxiliary], dim=1)
            logits: Tensor = self.decoder(maps)
            return logits if self.tag_prior is None else self.tag_prior(logits, maps)
        return self.decoder(features.patches)

    def project(self, tokens: Float[Tensor, "*n D"]) -> Float[Tensor, "*n P"]:
        """Projection of global or patch tokens."""
        return self.projector(tokens)

    def normalise(self, images: Shaped[Tensor, "B 3 H W"]) -> Float[Tensor, "B 3 H W"]:
        """Images of 0 to 255, 8-bit or float: scaled to [0, 1], mean subtracted, divided by the deviation."""
        dtype = torch.promote_types(torch.float32, self.classifier.weight.dtype)
        mean, std = (_a_channel(tuple(values), images.device, dtype) for values in (self.config.mean, self.config.std))
        return (images.to(dtype) / 255 - mean) / std


@lru_cache(maxsize=16)
def _a_channel(values: tuple[float, ...], device: torch.device, dtype: torch.dtype) -> Float[Tensor, "3 1 1"]:
    """One number a channel; cached, as the host waits for a GPU whenever it sends one."""
    return torch.tensor(values, device=device, dtype=dtype).view(3, 1, 1)


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Evaluation mode inside (no drop path); afterwards the mode is what it was."""
    training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(training)

"""The whole network (METHOD §1): encoder, two classifiers, decoder, projector; one typed output."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn
from torch.nn import functional as F

from tagseg.config import NetworkConfig
from tagseg.model.encoder import Encoder, Features
from tagseg.model.heads import LargeFOV, Projector
from tagseg.model.pretrained import create_vit


@dataclass
class NetworkOutput:
    """Everything the network says of B images.

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

    Raises:
        TagsegError: the encoder cannot be created.
    """

    def __init__(self, config: NetworkConfig, classes: tuple[str, ...]) -> None:
        super().__init__()
        self.config = config
        self.classes = tuple(classes)
        self.encoder = Encoder(create_vit(config), config)
        width, foreground = self.encoder.width, len(classes)
        self.classifier = nn.Conv2d(width, foreground, 1, bias=False)
        self.aux_classifier = nn.Conv2d(width, foreground, 1, bias=False)
        self.decoder = LargeFOV(
            width, foreground + 1, config.decoder_width, config.decoder_dilation, config.decoder_start
        )
        self.projector = Projector(width, config.projector_width, config.projector_bottleneck, config.prototypes)

    @property
    def patch_size(self) -> int:
        """Side of a patch in pixels; inputs are multiples of it."""
        return self.encoder.patch_size

    def forward(self, images: Float[Tensor, "B 3 H W"], mask: Bool[Tensor, "B h w"] | None = None) -> NetworkOutput:
        """Run everything but the projector on normalised images; True in ``mask`` hides a patch."""
        features = self.encoder(images, mask)
        cam, aux_cam = self.cams_of(features)
        logits, aux_logits = self.classify(features)
        return NetworkOutput(logits, aux_logits, self.decoder(features.patches), cam, aux_cam, features)

    def classify(self, features: Features) -> tuple[Float[Tensor, "B K"], Float[Tensor, "B K"]]:
        """Tag logits of the final and of the auxiliary map: global **max** pooling, then the 1×1 classifier.

        With ``network.pool`` above 0, the mean of that share of a channel's values, the highest (not in the paper).
        """
        pool = self.config.pool
        return _logits(features.patches, self.classifier, pool), _logits(features.auxiliary, self.aux_classifier, pool)

    def cams_of(self, features: Features) -> tuple[Float[Tensor, "B K h w"], Float[Tensor, "B K h w"]]:
        """Final and auxiliary class activation maps (METHOD §2), not normalised."""
        return F.relu(self.classifier(features.patches)), F.relu(self.aux_classifier(features.auxiliary))

    def cams(self, images: Float[Tensor, "B 3 H W"]) -> tuple[Float[Tensor, "B K h w"], Float[Tensor, "B K h w"]]:
        """Final and auxiliary class activation maps of images, not normalised."""
        return self.cams_of(self.encoder(images))

    def segment_logits(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B C h w"]:
        """Only the decoder's logits: what prediction needs."""
        return self.decoder(self.encoder.patch_map(images))

    def project(self, tokens: Float[Tensor, "*n D"]) -> Float[Tensor, "*n P"]:
        """Projection of global or patch tokens."""
        return self.projector(tokens)

    def normalise(self, images: Shaped[Tensor, "B 3 H W"]) -> Float[Tensor, "B 3 H W"]:
        """Images of 0 to 255, 8-bit or float, as the network expects them: float32, its mean and deviation applied."""
        mean = torch.tensor(self.config.mean, device=images.device).view(3, 1, 1)
        std = torch.tensor(self.config.std, device=images.device).view(3, 1, 1)
        return (images.float() / 255 - mean) / std


def pooled(features: Float[Tensor, "B D h w"], share: float) -> Float[Tensor, "B D"]:
    """The maximum of each channel, or the mean of the highest ``share`` of its values."""
    values = features.flatten(2)
    count = max(1, round(share * values.shape[2]))
    return values.amax(dim=2) if count == 1 else values.topk(count, dim=2, sorted=False).values.mean(dim=2)


def _logits(features: Float[Tensor, "B D h w"], classifier: nn.Conv2d, share: float) -> Float[Tensor, "B K"]:
    return F.linear(pooled(features, share), classifier.weight.flatten(1))

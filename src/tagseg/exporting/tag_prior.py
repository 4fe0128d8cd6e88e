"""The tag prior in operations that exporters keep as exact as PyTorch's."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tagseg.model.heads import TagPrior


class ExportedPrior(nn.Module):
    """The same as ``TagPrior``, but for how the log-probability of a tag is computed.

    Exporters take PyTorch's ``logsigmoid`` apart into the logarithm of a sigmoid. That is minus infinity for a logit
    below -88, an unlikely tag.
    """

    def __init__(self, prior: TagPrior) -> None:
        super().__init__()
        self.classifier = prior.classifier

    def forward(self, logits: Float[Tensor, "B C h w"], maps: Float[Tensor, "B D h w"]) -> Float[Tensor, "B C h w"]:
        """Logits given the photo's tags, background first."""
        tags = self.classifier(maps.mean(dim=(2, 3)))
        known = tags.clamp(max=0) - torch.log1p(torch.exp(-tags.abs()))
        relative = known - known.amax(dim=1, keepdim=True)
        return torch.cat([logits[:, :1], logits[:, 1:] + relative[:, :, None, None]], dim=1)

"""A network as one graph for other runtimes: from pixels to logits, preprocessing inside."""

from __future__ import annotations

import copy

import torch
from jaxtyping import Float, UInt8
from numpy import ndarray
from torch import Tensor, nn
from torch.nn import functional as F

from tagseg.errors import TagsegError
from tagseg.exporting.preparing import prepared
from tagseg.exporting.tag_prior import ExportedPrior
from tagseg.inference.segment import MAX_SIDE, Sizing
from tagseg.model.network import Network

INPUT, LOGITS, LABELS = "image", "logits", "labels"
"""Names of the input and of the outputs."""
FEWEST_PATCHES = 2
"""Patches of a side, at least: graphs of any size are traced for two and more."""


class ExportGraph(nn.Module):
    """What prediction needs of a network, at one scale and without mirroring, as traceable operations.

    Input: RGB of 0 to 255 as float32, height and width multiples of the patch size. Scaling, mean and deviation are
    inside. A graph of fixed size has one height and width and a batch of one; its positions are computed beforehand. A
    graph of any size resizes learned positions, and makes rotary ones, for each input.

    Args:
        network: any; it stays as it is, the graph has a copy in float32 on the CPU.
        size: side in pixels of the square input; ``None``: any size.
        labels: also return the label map at the input's size.

    Attributes:
        network: the copy, without what prediction does not need.
        patch: side of a patch in pixels.
        size: as given.
        labels: as given.

    Raises:
        TagsegError: a size that is no multiple of the patch size.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, network: Network, size: int | None = None, labels: bool = False) -> None:
        super().__init__()
        self.network = _for_prediction(network)
        self.patch, self.size, self.labels = network.patch_size, size, labels
        if size is not None:
            _check_size(size, self.patch)
        for name, values in (("mean", network.config.mean), ("deviation", network.config.std)):
            self.register_buffer(name, 255 * torch.tensor(values, dtype=torch.float32).view(3, 1, 1))
        if size is not None:
            self._fix_positions((size // self.patch, size // self.patch))
        self.requires_grad_(False).eval()

    def forward(self, image: Float[Tensor, "B H W 3"]) -> Tensor | tuple[Tensor, Tensor]:
        """Logits on the patch grid, (B, C, h, w), background first; with ``labels`` also a label map, uint8 (B, H, W).

        Shapes of tensors are not Python numbers while a graph is traced, so ``len`` and comparisons are avoided.
        """
        encoder = self.network.encoder
        tokens = encoder.patch_embed((image.permute(0, 3, 1, 2) - self.mean) / self.deviation)
        batch, (h, w) = tokens.shape[0], tokens.shape[-2:]
        tokens = encoder.patch_norm(tokens.flatten(2).transpose(1, 2))
        if encoder.positions is not None:
            tokens = tokens + (encoder.positions if self.size else _resized(encoder.positions, encoder.grid, h, w))
        if encoder.register_tokens is not None:
            tokens = torch.cat([encoder.register_tokens.expand(batch, -1, -1), tokens], dim=1)
        tokens = encoder.norm_pre(tokens)
        auxiliary, rotations = tokens, self._rotations(h, w)
        for index in range(len(encoder.blocks)):
            tokens = encoder.apply_block(index, tokens, rotations)
            if index == encoder.aux_index:
                auxiliary = tokens
        features = encoder.features(tokens[:, encoder.registers :], auxiliary[:, encoder.registers :], (h, w))
        logits = self.network.segment(features)
        if not self.labels:
            return logits
        planes = F.interpolate(logits, size=image.shape[1:3], mode="bilinear", align_corners=False)
        return logits, planes.argmax(dim=1).to(torch.uint8)

    def _rotations(self, h: int, w: int) -> list[Tensor] | None:
        if self.size is None or self.network.encoder.rotary is None:
            return self.network.encoder.rotations((h, w))
        fixed = [self.get_buffer(f"rotation{index}") for index in range(self._kept_rotations)]
        return fixed if len(fixed) > 1 else fixed * len(self.network.encoder.blocks)

    def _fix_positions(self, grid: tuple[int, int]) -> None:
        """Positions for one grid, instead of the operations that make them."""
        encoder = self.network.encoder
        if encoder.positions is not None:
            resized = _resized(encoder.positions.detach(), encoder.grid, *grid)
            encoder.positions, encoder.grid = nn.Parameter(resized.contiguous()), grid
        rotations = encoder.rotations(grid) or []
        distinct = rotations if len({id(one) for one in rotations}) > 1 else rotations[:1]
        self._kept_rotations = len(distinct)
        for index, one in enumerate(distinct):
            self.register_buffer(f"rotation{index}", one.detach().clone().contiguous())
        if rotations:  # the module that makes them is not part of the graph
            assert encoder.rotary is not None
            encoder.rotary.rope = nn.Identity()

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs, in order."""
        return (LOGITS, LABELS) if self.labels else (LOGITS,)

    @property
    def sizing(self) -> Sizing:
        """The size at which a photo enters the network: that of ``predict`` at one scale."""
        return Sizing(self.size, MAX_SIDE)

    def input_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width in pixels of a photo's input: the nearest multiples of the patch, two patches at least."""
        fewest = FEWEST_PATCHES * self.patch if self.size is None else 0
        rows, columns = self.sizing.at(height, width, 1.0, self.patch)
        return max(fewest, rows), max(fewest, columns)

    def input_of(self, photo: UInt8[ndarray, "H W 3"]) -> Float[ndarray, "1 H2 W2 3"]:
        """A photo as the graph's input: resized by NumPy and Pillow alone, as those who use an exported file do it."""
        return prepared(photo, self.input_size(*photo.shape[:2]))

    def example(self) -> Float[Tensor, "B H W 3"]:
        """An input to trace the graph with."""
        batch, rows, columns = (2, 4, 6) if self.size is None else (1, self.size // self.patch, self.size // self.patch)
        shape = (batch, rows * self.patch, columns * self.patch, 3)
        return 255 * torch.rand(shape, generator=torch.Generator().manual_seed(0))


def _for_prediction(network: Network) -> Network:
    """A copy without heads and tokens that only training needs."""
    copied = copy.deepcopy(network).to("cpu", torch.float32).eval()
    for name in ("classifier", "aux_classifier", "projector"):
        setattr(copied, name, nn.Identity())
    if copied.tag_prior is not None:
        setattr(copied, "tag_prior", ExportedPrior(copied.tag_prior))  # noqa: B010 (another type)
    copied.encoder.aggregation = nn.ModuleList()
    del copied.encoder.mask_token, copied.encoder.class_token
    return copied


def _resized(positions: Float[Tensor, "1 M D"], grid: tuple[int, int], h: int, w: int) -> Float[Tensor, "1 N D"]:
    """As ``Encoder`` resizes them, but without asking whether that is needed: then it changes nothing."""
    plane = positions.unflatten(1, grid).permute(0, 3, 1, 2)
    return F.interpolate(plane, size=(h, w), mode="bicubic", align_corners=False).flatten(2).transpose(1, 2)


def _check_size(size: int, patch: int) -> None:
    if size < 1 or size % patch:
        near = max(1, round(size / patch)) * patch
        raise TagsegError(
            f"size is {size}, expected a multiple of the patch size ({patch} pixels), e.g. {near}, or none for any size"
        )

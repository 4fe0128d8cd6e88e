"""Checkpoints of the published implementation: its parameter names ↔ ours. Nothing in them is executed."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from tagseg.arguments import check_path
from tagseg.errors import TagsegError, list_some
from tagseg.model.config import NetworkConfig
from tagseg.model.network import Network
from tagseg.model.weights import read_weights

logger = logging.getLogger("tagseg")

# Published name → ours, first match wins.
NAMES: tuple[tuple[str, str], ...] = (
    (r"encoder\.cls_token", "encoder.class_token"),
    (r"encoder\.mask_token", "encoder.mask_token"),
    (r"encoder\.pos_embed", "encoder.positions"),
    (r"encoder\.patch_embed\.proj\.(.+)", r"encoder.patch_embed.\1"),
    (r"encoder\.cls_blocks\.(\d+)\.attn\.q\.(.+)", r"encoder.aggregation.\1.query.\2"),
    (r"encoder\.cls_blocks\.(\d+)\.attn\.k\.(.+)", r"encoder.aggregation.\1.key.\2"),
    (r"encoder\.cls_blocks\.(\d+)\.attn\.v\.(.+)", r"encoder.aggregation.\1.value.\2"),
    (r"encoder\.cls_blocks\.(\d+)\.attn\.proj\.(.+)", r"encoder.aggregation.\1.out.\2"),
    (r"encoder\.cls_blocks\.(.+)", r"encoder.aggregation.\1"),
    (r"encoder\.(blocks\..+|norm\..+)", r"encoder.\1"),
    (r"decoder\.conv6\.weight", "decoder.0.weight"),
    (r"decoder\.conv7\.weight", "decoder.2.weight"),
    (r"decoder\.conv8\.weight", "decoder.4.weight"),
    (r"projector\.last_layer\.weight_v", "projector.prototypes.direction"),
    (r"projector\.mlp\.(.+)", r"projector.mlp.\1"),
    (r"top_classifier\.(.+)", r"classifier.\1"),
    (r"aux_classifier\.(.+)", r"aux_classifier.\1"),
)


@dataclass(frozen=True)
class PublishedNetwork:
    """A network from a published checkpoint.

    Attributes:
        network: in evaluation mode.
        missing: our parameters that the checkpoint does not have; they keep their random start.
        unexpected: the checkpoint's names that nothing of ours takes.
    """

    network: Network
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]


def our_name(published: str) -> str | None:
    """Our name of a published parameter, ``None`` where we have none."""
    for pattern, ours in NAMES:
        if re.fullmatch(pattern, published):
            return re.sub(pattern, ours, published)
    return None


def load_published(
    path: Path | str, classes: tuple[str, ...] | None = None, heads: int | None = None, dilation: int = 5
) -> PublishedNetwork:
    """Read a checkpoint under the published names.

    Sizes come from the tensors' shapes. What shapes do not tell is asked for.

    Args:
        path: ``.safetensors`` or PyTorch checkpoint.
        classes: the K class names; VOC's 20 where K = 20, else ``class 1`` …
        heads: attention heads; width / 64 where that is whole.
        dilation: of the decoder.

    Raises:
        TagsegError: not such a checkpoint, or a parameter of another shape.
    """
    check_path("the checkpoint", path, "a .safetensors or PyTorch file (str or Path)")
    path = Path(path).expanduser()
    published = read_weights(path)
    config = _config_of(published, path, heads, dilation)
    count = published["top_classifier.weight"].shape[0]
    if classes is None:
        classes = _voc_classes() if count == 20 else tuple(f"class {k + 1}" for k in range(count))
    if len(classes) != count:
        raise TagsegError(f"{path}: has {count} classes, but {len(classes)} class names were given")
    network = Network(config, classes)
    weights, unexpected = to_ours(published)
    own = network.state_dict()
    wrong = [name for name, value in weights.items() if name in own and own[name].shape != value.shape]
    if wrong:
        raise TagsegError(f"{path}: {list_some(wrong)} have another shape than their network: wrong heads or layout?")
    missing = tuple(name for name in own if name not in weights)
    unexpected += tuple(name for name in weights if name not in own)
    network.load_state_dict({name: value for name, value in weights.items() if name in own}, strict=False)
    for what, names in (("missing in the checkpoint", missing), ("not used", unexpected)):
        if names:
            logger.warning("%s: %d keys %s: %s", path, len(names), what, list_some(list(names)))
    return PublishedNetwork(network.requires_grad_(False).eval(), missing, unexpected)


def to_ours(published: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Rename and reshape published tensors; also return the names that did not fit."""
    weights: dict[str, Tensor] = {}
    unexpected = []
    for name, value in published.items():
        ours = our_name(name)
        if ours == "encoder.positions":
            value = value[:, 1:]  # its first row is the class token's, which no step of the method adds
        elif ours == "encoder.mask_token":
            value = value.flatten()
        if ours is not None:
            weights[ours] = value.float()
        elif name != "projector.last_layer.weight_g" or not torch.allclose(value.float(), torch.ones(())):
            unexpected.append(name)
    return weights, tuple(unexpected)


def _config_of(published: Mapping[str, Tensor], path: Path, heads: int | None, dilation: int) -> NetworkConfig:
    try:
        width, _, patch, _ = published["encoder.patch_embed.proj.weight"].shape
        side = math.isqrt(published["encoder.pos_embed"].shape[1] - 1)
        decoder = published["decoder.conv6.weight"].shape[0]
        bottleneck, hidden = published["projector.mlp.4.weight"].shape
        prototypes = published["projector.last_layer.weight_v"].shape[0]
        mlp = published["encoder.blocks.0.mlp.fc1.weight"].shape[0]
        _ = published["top_classifier.weight"]
    except KeyError as error:
        raise TagsegError(
            f"{path}: has no {error.args[0]!r}, expected a checkpoint under the published names"
        ) from error
    depth = 1 + max(int(m[1]) for name in published if (m := re.match(r"encoder\.blocks\.(\d+)\.", name)))
    aggregation = len({m[1] for name in published if (m := re.match(r"encoder\.cls_blocks\.(\d+)\.", name))})
    if heads is None and width % 64:
        raise TagsegError(f"{path}: width {width} does not tell the number of heads: pass heads=")
    options = {
        "img_size": side * patch,
        "patch_size": patch,
        "embed_dim": width,
        "depth": depth,
        "num_heads": heads or width // 64,
        "mlp_ratio": mlp / width,
    }
    return NetworkConfig(
        encoder="vit_base_patch16_224",
        weights="none",
        encoder_options=options,
        aggregation_depth=aggregation,
        decoder_width=decoder,
        decoder_dilation=dilation,
        projector_width=hidden,
        projector_bottleneck=bottleneck,
        prototypes=prototypes,
    )


def _voc_classes() -> tuple[str, ...]:
    from tagseg.data.voc import CLASSES

    return CLASSES

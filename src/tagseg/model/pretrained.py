"""A timm ViT by name, with weights from timm's hub, from a local file, or random."""

from __future__ import annotations

import difflib
from pathlib import Path

import timm
from timm.models.vision_transformer import VisionTransformer, checkpoint_filter_fn
from torch import Tensor, nn

from tagseg.errors import TagsegError, list_some
from tagseg.model.config import NetworkConfig
from tagseg.model.vit_parts import check_family
from tagseg.model.weights import read_weights


def create_vit(config: NetworkConfig) -> nn.Module:
    """Create the encoder that ``config`` names.

    Raises:
        TagsegError: unknown name, no known family, bad options, weights that cannot be had or do not fit.
    """
    try:
        vit: nn.Module = timm.create_model(
            config.encoder,
            pretrained=config.weights == "hub",
            num_classes=0,
            **{"drop_path_rate": config.drop_path, **config.encoder_options},
        )
    except Exception as error:
        raise _explain(config, error) from error
    check_family(vit, config.encoder)
    if config.weights not in ("hub", "none"):
        _load_file(vit, Path(config.weights))
    return vit


def _explain(config: NetworkConfig, error: Exception) -> TagsegError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    if not timm.is_model(config.encoder):
        near = difflib.get_close_matches(config.encoder.split(".")[0], timm.list_models(["*vit*", "deit*"]), n=3)
        hint = f"did you mean {list_some(near)}?" if near else "try deit_small_patch16_224 or vit_base_patch16_224"
        return TagsegError(f"network.encoder {config.encoder!r} is not a model of timm, {hint}")
    if isinstance(error, TypeError) or config.weights != "hub":
        return TagsegError(f"network.encoder_options {config.encoder_options} do not fit {config.encoder}: {reason}")
    return TagsegError(
        f"weights of {config.encoder} could not be had from timm's hub ({reason}): "
        "give a file with --network.weights FILE, or --network.weights none for random ones"
    )


def _load_file(vit: nn.Module, path: Path) -> None:
    weights: dict[str, Tensor] = read_weights(path)
    if isinstance(vit, VisionTransformer):
        weights = checkpoint_filter_fn(weights, vit)
    own = vit.state_dict()
    head = {name for name in weights if name.startswith(("head", "fc_norm", "attn_pool")) and name not in own}
    missing = [name for name in own if name not in weights]
    unexpected = [name for name in weights if name not in own and name not in head]
    wrong = [name for name in own if name in weights and own[name].shape != weights[name].shape]
    if missing or unexpected or wrong:
        raise TagsegError(
            f"{path}: weights do not fit network.encoder: {len(missing)} missing, {len(unexpected)} unexpected, "
            f"{len(wrong)} of another shape ({list_some(missing + unexpected + wrong)}): "
            "name the encoder they were made for with --network.encoder"
        )
    vit.load_state_dict({name: value for name, value in weights.items() if name in own})

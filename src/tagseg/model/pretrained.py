"""A timm ViT by name, with weights from timm's hub, from a local file, or random."""

from __future__ import annotations

import dataclasses
import difflib
import logging
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import timm
from torch import Tensor, nn

from tagseg.errors import TagsegError, list_some
from tagseg.model.config import NetworkConfig
from tagseg.model.vit_parts import check_family
from tagseg.model.weights import read_weights

logger = logging.getLogger("tagseg")

_UNUSED = ("head", "attn_pool")
"""Parameters that an ``Encoder`` leaves out, so that a file need not have them."""

READS_FILES = ("checkpoint_path", "pretrained_cfg", "pretrained_cfg_overlay", "cache_dir")
"""Options of timm that name files, or addresses of files, some of which its older versions unpickle."""


def create_vit(config: NetworkConfig) -> nn.Module:
    """Create the encoder that ``config`` names.

    Pretrained weights that expect other means and deviations than ``config`` has are warned of.

    Raises:
        TagsegError: unknown name, no known family, bad options, weights that cannot be had or do not fit.
    """
    _refuse_files(config)
    if config.weights == "hub":
        logger.info("weights of %s: from timm's hub, or as it left them on this machine", config.encoder)
    try:
        vit, drops_paths = _create(config)
    except Exception as error:
        raise _explain(config, error) from error
    check_family(vit, config.encoder)
    if config.drop_path and not drops_paths:
        raise TagsegError(
            f"network.drop_path is {config.drop_path}, expected 0, as {config.encoder} takes no drop_path_rate: "
            "set --network.drop_path 0"
        )
    if config.weights not in ("hub", "none"):
        _load_file(vit, Path(config.weights))
    if config.weights != "none":
        _compare_normalisation(vit, config)
    return vit


def _refuse_files(config: NetworkConfig) -> None:
    """Raise ``TagsegError`` where a name or an option would have timm read files of its own: of a folder or address."""
    if re.search(r"[:/\\]", config.encoder):
        raise TagsegError(
            f"network.encoder is {config.encoder!r}, expected the name of a model of timm, as addresses and paths are "
            "not read: give its weights with --network.weights FILE"
        )
    named = [name for name in READS_FILES if name in config.encoder_options]
    if named:
        raise TagsegError(
            f"network.encoder_options has {named[0]}, by which timm reads files, expected the model's own options: "
            "give weights with --network.weights FILE"
        )


def _create(config: NetworkConfig) -> tuple[nn.Module, bool]:
    """The model, and whether it takes the rate of drop path, which is no option of some."""

    def create(**options: Any) -> nn.Module:
        model: nn.Module = timm.create_model(
            config.encoder, pretrained=config.weights == "hub", num_classes=0, **options
        )
        return model

    try:
        return create(**{"drop_path_rate": config.drop_path, **config.encoder_options}), True
    except TypeError as error:
        if "drop_path_rate" not in str(error) or "drop_path_rate" in config.encoder_options:
            raise
        return create(**config.encoder_options), False


def _explain(config: NetworkConfig, error: Exception) -> TagsegError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    if not timm.is_model(config.encoder):
        near = difflib.get_close_matches(config.encoder.split(".")[0], timm.list_models(["*vit*", "deit*"]), n=3)
        hint = f"did you mean {list_some(near)}?" if near else "try deit_small_patch16_224 or vit_base_patch16_224"
        return TagsegError(f"network.encoder {config.encoder!r} is not a model of timm, {hint}")
    if config.weights != "hub" or not _can_be_created(config):
        return TagsegError(f"network.encoder_options {config.encoder_options} do not fit {config.encoder}: {reason}")
    if "state_dict" in str(error):  # they were had
        return TagsegError(
            f"the pretrained weights of {config.encoder} do not fit network.encoder_options {config.encoder_options} "
            f"({reason}): leave the options out, or give a file with --network.weights FILE, or none for random ones"
        )
    return TagsegError(
        f"weights of {config.encoder} could not be had from timm's hub ({reason}): "
        "give a file with --network.weights FILE, or --network.weights none for random ones"
    )


def _can_be_created(config: NetworkConfig) -> bool:
    """Whether the model is there without pretrained weights, so that these are what failed."""
    try:
        _create(dataclasses.replace(config, weights="none"))
    except Exception:  # whatever it is, the first error was not about the weights
        return False
    return True


def _load_file(vit: nn.Module, path: Path) -> None:
    weights: dict[str, Tensor] = read_weights(path)
    try:
        weights = _filter_of(vit)(weights, vit)
    except Exception as error:  # timm's filters raise whatever names and shapes they did not expect lead to
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise TagsegError(
            f"{path}: weights do not fit network.encoder ({reason}): name the encoder they were made for with "
            "--network.encoder"
        ) from error
    own = vit.state_dict()
    head = {name for name in weights if name.startswith((*_UNUSED, "fc_norm")) and name not in own}
    missing = [name for name in own if name not in weights and not name.startswith(_UNUSED)]
    unexpected = [name for name in weights if name not in own and name not in head]
    wrong = [name for name in own if name in weights and own[name].shape != weights[name].shape]
    if missing or unexpected or wrong:
        raise TagsegError(
            f"{path}: weights do not fit network.encoder: {len(missing)} missing, {len(unexpected)} unexpected, "
            f"{len(wrong)} of another shape ({list_some(missing + unexpected + wrong)}): "
            "name the encoder they were made for with --network.encoder"
        )
    vit.load_state_dict({name: value for name, value in weights.items() if name in own}, strict=False)


def _filter_of(vit: nn.Module) -> Callable[[dict[str, Tensor], nn.Module], dict[str, Tensor]]:
    """What turns weights as published into those of timm's model: the function beside the model's class.

    Positions are resized to the model's grid on the way.
    """
    for kind in type(vit).__mro__:
        function = getattr(sys.modules[kind.__module__], "checkpoint_filter_fn", None)
        if function is not None:
            found: Callable[[dict[str, Tensor], nn.Module], dict[str, Tensor]] = function
            return found
    return lambda weights, _: weights


def _compare_normalisation(vit: nn.Module, config: NetworkConfig) -> None:
    """Warn if the weights were trained on images normalised otherwise."""
    facts: dict[str, Any] = getattr(vit, "pretrained_cfg", None) or {}
    pairs = {name: (getattr(config, name), facts.get(name)) for name in ("mean", "std")}
    if any(theirs is not None and tuple(theirs) != tuple(ours) for ours, theirs in pairs.values()):
        values = {name: list(ours if theirs is None else theirs) for name, (ours, theirs) in pairs.items()}
        logger.warning(
            "network.mean is %s and network.std %s, but the weights of %s were trained with others, which may suit "
            "them better: --network.mean '%s' --network.std '%s'",
            list(config.mean), list(config.std), config.encoder, values["mean"], values["std"],
        )  # fmt: skip

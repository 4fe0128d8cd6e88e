"""Encoders by name and their weights: from the hub, a file, or random."""

import dataclasses
import logging
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from tagseg.errors import TagsegError
from tagseg.model.config import NetworkConfig
from tagseg.model.encoder import Encoder
from tagseg.model.pretrained import create_vit
from tagseg.model.vit_parts import FAMILIES, parts_of

from ..conftest import TINY

DEIT = Path(__file__).parents[2].parent / "shared" / "weights" / "deit_tiny_patch16_224.safetensors"


def with_weights(path):
    return dataclasses.replace(TINY, weights=str(path))


def refused(config):
    with pytest.raises(TagsegError) as caught:
        create_vit(config)
    assert "\n" not in str(caught.value)
    return str(caught.value)


OTHERS = {
    "swin_tiny_patch4_window7_224": {},
    "convnext_atto": {},
    "beit_base_patch16_224": {"depth": 1},
    "vit_relpos_small_patch16_224": {"depth": 1},
    "vit_tiny_r_s16_p8_224": {"depth": 1},
}


@pytest.mark.parametrize(("name", "options"), OTHERS.items(), ids=OTHERS)
def test_a_model_that_is_no_plain_vit(name, options):
    message = refused(NetworkConfig(encoder=name, weights="none", encoder_options=options))
    assert f"{name!r} is a " in message
    assert "expected a plain ViT" in message


def test_no_position_embedding():
    config = NetworkConfig(encoder="vit_tiny_patch16_224", weights="none", encoder_options={"pos_embed": "none"})
    with pytest.raises(TagsegError, match="neither learned nor rotary positions"):
        Encoder(parts_of(create_vit(config), config.encoder), config)


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "deit_small_patch16_224"])
def test_a_misspelt_name_is_answered_with_near_ones(name):
    wrong = name.replace("patch", "pach")
    message = refused(NetworkConfig(encoder=wrong, weights="none"))
    assert f"{wrong!r} is not a model of timm, did you mean" in message
    assert name in message


def test_a_name_that_is_near_to_none():
    assert "is not a model of timm, try deit_small" in refused(NetworkConfig(encoder="zzz", weights="none"))


@pytest.mark.parametrize("options", [{"dept": 3}, {"embed_dim": 50, "num_heads": 3}])
def test_options_that_do_not_fit_the_model(options):
    message = refused(NetworkConfig(encoder="vit_tiny_patch16_224", weights="none", encoder_options=options))
    assert "network.encoder_options" in message
    assert "do not fit vit_tiny_patch16_224" in message


def test_a_hub_that_cannot_be_reached(monkeypatch):
    with_hub(monkeypatch, OSError("no route to host\nmore lines"))
    message = refused(dataclasses.replace(TINY, weights="hub"))
    assert "could not be had from timm's hub (no route to host)" in message
    assert "--network.weights" in message


def with_hub(monkeypatch, error):
    """A hub that ends every request for pretrained weights with this error."""
    create = timm.create_model

    def create_model(*arguments, pretrained, **options):
        if pretrained:
            raise error
        return create(*arguments, **options)

    monkeypatch.setattr(timm, "create_model", create_model)


def test_the_hub_is_not_blamed_for_options_that_do_not_fit(monkeypatch):
    with_hub(monkeypatch, RuntimeError("Error(s) in loading state_dict for VisionTransformer: size mismatch"))
    message = refused(dataclasses.replace(TINY, weights="hub"))
    assert "pretrained weights of vit_tiny_patch16_224 do not fit network.encoder_options" in message
    assert "hub" not in message
    wrong = refused(dataclasses.replace(TINY, weights="hub", encoder_options={"embed_dim": 50, "num_heads": 3}))
    assert "network.encoder_options" in wrong
    assert "hub" not in wrong


@pytest.fixture(scope="module")
def vit():
    """With the head that a published file has."""
    torch.manual_seed(3)
    return timm.create_model("vit_tiny_patch16_224", num_classes=7, **TINY.encoder_options)


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pth", "wrapped.pth", "parallel.pth"])
def test_weights_from_a_file(vit, tmp_path, name):
    path, state = tmp_path / name, vit.state_dict()
    if name == "weights.safetensors":
        save_file(state, path)
    elif name == "wrapped.pth":
        torch.save({"model": state, "epoch": 3}, path)
    elif name == "parallel.pth":
        torch.save({"module." + key: value for key, value in state.items()}, path)
    else:
        torch.save(state, path)
    loaded = create_vit(with_weights(path)).state_dict()
    assert not any(key.startswith("head") for key in loaded)
    assert all(torch.equal(value, state[key]) for key, value in loaded.items())


def test_weights_that_lack_a_block_or_are_of_another_width(vit, tmp_path):
    state = vit.state_dict()
    some = {key: value for key, value in state.items() if not key.startswith("blocks.2.")}
    save_file(some, tmp_path / "some.safetensors")
    message = refused(with_weights(tmp_path / "some.safetensors"))
    assert "12 missing, 0 unexpected, 0 of another shape (blocks.2." in message
    wide = timm.create_model("vit_tiny_patch16_224", **{**TINY.encoder_options, "embed_dim": 96})
    save_file(wide.state_dict(), tmp_path / "wide.safetensors")
    assert "0 missing" in refused(with_weights(tmp_path / "wide.safetensors"))
    save_file(state | {"blocks.4.norm1.weight": torch.ones(48)}, tmp_path / "deep.safetensors")
    assert "1 unexpected" in refused(with_weights(tmp_path / "deep.safetensors"))


def test_files_that_are_no_weights(tmp_path):
    (tmp_path / "text.pth").write_text("hello")
    (tmp_path / "text.safetensors").write_text("hello")
    torch.save({"epoch": 3}, tmp_path / "empty.pth")
    assert "not a readable weights file" in refused(with_weights(tmp_path / "text.pth"))
    assert "not a readable weights file" in refused(with_weights(tmp_path / "text.safetensors"))
    assert "holds no named tensors" in refused(with_weights(tmp_path / "empty.pth"))
    assert "no such file" in refused(with_weights(tmp_path / "none.pth"))


EVA: dict[str, Any] = {"img_size": 56, "embed_dim": 48, "depth": 2, "num_heads": 3}


def test_weights_of_an_eva_from_a_file(tmp_path):
    """As published by its authors: a mask token of pretraining, fixed rotary buffers, a norm that fine-tuning moves."""
    torch.manual_seed(3)
    state = timm.create_model("eva02_tiny_patch14_224", num_classes=7, **EVA).state_dict()
    published = {key.replace("fc_norm", "norm"): value for key, value in state.items() if not key.startswith("head")}
    published |= {"mask_token": torch.zeros(1, 1, 48), "rope.freqs_cos": torch.zeros(16, 16)}
    torch.save({"model": published}, tmp_path / "eva.pth")

    def config_of(**options):
        return dataclasses.replace(
            with_weights(tmp_path / "eva.pth"), encoder="eva02_tiny_patch14_224", encoder_options=EVA | options
        )

    loaded = create_vit(config_of()).state_dict()
    assert all(torch.equal(value, state[key]) for key, value in loaded.items())
    larger = create_vit(config_of(img_size=84)).state_dict()
    assert larger["pos_embed"].shape == (1, 37, 48), "positions are resized"
    assert "unexpected" in refused(config_of(depth=1))
    assert "weights do not fit" in refused(with_weights(tmp_path / "eva.pth"))


def test_a_pooling_that_encoders_leave_out_need_not_be_in_the_file(tmp_path):
    path, name = tmp_path / "patches.safetensors", "vit_base_patch16_siglip_224"
    state = timm.create_model(name, num_classes=0, **TINY.encoder_options).state_dict()
    save_file({k: v for k, v in state.items() if not k.startswith("attn_pool")}, path)
    config = dataclasses.replace(with_weights(path), encoder=name)
    assert torch.equal(create_vit(config).state_dict()["pos_embed"], state["pos_embed"])


class Stiff(nn.Module):
    """A model that takes no rate of drop path."""

    def __init__(self, depth: int = 2) -> None:
        super().__init__()
        self.depth = depth


@pytest.fixture
def stiff(monkeypatch):
    def create(name, pretrained, num_classes, **options):
        return Stiff(**options)

    monkeypatch.setattr(timm, "create_model", create)
    monkeypatch.setitem(FAMILIES, Stiff, parts_of)


def test_a_model_without_a_rate_of_drop_path(stiff):
    options = {"depth": 3}
    config = NetworkConfig(encoder="deit_tiny_patch16_224", weights="none", encoder_options=options, drop_path=0.0)
    assert create_vit(config).depth == 3
    message = refused(dataclasses.replace(config, drop_path=0.1))
    assert "network.drop_path is 0.1, expected 0, as deit_tiny_patch16_224 takes no drop_path_rate" in message
    assert "do not fit" in refused(dataclasses.replace(config, encoder_options={"drop_path_rate": 0.1}))
    assert "do not fit" in refused(dataclasses.replace(config, encoder_options={"dept": 3}))


def test_means_and_deviations_that_the_weights_were_not_trained_with(tmp_path, caplog):
    for name, warned in (("vit_tiny_patch16_224", True), ("deit_tiny_patch16_224", False)):
        vit = timm.create_model(name, num_classes=0, **TINY.encoder_options)
        save_file(vit.state_dict(), tmp_path / "w.safetensors")
        config = dataclasses.replace(TINY, encoder=name, weights=str(tmp_path / "w.safetensors"))
        facts: Any = timm.get_pretrained_cfg(name)
        with caplog.at_level(logging.WARNING, "tagseg"):
            create_vit(dataclasses.replace(config, weights="none"))
            create_vit(dataclasses.replace(config, mean=facts.mean, std=facts.std))
            assert not caplog.records
            create_vit(config)
        assert len(caplog.records) == warned
        assert ("--network.mean '[0.5, 0.5, 0.5]' --network.std '[0.5, 0.5, 0.5]'" in caplog.text) == warned
        caplog.clear()


def test_published_deit_weights_load():
    if not DEIT.is_file():
        pytest.skip(f"no weights at {DEIT}")
    config = NetworkConfig(encoder="deit_tiny_patch16_224", weights=str(DEIT))
    encoder = Encoder(parts_of(create_vit(config), config.encoder), config)
    assert encoder.positions is not None
    assert encoder.positions.shape == (1, 196, 192)
    assert encoder.positions.std() > 0.05, "random ones have 0.02"

"""Encoders by name and their weights: from the hub, a file, or random."""

import dataclasses
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from tagseg.errors import TagsegError
from tagseg.model.config import NetworkConfig
from tagseg.model.encoder import Encoder
from tagseg.model.pretrained import create_vit
from tagseg.model.vit_parts import parts_of

from ..conftest import TINY

DEIT = Path(__file__).parents[2].parent / "shared" / "weights" / "deit_tiny_patch16_224.safetensors"


def with_weights(path):
    return dataclasses.replace(TINY, weights=str(path))


def refused(config):
    with pytest.raises(TagsegError) as caught:
        create_vit(config)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["swin_tiny_patch4_window7_224", "beit_base_patch16_224", "vit_tiny_r_s16_p8_224"])
def test_a_model_that_is_no_plain_vit(name):
    options = {} if name.startswith("swin") else {"depth": 1}
    message = refused(NetworkConfig(encoder=name, weights="none", encoder_options=options))
    assert f"{name!r} is a " in message
    assert "expected a plain ViT" in message


def test_no_position_embedding():
    config = NetworkConfig(encoder="vit_tiny_patch16_224", weights="none", encoder_options={"pos_embed": "none"})
    with pytest.raises(TagsegError, match="no learned position embedding"):
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
    def offline(*_, **__):
        raise OSError("no route to host\nmore lines")

    monkeypatch.setattr(timm, "create_model", offline)
    message = refused(NetworkConfig())
    assert "could not be had from timm's hub (no route to host)" in message
    assert "--network.weights" in message


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


def test_published_deit_weights_load():
    if not DEIT.is_file():
        pytest.skip(f"no weights at {DEIT}")
    config = NetworkConfig(encoder="deit_tiny_patch16_224", weights=str(DEIT))
    encoder = Encoder(parts_of(create_vit(config), config.encoder), config)
    assert encoder.positions.shape == (1, 196, 192)
    assert encoder.positions.std() > 0.05, "random ones have 0.02"

"""Families of timm's ViTs as an encoder: rotary and learned positions, registers, any size, training and saving."""

import copy
import dataclasses

import pytest
import timm
import torch
from torch import nn
from torch.nn import functional as F

from tagseg.errors import TagsegError
from tagseg.model.checkpoint import load_network, save_network
from tagseg.model.config import NetworkConfig
from tagseg.model.encoder import Encoder
from tagseg.model.pretrained import create_vit
from tagseg.model.vit_parts import parts_of

from ..conftest import TINY, tiny_network

SMALL = {"embed_dim": 48, "depth": 3, "num_heads": 3}
ROTARY = {
    "EVA-02, both positions": "eva02_tiny_patch14_224",
    "EVA-02 CLIP": "eva02_base_patch16_clip_224",
    "a register, rotary alone": "vit_medium_patch16_rope_reg1_gap_256",
    "PE-Core, a class token": "vit_pe_core_tiny_patch16_384",
    "PE-Spatial": "vit_pe_spatial_tiny_patch16_512",
    "DINOv3, registers": "vit_small_patch16_dinov3",
    "axial rotary": "vit_small_patch16_rope_224",
    "learned frequencies": "vit_small_patch16_rope_mixed_224",
    "learned frequencies and positions": "vit_small_patch16_rope_mixed_ape_224",
}
PLAIN = {
    "DeiT": "deit_tiny_patch16_224",
    "distilled DeiT": "deit_tiny_distilled_patch16_224",
    "DeiT III": "deit3_small_patch16_224",
    "DINOv2, registers": "vit_small_patch14_reg4_dinov2",
    "CLIP": "vit_base_patch16_clip_224",
    "SigLIP": "vit_base_patch16_siglip_224",
    "EVA without rotary positions": "eva_giant_patch14_224",
    "attention and MLP side by side": "vit_base_patch16_xp_224",
}
ALL = {**ROTARY, **PLAIN}
COMPARABLE = {what: name for what, name in ALL.items() if what != "distilled DeiT"}
"""timm's distilled model cannot do without its two tokens; test_encoder.py compares its positions."""


def config_of(name, rows=3, columns=5, **options):
    """For a grid of that many patches."""
    if not timm.is_model(name):
        pytest.skip(f"timm {timm.__version__} has no {name}")
    patch = 14 if "patch14" in name else 16
    options = {**SMALL, "img_size": (rows * patch, columns * patch), **options}
    return dataclasses.replace(TINY, encoder=name, encoder_options=options)


def vit_of(config):
    """In evaluation mode, nothing at its neutral start, so that what is forgotten shows."""
    vit = create_vit(config).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in vit.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    return vit


def images_of(vit, rows, columns):
    patch = vit.patch_embed.patch_size[0]
    return torch.randn(2, 3, rows * patch, columns * patch, generator=torch.Generator().manual_seed(0))


def without_class_token(vit):
    """timm's own model for patches (and registers) alone: class and distillation tokens never enter its blocks."""
    registers = 0 if vit.reg_token is None else vit.reg_token.shape[1]
    if vit.pos_embed is not None and vit.pos_embed.shape[1] > vit.patch_embed.num_patches:
        vit.pos_embed = nn.Parameter(vit.pos_embed[:, vit.num_prefix_tokens - registers :])
    vit.cls_token, vit.num_prefix_tokens = None, registers
    for block in vit.blocks:
        if hasattr(getattr(block, "attn", None), "num_prefix_tokens"):
            block.attn.num_prefix_tokens = registers
    return vit


@torch.no_grad()
def final_map(vit, images):
    """timm's normalised patches; where a model ends without a norm, our encoder adds one."""
    tokens = vit.fc_norm(vit.forward_features(images))[:, vit.num_prefix_tokens :]
    has_norm = any(not isinstance(norm, nn.Identity) for norm in (vit.norm, vit.fc_norm))
    return tokens if has_norm else F.layer_norm(tokens, tokens.shape[-1:], eps=1e-6)


@torch.no_grad()
def assert_map_of_timm(vit, config, images):
    """Final and auxiliary map: the output of timm's forward pass."""
    config = dataclasses.replace(config, aux_layer=-2)
    ours = Encoder(parts_of(copy.deepcopy(vit), config.encoder), config).eval()(images)
    vit = without_class_token(vit)
    auxiliary = vit.forward_intermediates(images, indices=[1], intermediates_only=True)[0]
    final = final_map(vit, images)
    torch.testing.assert_close(ours.auxiliary, auxiliary, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(ours.patch_list(), final, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("grid", [(3, 5), (4, 2)])
@pytest.mark.parametrize("name", COMPARABLE.values(), ids=COMPARABLE)
def test_the_maps_are_those_of_timm_without_its_class_token(name, grid):
    config = config_of(name, *grid)
    vit = vit_of(config)
    assert_map_of_timm(vit, config, images_of(vit, *grid))


@pytest.mark.parametrize("name", ROTARY.values(), ids=ROTARY)
def test_rotary_positions_follow_the_size_of_the_input(name):
    """A model made for another, square grid gives what timm's gives when it makes positions for each input."""
    config = config_of(name, 4, 4)
    vit = vit_of(config)
    if vit.pos_embed is not None:
        nn.init.zeros_(vit.pos_embed)  # timm resizes learned positions with antialiasing, we do not
    encoder = Encoder(parts_of(vit, name), config).eval()
    dynamic = create_vit(config_of(name, 4, 4, dynamic_img_size=True)).eval()
    dynamic.load_state_dict(vit.state_dict())
    for rows, columns in ((3, 5), (6, 2), (4, 4)):
        images = images_of(vit, rows, columns)
        with torch.no_grad():
            final = final_map(without_class_token(dynamic), images)
            torch.testing.assert_close(encoder.patch_map(images).flatten(2).mT, final, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ALL.values(), ids=ALL)
def test_masked_patches_and_gradients_at_two_sizes(name):
    torch.manual_seed(0)
    config = config_of(name)
    network = tiny_network(config=config).train()
    patch = network.patch_size
    for rows, columns in ((3, 5), (4, 2)):
        network.zero_grad()
        images, mask = torch.randn(2, 3, rows * patch, columns * patch), torch.zeros(2, rows, columns, dtype=torch.bool)
        mask[:, :1] = True
        features = network.encoder(images, mask, seeds=[1, 2], recompute=True)
        assert features.patches.shape == features.auxiliary.shape == (2, 48, rows, columns)
        assert features.global_token().shape == (2, 48)
        (features.patches.square().mean() + features.global_token().sum()).backward()
        for block in network.encoder.blocks:
            gradients = [p.grad for p in block.parameters() if p.grad is not None]
            assert len(gradients) == len(list(block.parameters()))
            assert all(gradient.isfinite().all() for gradient in gradients)
            assert any(gradient.any() for gradient in gradients)
        assert network.encoder.mask_token.grad is not None
        assert network.encoder.mask_token.grad.any()


@pytest.mark.parametrize("name", ROTARY.values(), ids=ROTARY)
def test_where_a_patch_lies_matters(name):
    """Two equal images but for a swap of patches: without positions the map would be the same but for the swap."""
    config = config_of(name, 2, 2)
    vit = vit_of(config)
    if vit.pos_embed is not None:
        nn.init.zeros_(vit.pos_embed)
    images = images_of(vit, 2, 2)
    encoder = Encoder(parts_of(vit, name), config).eval()
    with torch.no_grad():
        rolled = encoder.patch_map(images.roll(images.shape[-1] // 2, -1))
        assert not torch.allclose(rolled, encoder.patch_map(images).roll(1, -1), atol=1e-2)


@pytest.mark.parametrize("name", ALL.values(), ids=ALL)
def test_a_saved_network_gives_the_same(name, tmp_path):
    network = tiny_network(config=config_of(name))
    save_network(network, tmp_path / "network.safetensors")
    loaded = load_network(tmp_path / "network.safetensors")
    images = torch.randn(1, 3, 2 * network.patch_size, 4 * network.patch_size)
    with torch.no_grad():
        assert torch.equal(loaded(images).segmentation, network(images).segmentation)


def test_learned_frequencies_are_trained():
    network = tiny_network(config=config_of("vit_small_patch16_rope_mixed_224")).train()
    network.encoder(torch.randn(1, 3, 48, 80)).patches.square().sum().backward()
    assert network.encoder.rotary is not None
    assert network.encoder.rotary.rope.freqs.grad.any()


def test_patches_that_are_not_square():
    config = NetworkConfig(
        encoder="vit_tiny_patch16_224", weights="none", encoder_options={**SMALL, "patch_size": (16, 8)}
    )
    with pytest.raises(TagsegError, match="patches of 16x8 pixels, expected square ones"):
        parts_of(create_vit(config), config.encoder)

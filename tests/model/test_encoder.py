"""The encoder on its own: other ViTs, mask token, auxiliary layer, aggregation."""

import copy
import dataclasses

import pytest
import torch
from timm.models.vision_transformer import ParallelThingsBlock
from torch import nn

from tagseg.errors import TagsegError
from tagseg.model.config import NetworkConfig
from tagseg.model.encoder import Encoder
from tagseg.model.heads import CrossAttentionBlock
from tagseg.model.pretrained import create_vit
from tagseg.model.vit_parts import parts_of

from ..conftest import TINY, tiny_network

SMALL = {"embed_dim": 48, "depth": 3, "num_heads": 3}
NO_CLASS_TOKEN = {"class_token": False, "global_pool": "avg", "fc_norm": False}


def config_of(encoder, img_size=64, **options):
    return NetworkConfig(encoder=encoder, weights="none", encoder_options={"img_size": img_size, **SMALL, **options})


def encoder_of(config):
    torch.manual_seed(0)
    return Encoder(parts_of(create_vit(config), config.encoder), config).eval()


def randomise(vit):
    """Biases, norms, layer scale and tokens that are not at their neutral start, so that a forgotten one shows."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in vit.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    return vit.eval()


@pytest.fixture
def images():
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


PATCHES_ONLY = {
    "plain ViT": ("vit_tiny_patch16_224", NO_CLASS_TOKEN),
    "layer scale": ("vit_tiny_patch16_224", {**NO_CLASS_TOKEN, "init_values": 0.5}),
    "SigLIP has no class token": ("vit_base_patch16_siglip_224", {}),
    "CLIP normalises before the blocks": ("vit_base_patch16_clip_224", NO_CLASS_TOKEN),
    "average pooling": ("vit_medium_patch16_gap_240", {}),
    "registers": ("vit_small_patch14_reg4_dinov2", {**NO_CLASS_TOKEN, "patch_size": 16}),
    "registers with positions": ("vit_tiny_patch16_224", {**NO_CLASS_TOKEN, "reg_tokens": 2}),
}


@pytest.mark.parametrize(("name", "options"), PATCHES_ONLY.values(), ids=PATCHES_ONLY)
def test_without_class_token_the_map_is_that_of_timm(name, options, images):
    config = config_of(name, **options)
    vit = randomise(create_vit(config))
    with torch.no_grad():
        theirs = vit.forward_features(images)[:, vit.num_prefix_tokens :]
        ours = Encoder(parts_of(vit, config.encoder), config).eval().patch_map(images)
    torch.testing.assert_close(ours.flatten(2).transpose(1, 2), theirs, rtol=1e-4, atol=1e-4)


def test_a_norm_behind_the_pooling_is_taken_where_there_is_no_other(images):
    config = config_of("vit_tiny_patch16_224", class_token=False, global_pool="avg", fc_norm=True)
    vit = randomise(create_vit(config))
    assert isinstance(vit.norm, nn.Identity)
    with torch.no_grad():
        theirs = vit.fc_norm(vit.forward_features(images))
        ours = Encoder(parts_of(vit, config.encoder), config).eval().patch_map(images)
    torch.testing.assert_close(ours.flatten(2).transpose(1, 2), theirs, rtol=1e-4, atol=1e-4)


OTHERS = {
    "DINOv2, patch 14, registers": ("vit_small_patch14_reg4_dinov2", 56),
    "SigLIP": ("vit_base_patch16_siglip_224", 64),
    "CLIP": ("vit_base_patch16_clip_224", 64),
    "average pooling": ("vit_medium_patch16_gap_240", 64),
    "distilled DeiT": ("deit_tiny_distilled_patch16_224", 64),
}


@pytest.mark.parametrize(("name", "size"), OTHERS.values(), ids=OTHERS)
def test_other_vits_run_at_their_size_and_at_another(name, size):
    network = tiny_network(config=dataclasses.replace(TINY, encoder=name, encoder_options={"img_size": size, **SMALL}))
    patch = network.patch_size
    for grid in ((size // patch, size // patch), (3, 5)):
        images = torch.randn(1, 3, grid[0] * patch, grid[1] * patch)
        output = network(images, torch.zeros(1, *grid, dtype=torch.bool))
        assert output.segmentation.shape == (1, 4, *grid)
        assert output.features.global_token().shape == (1, 48)
        assert all(
            torch.isfinite(t).all() for t in (output.segmentation, output.features.global_token(), output.aux_logits)
        )


def test_a_distilled_deit_keeps_each_patch_at_its_own_position():
    vit = randomise(create_vit(config_of("deit_tiny_distilled_patch16_224")))
    positions = Encoder(parts_of(vit, TINY.encoder), TINY).positions
    assert positions is not None
    assert torch.equal(positions, vit.pos_embed[:, 2:])  # class and distillation token come first


def test_the_mask_token_replaces_masked_patches_before_positions_are_added(images):
    encoder = encoder_of(config_of("vit_tiny_patch16_224"))
    mask = torch.rand(2, 4, 4, generator=torch.Generator().manual_seed(2)) < 0.4
    unmasked, grid = encoder.embed(images)
    masked, _ = encoder.embed(images, mask)
    assert grid == (4, 4)
    flat = mask.flatten(1)
    token = (encoder.mask_token + encoder.positions).expand(2, -1, -1)
    assert torch.equal(masked[flat], token[flat])
    assert torch.equal(masked[~flat], unmasked[~flat])


def test_what_is_under_the_mask_does_not_matter_and_what_is_not_does(images):
    encoder = encoder_of(config_of("vit_tiny_patch16_224"))
    mask = torch.zeros(2, 4, 4, dtype=torch.bool)
    mask[:, :2] = True
    hidden, visible = images.clone(), images.clone()
    hidden[:, :, :32] = 5.0
    visible[:, :, 32:] = 5.0
    reference = encoder(images, mask).patches
    assert torch.equal(encoder(hidden, mask).patches, reference)
    assert not torch.allclose(encoder(visible, mask).patches, reference)


def test_a_size_that_is_no_multiple_of_the_patch_is_refused():
    with pytest.raises(TagsegError, match=r"64x70 pixels, expected multiples of the patch size \(16\)"):
        encoder_of(config_of("vit_tiny_patch16_224"))(torch.zeros(1, 3, 64, 70))


def test_blocks_without_an_attention_of_their_own_are_refused_in_one_line():
    config = config_of("vit_tiny_patch16_224")
    config = dataclasses.replace(config, encoder_options={**config.encoder_options, "block_fn": ParallelThingsBlock})
    with pytest.raises(TagsegError, match="blocks of the kind ParallelThingsBlock, expected blocks with one attention"):
        encoder_of(config)


def test_the_auxiliary_map_is_not_normalised_and_the_final_one_is(images):
    encoder = encoder_of(dataclasses.replace(config_of("vit_tiny_patch16_224"), aux_layer=-1))
    features = encoder(images)
    normed = encoder.norm(features.auxiliary.flatten(2).transpose(1, 2))
    torch.testing.assert_close(normed, features.patches.flatten(2).transpose(1, 2))
    assert not torch.allclose(features.auxiliary, features.patches)


@pytest.mark.parametrize("layer", [-4, -12])
def test_an_auxiliary_layer_that_does_not_exist(layer):
    with pytest.raises(TagsegError, match=rf"aux_layer is {layer}, expected -3 to -1: .* has 3 blocks"):
        encoder_of(dataclasses.replace(config_of("vit_tiny_patch16_224"), aux_layer=layer))


@pytest.mark.parametrize(("pooling", "pool"), [("average", torch.mean), ("max", torch.amax)])
def test_the_global_token_can_be_a_pooled_map(images, pooling, pool):
    encoder = encoder_of(dataclasses.replace(config_of("vit_tiny_patch16_224"), aggregation=pooling))
    encoder.norm = nn.Identity()
    features = encoder(images)
    torch.testing.assert_close(features.global_token(), pool(features.patches, (2, 3)))
    assert len(encoder.aggregation) == 0


def test_cross_attention_equals_that_of_pytorch():
    torch.manual_seed(0)
    block = CrossAttentionBlock(48, heads=3)
    reference = nn.MultiheadAttention(48, 3, batch_first=True)
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        parts = (block.query, block.key, block.value)
        reference.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
        reference.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
        reference.out_proj.load_state_dict(block.out.state_dict())
        token, patches = torch.randn(2, 1, 48), torch.randn(2, 16, 48)
        normed = block.norm1(patches)
        expected = token + reference(block.norm1(token), normed, normed)[0]
        expected = expected + block.mlp(block.norm2(expected))
        torch.testing.assert_close(block(token, patches), expected, rtol=1e-4, atol=1e-5)


def test_the_global_token_does_not_reach_the_patches(images):
    encoder = encoder_of(config_of("vit_tiny_patch16_224"))
    other = copy.deepcopy(encoder)
    with torch.no_grad():
        other.class_token.add_(1.0)
    assert torch.equal(encoder(images).patches, other(images).patches)
    assert not torch.allclose(encoder(images).global_token(), other(images).global_token())
    torch.testing.assert_close(encoder.patch_map(images), encoder(images).patches)


def test_the_drop_path_rate_rises_linearly():
    rates = [
        getattr(block.drop_path1, "drop_prob", 0.0) for block in encoder_of(config_of("vit_tiny_patch16_224")).blocks
    ]
    assert rates == pytest.approx([0.0, 0.05, 0.1])

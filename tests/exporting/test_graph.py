import dataclasses

import pytest
import timm
import torch
from torch.nn import functional as F

from tagseg.exporting.graph import ExportGraph

from ..conftest import TINY, assert_refused, tiny_network

FAMILIES = (
    "deit_tiny_patch16_224", "deit_tiny_distilled_patch16_224", "deit3_small_patch16_224", "vit_base_patch16_xp_224",
    "vit_small_patch14_reg4_dinov2", "vit_base_patch16_clip_224", "vit_base_patch16_siglip_224",
    "eva_giant_patch14_224", "eva02_tiny_patch14_224", "eva02_base_patch16_clip_224",
    "vit_medium_patch16_rope_reg1_gap_256", "vit_pe_core_tiny_patch16_384", "vit_pe_spatial_tiny_patch16_512",
    "vit_small_patch16_rope_224", "vit_small_patch16_rope_mixed_224", "vit_small_patch16_rope_mixed_ape_224",
    "vit_small_patch16_dinov3",
)  # fmt: skip
"""One of each row of docs/encoders.md, at least."""


def family(name, frozen=True):
    """A small network of a family with random weights everywhere; ``frozen``: the decoder and prior of frozen mode."""
    if not timm.is_model(name):
        pytest.skip(f"timm {timm.__version__} has no {name}")
    patch = 14 if "patch14" in name else 16
    options = {"embed_dim": 48, "depth": 2, "num_heads": 3, "img_size": (3 * patch, 5 * patch)}
    config = dataclasses.replace(TINY, encoder=name, encoder_options=options, aux_layer=-1)
    if frozen:
        config = dataclasses.replace(config, decoder="conv", tag_prior=True)
    network = tiny_network(config=config)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return network


def images_of(network, rows, columns, batch=1):
    patch = network.patch_size
    return 255 * torch.rand((batch, rows * patch, columns * patch, 3), generator=torch.Generator().manual_seed(2))


@torch.no_grad()
def logits_of(network, images):
    return network.segment_logits(network.normalise(images.permute(0, 3, 1, 2)))


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_gives_the_logits_of_its_network(name):
    network = family(name)
    free, fixed = ExportGraph(network), ExportGraph(network, 4 * network.patch_size)
    for rows, columns in ((3, 5), (4, 4), (2, 7)):
        images = images_of(network, rows, columns, batch=2)
        torch.testing.assert_close(free(images), logits_of(network, images), rtol=1e-4, atol=1e-4)
    images = images_of(network, 4, 4)
    torch.testing.assert_close(fixed(images), logits_of(network, images), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("frozen", [True, False])
def test_both_decoders_and_the_prior(frozen):
    network = family("deit_tiny_patch16_224", frozen)
    images = images_of(network, 3, 4)
    torch.testing.assert_close(ExportGraph(network)(images), logits_of(network, images), rtol=1e-4, atol=1e-4)


def test_the_network_stays_as_it_was(tiny):
    before = {name: value.clone() for name, value in tiny.state_dict().items()}
    graph = ExportGraph(tiny, 16)
    assert tiny.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[name]) for name, value in tiny.state_dict().items())
    assert not any("projector" in name or "classifier" in name for name, _ in graph.named_parameters())
    assert not any(parameter.requires_grad for parameter in graph.parameters())


def test_a_label_map_at_the_size_of_the_input(tiny):
    images = images_of(tiny, 3, 4, batch=2)
    logits, labels = ExportGraph(tiny, labels=True)(images)
    assert labels.dtype == torch.uint8
    planes = F.interpolate(logits, size=images.shape[1:3], mode="bilinear", align_corners=False)
    assert torch.equal(labels.long(), planes.argmax(dim=1))
    assert len(labels.unique()) > 1


def test_the_size_of_a_photos_input(tiny):
    free, fixed = ExportGraph(tiny), ExportGraph(tiny, 32)
    assert free.input_size(100, 61) == (96, 64)
    assert free.input_size(2048, 1024) == (1024, 512), "as predict shrinks it"
    assert free.input_size(3, 3) == (16, 16), "two patches"
    assert fixed.input_size(100, 61) == (32, 32)


@pytest.mark.parametrize("size", [20, 0, -8])
def test_a_size_that_does_not_fit_the_patches(tiny, size):
    assert_refused(lambda: ExportGraph(tiny, size), f"size is {size}", "multiple of the patch size (8 pixels)")

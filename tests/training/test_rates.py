"""Learning rates by encoder family."""

from pathlib import Path

import pytest

from tagseg.fsr.config import OptimiserConfig
from tagseg.presets import PRESETS
from tagseg.training.rates import FAMILIES, SUPERVISED, family_of, with_rates

NAMES = {
    "deit_small_patch16_224": "DeiT",
    "deit3_base_patch16_224.fb_in22k_ft_in1k": "DeiT",
    "vit_base_patch16_224.augreg_in21k_ft_in1k": "supervised ViT",
    "vit_small_patch14_reg4_dinov2.lvd142m": "DINOv2 and DINOv3",
    "vit_small_patch16_dinov3.lvd1689m": "DINOv2 and DINOv3",
    "vit_small_patch16_224.dino": "DINO",
    "vit_base_patch16_224.mae": "MAE",
    "eva02_base_patch14_224.mim_in22k": "EVA and EVA-02",
    "eva02_base_patch16_clip_224.merged2b": "CLIP, SigLIP and PE",
    "vit_base_patch16_clip_224.openai": "CLIP, SigLIP and PE",
    "vit_base_patch16_siglip_224.v2_webli": "CLIP, SigLIP and PE",
    "vit_pe_spatial_base_patch16_512.fb": "CLIP, SigLIP and PE",
    "beitv2_base_patch16_224.in1k_ft_in1k": "BEiT",
    "something_of_ones_own": "supervised ViT",
}


@pytest.mark.parametrize("encoder", NAMES)
def test_the_family_of_a_name(encoder):
    assert family_of(encoder).name == NAMES[encoder]


def test_every_value_has_its_source_and_can_be_used():
    for family in (*FAMILIES, SUPERVISED):
        settings = with_rates(OptimiserConfig(rate=family.rate, layer_decay=family.layer_decay), "")
        assert settings.rate == family.rate, "the section itself checks the values"
        assert family.source


def test_only_a_rate_of_0_is_the_family_s():
    given = OptimiserConfig(rate=3e-3)
    assert with_rates(given, "vit_base_patch16_224.mae") is given
    by_family = with_rates(OptimiserConfig(rate=0.0), "vit_base_patch16_224.mae")
    assert (by_family.rate, by_family.layer_decay, by_family.head_factor) == (1e-4, 0.65, 10.0)
    assert with_rates(OptimiserConfig(rate=0.0, layer_decay=0.9), "vit_base_patch16_224.mae").layer_decay == 0.9


def test_the_folder_preset_trains_its_encoder_as_the_paper_preset_does():
    folder, paper = PRESETS["folder"](), PRESETS["paper"]()
    assert folder.fsr.optimiser.rate == 0
    assert with_rates(folder.fsr.optimiser, folder.network.encoder) == paper.fsr.optimiser


@pytest.mark.parametrize(("name", "rate"), [("paper", 1e-4), ("voc2012", 6e-5), ("coco2014", 6e-5), ("demo", 5e-4)])
def test_presets_with_a_rate_of_their_own_keep_it(name, rate):
    config = PRESETS[name]()
    assert with_rates(config.fsr.optimiser, config.network.encoder).rate == rate


def test_the_page_has_every_family():
    text = (Path(__file__).parents[2] / "docs" / "fine_tuning.md").read_text(encoding="utf-8")
    for family in (*FAMILIES, SUPERVISED):
        row = f"| {family.name} | {family.rate:g} | {family.layer_decay:g} | {family.source}"
        assert row in text, row

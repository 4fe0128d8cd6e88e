"""The presets hold the published numbers (table of section 8 of docs/method.md) and can be trained with."""

import re
from pathlib import Path

import pytest

from tagseg.beyond.config import BeyondConfig
from tagseg.fsr.schedules import step_of
from tagseg.presets import PRESETS, coco2014, voc2012

TABLE = {
    # steps, batch, high, low, CAM background, L_seg from, L_aff from, masks random until, warm-up
    "voc2012": (20_000, 8, 0.70, 0.25, 0.50, 2_000, 0, 4_000, 1_500),
    "coco2014": (80_000, 8, 0.65, 0.25, 0.45, 8_000, 12_000, 16_000, 1_500),
}


@pytest.mark.parametrize("name", TABLE)
def test_the_published_table(name):
    c = PRESETS[name]()
    fsr = c.fsr
    starts = (fsr.losses.segmentation_from, fsr.losses.affinity_from, fsr.mask.random_until, fsr.optimiser.warmup)
    steps = tuple(step_of(when, c.run.steps) for when in starts)
    thresholds = (fsr.labels.high, fsr.labels.low, fsr.cam.background_threshold)
    assert (c.run.steps, c.run.batch, *thresholds, *steps) == TABLE[name]


@pytest.mark.parametrize("config", [voc2012(), coco2014()], ids=["voc2012", "coco2014"])
def test_what_both_published_trainings_share(config):
    assert config.views.size == 448
    assert config.network.encoder.startswith("vit_base_patch16_224")
    fsr, optimiser, losses = config.fsr, config.fsr.optimiser, config.fsr.losses
    assert (fsr.mask.ratio, fsr.mask.block) == (0.4, 64)
    assert fsr.cam.scales == (1.0, 0.5, 1.5)
    assert (optimiser.rate, optimiser.head_factor, optimiser.weight_decay) == (6e-5, 10, 0.05)
    weights = (losses.uncertain, losses.certain, losses.affinity, losses.segmentation, losses.energy)
    assert weights == (0.1, 0.1, 0.2, 0.1, 0.05)
    assert fsr.distillation.teacher_momentum == (0.9995, 1.0)
    assert (fsr.partition.low, fsr.partition.high) == (0.2, 0.7)


def test_coco_is_scored_on_its_first_5000_images_while_training():
    assert coco2014().run.val_limit == 5_000


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_says_its_command_and_its_score(name):
    text = PRESETS[name].__doc__ or ""
    assert re.search(r"Command: ``tagseg (train|demo)", text)
    assert re.search(r"[Ss]core", text)


def test_the_demo_needs_no_download():
    network = PRESETS["demo"]().network
    assert network.weights == "none" or Path(network.weights).is_absolute()


def test_the_folder_preset_is_the_paper_s_but_for_labels_and_start():
    ours, theirs = (
        {f"{name}.{key}": value for name, section in config.sections().items() for key, value in vars(section).items()}
        for config in (PRESETS["folder"](), PRESETS["paper"]())
    )
    assert {name for name, value in ours.items() if value != theirs[name]} == {
        "beyond.decoder_start", "beyond.labels", "beyond.fit_classifiers", "losses.segmentation",
        "losses.segmentation_from", "losses.affinity", "losses.energy", "optimiser.rate",
    }  # fmt: skip


def test_the_demo_shows_the_default_s_labels():
    demo, folder = PRESETS["demo"](), PRESETS["folder"]()
    assert demo.beyond.labels == folder.beyond.labels == "boundary"
    assert demo.fsr.losses == folder.fsr.losses


@pytest.mark.parametrize("name", ["paper", "voc2012", "coco2014"])
def test_nothing_beyond_the_paper_is_on_in_its_presets(name):
    assert PRESETS[name]().beyond == BeyondConfig()


def test_by_default_nothing_beyond_the_paper_is_on():
    default = BeyondConfig()
    assert default.labels == "cam"
    assert not default.fit_classifiers
    assert (default.decoder_start, default.pool, default.repeat_below) == (1.0, 0.0, 0.0)
    assert default.teacher_sharpness == 0

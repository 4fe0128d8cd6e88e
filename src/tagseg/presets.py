"""The published settings and ours: every number once, with its source, its command and the score to expect."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tagseg.config import Config, RunConfig, replace
from tagseg.data.config import DataConfig, ViewConfig
from tagseg.frozen.config import FrozenConfig
from tagseg.fsr.config import (
    CamConfig,
    DistillationConfig,
    FSRConfig,
    LabelConfig,
    LossConfig,
    MaskConfig,
    OptimiserConfig,
)
from tagseg.model.config import NetworkConfig

DEMO_WEIGHTS = Path(__file__).parent / "app" / "weights" / "scenes_vit.safetensors"
"""Encoder of the demo, pretrained by ``benchmarks/pretrain_demo_encoder.py`` on tags of invented things."""


def voc2012() -> Config:
    """PASCAL VOC 2012 as published (docs/method.md): 20,000 steps of 8 images at 448 px, ViT-B/16.

    Command: ``tagseg train --preset voc2012 --data.root VOCdevkit/VOC2012``
    Published score: 75.7 mIoU on val, multi-scale with dense CRF (docs/method.md). Ours: not measured.
    """
    return Config(
        data=DataConfig(source="voc", root="VOCdevkit/VOC2012", train_split="train_aug", val_split="val"),
        views=ViewConfig(size=448),
        method=FSRConfig(
            cam=CamConfig(scales=(1.0, 0.5, 1.5), background_threshold=0.5),
            mask=MaskConfig(choice="uncertain", ratio=0.4, block=64, random_until=4_000),
            labels=LabelConfig(high=0.7, low=0.25),
            losses=LossConfig(segmentation_from=2_000, affinity_from=0),
            distillation=DistillationConfig(temperature_warmup=0.125),
            optimiser=OptimiserConfig(rate=6e-5, warmup=1_500),
        ),
        run=RunConfig(output="runs/voc2012", steps=20_000, batch=8, validate_every=2_000),
    )


def coco2014() -> Config:
    """MS COCO 2014 as published (docs/method.md): 80,000 steps of 8 images at 448 px, ViT-B/16.

    Command: ``tagseg train --preset coco2014 --data.root coco``
    Published score: 45.5 mIoU on val (docs/method.md). Ours: not measured.
    """
    return Config(
        data=DataConfig(
            source="coco",
            root="coco",
            train_split="train2014",  # 82,081 images with a tag
            val_split="val2014",  # 40,137
            untagged=False,
        ),
        views=ViewConfig(size=448),
        method=FSRConfig(
            cam=CamConfig(scales=(1.0, 0.5, 1.5), background_threshold=0.45),
            mask=MaskConfig(choice="uncertain", ratio=0.4, block=64, random_until=16_000),
            labels=LabelConfig(high=0.65, low=0.25),
            losses=LossConfig(segmentation_from=8_000, affinity_from=12_000),
            distillation=DistillationConfig(temperature_warmup=0.125),
            optimiser=OptimiserConfig(rate=6e-5, warmup=1_500),
        ),
        run=RunConfig(output="runs/coco2014", steps=80_000, batch=8, validate_every=8_000, val_limit=5_000),
    )


def paper() -> Config:
    """The published recipe on anyone's own photos with a tags file: a small encoder at 224 px, schedules as shares.

    Command: ``tagseg train --preset paper --data.root photos``
    The score depends on the photos. ``docs/voc20mix.md`` has one that was measured with a like configuration.
    """
    return Config(
        data=DataConfig(source="folder", root="."),
        network=NetworkConfig(encoder="deit_small_patch16_224"),
        views=ViewConfig(size=224),
        method=FSRConfig(
            cam=CamConfig(scales=(1.0, 0.5, 1.5), background_threshold=0.5),
            mask=MaskConfig(block=32),
            distillation=DistillationConfig(teacher_momentum=(0.99, 1.0)),
            optimiser=OptimiserConfig(rate=1e-4),
        ),
        run=RunConfig(output="runs/folder", steps=4_000, batch=8),
    )


def boundary_prior(config: Config) -> Config:
    """The same with pseudo-labels from the boundary prior and classifiers fitted beforehand (``docs/experiments.md``).

    L_seg has those labels from the first step. L_aff and L_reg, which improve labels made from CAMs, are off.
    """
    return replace(
        config,
        beyond={"labels": "boundary", "fit_classifiers": True, "decoder_start": 0.1},
        losses={"segmentation": 1.0, "segmentation_from": 0, "affinity": 0.0, "energy": 0.0},
    )


def folder() -> Config:
    """Anyone's own photos with image-level labels: ``paper`` with pseudo-labels from the boundary prior.

    Command: ``tagseg train photos --preset folder``
    The score depends on the photos. ``docs/experiments.md`` compares both in short trainings.
    """
    return replace(boundary_prior(paper()), optimiser={"rate": 0.0})  # by the encoder's family; DeiT's is the same


def frozen() -> Config:
    """Anyone's own photos with image-level labels: a decoder on the features of a frozen encoder, in minutes.

    Command: ``tagseg train photos``, by default
    The score depends on the photos. ``docs/frozen.md`` has those of PASCAL VOC's photos of animals.
    """
    return Config(
        data=DataConfig(source="folder", root="."),
        network=NetworkConfig(
            encoder="deit_small_patch16_224",
            aux_layer=-4,
            decoder="conv",
            decoder_width=256,
            tag_prior=True,
            drop_path=0.0,
        ),
        method=FrozenConfig(),
        run=RunConfig(output="runs/frozen", steps=0, batch=16),
    )


def demo() -> Config:
    """Scenes the package draws itself and the small encoder it ships: a training of minutes on two CPU cores.

    Command: ``tagseg demo``
    Score: ``docs/demo.md``.
    """
    config = Config(
        data=DataConfig(source="scenes", root="runs/demo", scenes=400),
        network=NetworkConfig(
            encoder="vit_tiny_patch16_224",
            encoder_options={"img_size": 128, "patch_size": 8, "embed_dim": 128, "depth": 6, "num_heads": 4},
            weights=str(DEMO_WEIGHTS),
            decoder_width=128,
            projector_width=256,
            projector_bottleneck=64,
            prototypes=512,
        ),
        views=ViewConfig(size=128),
        method=FSRConfig(
            cam=CamConfig(scales=(1.0, 0.5), background_threshold=0.25),  # low, which favours the plain CAM
            mask=MaskConfig(block=32),
            distillation=DistillationConfig(teacher_momentum=(0.99, 1.0)),
            optimiser=OptimiserConfig(rate=5e-4, head_factor=2.0),
        ),
        run=RunConfig(
            output="runs/demo", steps=360, batch=4, logger="csv", accelerator="cpu", workers=0, validate_every=0.5
        ),
    )
    prior = {"boundary_size": 192, "foreground_share": 0.2}  # a fifth of a scene is objects
    return replace(boundary_prior(config), beyond=prior)


PRESETS: dict[str, Callable[[], Config]] = {
    "voc2012": voc2012,
    "coco2014": coco2014,
    "frozen": frozen,
    "folder": folder,
    "paper": paper,
    "demo": demo,
}

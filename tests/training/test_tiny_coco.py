"""COCO photos train and evaluate straight from their annotations, by command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tagseg.cli import main

pytestmark = pytest.mark.slow

TINY_COCO = Path(__file__).parents[3] / "shared" / "data" / "tiny_coco"


@pytest.mark.skipif(not TINY_COCO.is_dir(), reason=f"no development data at {TINY_COCO}")
def test_trains_and_evaluates_without_a_conversion_step(tmp_path: Path) -> None:
    run = tmp_path / "run"
    options = '{"img_size": 64, "embed_dim": 48, "depth": 3, "num_heads": 3}'
    train = (
        f"train --data.source coco --data.root {TINY_COCO} --data.train_split train2017 --data.val_split val2017 "
        f"--run.output {run} --run.steps 4 --run.batch 2 --run.workers 0 --run.accelerator cpu --run.logger csv "
        "--run.val_limit 4 --network.encoder vit_tiny_patch16_224 --network.weights none --network.decoder_width 16 "
        "--network.projector_width 16 --network.projector_bottleneck 8 --network.prototypes 8 --views.size 64 "
        "--mask.block 32 --losses.segmentation_from 1 --network.encoder_options"
    )
    assert main([*train.split(), options]) == 0
    assert main(["evaluate", str(run), "--limit", "6", "--size", "64", "--output", str(tmp_path)]) == 0
    report = json.loads((tmp_path / "evaluation.json").read_text())
    text = json.dumps(report)
    assert "coco" in text
    assert "val2017" in text
    assert len(list((run / "logs").rglob("metrics.csv"))) > 0

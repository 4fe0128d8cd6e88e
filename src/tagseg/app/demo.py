"""The demo: image-level labels → training → masks → pictures, on scenes that the package draws."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from tagseg import presets
from tagseg.arguments import check_kinds, check_path
from tagseg.config import Config, replace
from tagseg.config_file import NAME, read_config
from tagseg.data import sources
from tagseg.data.dataset import TaggedImages
from tagseg.errors import TagsegError
from tagseg.methods.config import with_method

logger = logging.getLogger("tagseg")

PICTURED = 6
"""Scenes in the grid picture."""
REPORT = "report.html"


def demo(output: str | Path = "runs/demo", steps: int = 360, scenes: int = 400, seed: int = 0) -> dict[str, float]:
    """Draw scenes, train on their tags on the CPU, score, and write pictures.

    Trains twice: the method, and a plain classifier whose class activation maps are the baseline. A second call resumes
    an interrupted demo.

    Args:
        output: folder of all files: ``report.html``, ``grid.png``, ``curves.png``, ``scores.json``, ``predictions/``,
            the scenes and the two runs.
        steps: of each training.
        scenes: number of training scenes; there are a quarter as many for validation.
        seed: of all random draws.

    Returns:
        mIoU on the validation scenes, 0 to 1: ``plain_cam``, ``cam``, ``segmentation``.

    Raises:
        TagsegError: the folder holds a demo with other settings, or cannot be written.
    """
    check_path("output", output, "a folder (str or Path)")
    check_kinds(locals(), steps="whole", scenes="whole", seed="whole")
    started, folder = time.monotonic(), Path(output)
    config = configuration(folder, steps, scenes, seed)
    training = sources.load(config.data, "train")  # its masks serve the grid picture alone
    scored = sources.load(config.data, "val")
    print(f"1/4 drew {len(training)} scenes for training and {len(scored)} for validation: {folder}/data/scenes")

    print(f"2/4 training a plain classifier on the tags, for comparison ({steps} steps)")
    plain_run = _train(plain_cam(config))
    print(f"3/4 training with feature self-reinforcement on the same tags ({steps} steps)")
    run = _train(config)

    print("4/4 scoring, predicting and drawing")
    scores = _score(plain_run, run, config, folder)
    _draw(plain_run, run, config, training, scored, folder)
    _print_scores(scores, folder, time.monotonic() - started)
    return scores


def configuration(folder: Path, steps: int, scenes: int, seed: int) -> Config:
    """The settings of the demo, with all files below one folder."""
    return replace(
        presets.demo(),
        data={"root": str(folder / "data"), "scenes": scenes},
        run={"output": str(folder / "fsr"), "steps": steps, "seed": seed},
    )


def plain_cam(config: Config) -> Config:
    """The baseline: a plain classifier of the same encoder, data and steps."""
    run = {"output": str(Path(config.run.output).with_name("plain_cam"))}
    return replace(with_method(config, "classifier"), beyond={"labels": "cam"}, data={"val_split": ""}, run=run)


def _train(config: Config) -> Path:
    """Train, or resume an interrupted training with the same settings."""
    from tagseg.training.train import train

    folder = Path(config.run.output)
    if (folder / "last.ckpt").exists():
        if read_config(folder / NAME) != config:
            raise TagsegError(
                f"{folder} holds a demo with other settings: choose another --output, or delete {folder.parent}"
            )
        logger.info("%s: resuming the training in it", folder)
        return train(config, resume=folder).folder
    return train(config).folder


def _score(plain_run: Path, run: Path, config: Config, folder: Path) -> dict[str, float]:
    """mIoU of the CAMs of both networks, with tags, and of the segmentation of the method, without; the report."""
    from tagseg.inference.evaluate import evaluate
    from tagseg.inference.export import save_json
    from tagseg.reporting.report import report

    threshold = config.fsr.cam.background_threshold
    plain = evaluate(
        plain_run, config.data, what="cam", scales=config.fsr.cam.scales, background_threshold=threshold, quiet=True
    )
    (measured,) = report(run, folder / REPORT, scales=(1.0,), quiet=True).runs
    assert measured.scores is not None  # scenes have masks
    assert measured.cam is not None  # and tags
    measured.scores.save(folder / "evaluation")
    results = {"plain_cam": plain.result, "cam": measured.cam.result, "segmentation": measured.scores.result}
    scores = {name: result.mean_iou for name, result in results.items()}
    save_json(folder / "scores.json", dict(scores))
    return scores


def _draw(
    plain_run: Path, run: Path, config: Config, training: TaggedImages, scored: TaggedImages, folder: Path
) -> None:
    """The grid picture of training scenes, the training curves, and the predictions of validation scenes."""
    from tagseg.beyond.offline_labels import label_file
    from tagseg.data.masks import MaskFile
    from tagseg.inference.export import save_picture
    from tagseg.inference.predict import predict
    from tagseg.model.checkpoint import load_network
    from tagseg.reporting.curves import PANELS, training_curves
    from tagseg.reporting.explain import explain
    from tagseg.reporting.logs import read_logs
    from tagseg.reporting.pictures import grid_picture

    network, plain = load_network(run), load_network(plain_run)
    rows = []
    for sample in training.samples[:PICTURED]:
        label = MaskFile(label_file(run / "labels", sample.name), sample.image, len(network.classes))
        rows.append(explain(network, sample, config, plain, label()))
    save_picture(folder / "grid.png", grid_picture(rows, network.classes))
    training_curves(read_logs(run), folder / "curves.png", panels=PANELS)
    photos = [sample.image for sample in scored.samples]
    predict(network, photos, folder / "predictions", scales=(1.0,), quiet=True)


def _print_scores(scores: dict[str, float], folder: Path, seconds: float) -> None:
    print(f"\nmIoU on validation scenes ({seconds / 60:.1f} minutes in total):")
    for name, what in (
        ("plain_cam", "CAM of a plain classifier, with image-level labels (baseline)"),
        ("cam", "CAM of the trained network, with image-level labels"),
        ("segmentation", "segmentation of the trained network, without"),
    ):
        print(f"  {100 * scores[name]:5.1f} %  {what}")
    print(f"pictures: {folder}/grid.png, {folder}/curves.png, {folder}/predictions/overlays")
    print(f"all of it on one page: {folder}/{REPORT}")
    print("not used: the method frozen, the default for photos; this small encoder does not suit it (docs/demo.md)")

"""The stages of the method ``frozen`` beside plain CAMs and the same networks trained on ground-truth masks.

    python benchmarks/experiments/stages.py [--quick] [--data animals|voc20mix] [--photos 1044] [--seeds 3]
        [--tuning STEPS] [--crf] [--runs FOLDER]

All are scored on ``val`` at native size, one scale, mirrored; networks see animals at native size, and voc20mix, whose
photos are small, at 320 px, as in training. CAMs and labels are told the tags, networks are not.
``--tuning``: also train each network as a whole for so many steps from there, and average its weights with those before
(docs/fine_tuning.md). ``--crf``: also the default and the averages after the dense CRF. ``--runs`` keeps the trainings;
finished ones are not repeated. Each row is logged as it is measured. Development data needed.
``--quick``: 60 photos at 160 px, 30 steps, one seed, 20 photos of ``val``. Prints a table and, last, one line of JSON:
mIoU in % by row and seed.
"""

from __future__ import annotations

import argparse
import copy
import logging
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))  # for ``shared`` and ``minutes``

import tagseg
from minutes import subset
from shared import ANIMALS, PHOTOS, WEIGHTS, arguments_of, machine, print_json, require, table
from tagseg.beyond.boundary_prior import fit_boundary_prior
from tagseg.beyond.weight_average import set_to_average
from tagseg.config import Config, replace
from tagseg.data import sources
from tagseg.data.dataset import TaggedImages
from tagseg.data.images import read_image
from tagseg.fast.dense_crf import crf_labels
from tagseg.frozen.config import FrozenConfig
from tagseg.frozen.features import FrozenFeatures, frozen_features
from tagseg.frozen.labels import fit_to_some, foreground_planes
from tagseg.inference.evaluate import evaluate
from tagseg.inference.segment import Sizing, resize, to_input, upsample
from tagseg.metrics.segmentation import SegmentationResult, SegmentationScore
from tagseg.model.checkpoint import load_network
from tagseg.model.network import Network
from tagseg.pairwise.config import PUBLISHED_CRF
from tagseg.progress import with_progress

TUNING: dict[str, dict[str, Any]] = {
    "network": {"decoder": "conv", "decoder_width": 256, "aux_layer": -4, "tag_prior": True},
    "views": {"size": 320}, "mask": {"choice": "none"},
    "beyond": {"fit_classifiers": False, "decoder_start": 0.0},
    "optimiser": {"rate": 2e-5, "layer_decay": 0.75},
}  # fmt: skip
"""Training of the whole network from a decoder on frozen features, without the method's masking."""
SOURCES = {"tags": "spectral", "masks": "masks"}
"""What is learnt from, and its ``labels.source``."""
SIZE = {"animals": None, "voc20mix": 320}
"""Side in pixels at which networks see the photos of ``val``; ``None``: native size."""

Rows = dict[str, list[float]]
Networks = Mapping[tuple[str, int], Network]
"""By row and seed."""


def main() -> None:
    """Train, score, print."""
    arguments = parsed()
    require(ANIMALS, PHOTOS, WEIGHTS)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    with tempfile.TemporaryDirectory() as scratch:
        runs = Path(arguments.runs or scratch)
        config = configuration(arguments, runs)
        rows = label_rows(config, arguments.limit)
        rows |= network_rows(config, runs, arguments)
    printed = [(name, f"{mean(values):.1f}", " ".join(f"{v:.1f}" for v in values)) for name, values in rows.items()]
    table(f"{arguments.data}, {machine()}", ("stage", "mIoU %", "seeds"), printed)
    print_json({"data": arguments.data, "mean_iou": {name: [round(v, 2) for v in vs] for name, vs in rows.items()}})


def parsed() -> argparse.Namespace:
    """The arguments."""
    parser = parser_of(__doc__, "animals")
    parser.add_argument("--tuning", type=int, default=0, help="steps of training the whole network from there")
    parser.add_argument("--crf", action="store_true", help="also score after the dense CRF")
    return with_limits(parser.parse_args())


def parser_of(description: str | None, data: str) -> argparse.ArgumentParser:
    """A parser of what all have: photos, seeds, folder of the trainings."""
    parser = arguments_of(description, "60 photos at 160 px, 30 steps, one seed, 20 photos of val")
    parser.add_argument("--data", choices=("animals", "voc20mix"), default=data, help="photos")
    parser.add_argument("--photos", type=int, default=1_044, help="number of training photos of animals")
    parser.add_argument("--seeds", type=int, default=3, help="number of trainings")
    parser.add_argument("--runs", default="", help="folder to keep the trainings in")
    return parser


def with_limits(arguments: argparse.Namespace) -> argparse.Namespace:
    """The arguments with ``limit``, the number of photos of ``val`` (0: all), and what ``--quick`` leaves out."""
    arguments.limit = 0
    if arguments.quick:
        arguments.photos, arguments.seeds, arguments.limit = 60, 1, 20
    return arguments


def configuration(arguments: argparse.Namespace, runs: Path) -> Config:
    """The preset on the photos; nothing is scored while training."""
    data = {"source": "voc", "root": str(PHOTOS)}
    if arguments.data == "animals":
        photos = runs / f"photos{arguments.photos}"
        root = photos if photos.exists() else subset(photos, arguments.photos)
        data = {"source": "folder", "root": str(root), "outside": "allow"}  # its folders are links
    config = replace(
        tagseg.PRESETS["frozen"](),
        data=data,
        network={"encoder": "deit_tiny_patch16_224", "weights": str(WEIGHTS)},
        features={"folder": str(runs / "features"), "size": 160 if arguments.quick else 320},
        run={"validate_every": 0, "accelerator": "cpu"},
    )
    return replace(config, run={"steps": 30}) if arguments.quick else config


def network_rows(config: Config, runs: Path, arguments: argparse.Namespace) -> Rows:
    """Train and score the networks of all seeds; those on frozen features share their encoder, and so one pass."""
    val, size = validation_images(config, arguments.limit), SIZE[arguments.data]
    frozen: dict[tuple[str, int], Network] = {}
    for seed in range(arguments.seeds):
        for kind in SOURCES:
            settings = supervised(config, runs, kind, seed)
            frozen[f"+ tag prior, {kind}", seed] = trained(settings)
            frozen[f"decoder, {kind}", seed] = without_prior(trained(settings))
    priors = [key for key in frozen if arguments.crf and key[0].startswith("+ tag prior")]
    scores = scores_of(frozen, val, size, priors)
    for kind, seed in each(arguments.seeds if arguments.tuning else 0):
        tuned = trained(tuning(config, runs, kind, seed, arguments.tuning))
        scores |= scores_of({(f"+ fine-tuning, {kind}", seed): tuned}, val, size)
        key = f"+ fine-tuning, weights averaged, {kind}", seed
        average = average_of(frozen[f"+ tag prior, {kind}", seed], tuned)
        scores |= scores_of({key: average}, val, size, [key] if arguments.crf else [])
    rows: Rows = {}
    for (name, _), value in sorted(scores.items()):
        rows.setdefault(name, []).append(value)
    options: dict[str, Any] = {"scales": (1.0,), "size": size, "limit": arguments.limit, "quiet": True}
    cam = evaluate(frozen["+ tag prior, tags", 0], config.data, what="cam", **options)
    rows["CAM, told the tags"] = [100 * cam.result.mean_iou]
    return rows


def each(seeds: int) -> list[tuple[str, int]]:
    """Supervision and seed of each training."""
    return [(kind, seed) for kind in SOURCES for seed in range(seeds)]


def supervised(config: Config, runs: Path, kind: str, seed: int) -> Config:
    """The training of a decoder on frozen features from ``tags`` or ``masks``."""
    run = {"output": str(runs / f"{kind}_{seed}"), "seed": seed}
    return replace(config, labels={"source": SOURCES[kind]}, run=run)


def average_of(start: Network, trained: Network) -> Network:
    """The network that ``--beyond.start_share 0.5`` gives."""
    average = copy.deepcopy(trained)
    set_to_average(average, start, trained, 0.5)
    return average


def without_prior(network: Network) -> Network:
    """The same network without the tag prior."""
    network.tag_prior = None
    return network


def tuning(config: Config, runs: Path, kind: str, seed: int, steps: int) -> Config:
    """The training of the whole network that starts from a decoder on frozen features."""
    base = replace(tagseg.PRESETS["folder"](), **TUNING, data={"source": config.data.source, "root": config.data.root})
    start = {"encoder": config.network.encoder, "weights": config.network.weights}
    return replace(
        base,
        network={**start, "start": str(runs / f"{kind}_{seed}")},
        beyond={"labels": "network" if kind == "tags" else "masks"},
        run={"output": str(runs / f"tuned_{kind}_{seed}"), "seed": seed, "steps": steps, "validate_every": 0,
             "accelerator": "cpu", "collapse": "warn"},
    )  # fmt: skip


def trained(config: Config) -> Network:
    """The network of a configuration, of a finished run if there is one."""
    folder = Path(config.run.output)
    return load_network(folder if (folder / "last.safetensors").exists() else tagseg.train(config).network)


def validation_images(config: Config, limit: int) -> TaggedImages:
    """``val`` with masks."""
    return sources.load(config.data, config.data.val_split).with_masks().first(limit)


def label_rows(config: Config, limit: int) -> Rows:
    """Labels of ``val``, told the tags, by what is fitted to the training photos: boundary prior, and all scores."""
    training = sources.load(config.data, config.data.train_split, masks=False)
    val = validation_images(config, limit)
    network = Network(config.network, training.classes)
    settings = config.method
    assert isinstance(settings, FrozenConfig)  # the preset's

    def features_of(images: TaggedImages) -> FrozenFeatures:
        folder, size = Path(settings.features.folder), settings.features.size
        return frozen_features(network, images, size, folder, config.run, torch.device("cpu"))

    fitted, scored = features_of(training), features_of(val)
    prior = fit_boundary_prior(fitted.auxiliary(), fitted.tags, 0.3)
    foreground = fit_to_some(fitted, 0.0)

    def by_prior(index: int) -> Tensor:
        return prior.planes(scored.maps([index])[1].float(), scored.tags[index : index + 1]).clamp(min=-1e4)[0]

    def by_all(index: int) -> Tensor:
        return foreground_planes(scored, foreground, range(index, index + 1))[0]

    return {
        "labels of the boundary prior, told the tags": [score_of_planes(by_prior, val)],
        "labels of all scores, told the tags": [score_of_planes(by_all, val)],
    }


def score_of_planes(planes: Callable[[int], Tensor], images: TaggedImages) -> float:
    """mIoU in % of the argmax of the images' planes at native size."""
    score = SegmentationScore(len(images.classes) + 1)
    for index, sample in enumerate(images.samples):
        truth = mask_of(sample.mask)
        score.update(upsample(planes(index), (truth.shape[0], truth.shape[1])).argmax(dim=0), truth)
    return 100 * score.compute().mean_iou


def mask_of(read: Callable[[], object] | None) -> Tensor:
    """A mask as a tensor."""
    assert read is not None  # ``with_masks``
    return torch.as_tensor(read()).long()


def scores_of(
    networks: Networks, images: TaggedImages, size: int | None, crf: Sequence[tuple[str, int]] = ()
) -> dict[tuple[str, int], float]:
    """mIoU in % of networks that share an encoder, those of ``crf`` also after the dense CRF."""
    scores = {name: 100 * result.mean_iou for name, result in results_of(networks, images, size, crf).items()}
    logging.info("mIoU, %%: %s", {f"{row}, seed {seed}": round(value, 2) for (row, seed), value in scores.items()})
    return scores


@torch.inference_mode()
def results_of(
    networks: Networks, images: TaggedImages, size: int | None, crf: Sequence[tuple[str, int]] = ()
) -> dict[tuple[str, int], SegmentationResult]:
    """Scores of networks that share an encoder, at one scale, mirrored: those of ``evaluate --size``."""
    after = {name: (f"{name[0]}, dense CRF", name[1]) for name in crf}
    scores = {name: SegmentationScore(len(images.classes) + 1) for name in (*networks, *after.values())}
    encoder = next(iter(networks.values()))
    for sample in with_progress(images.samples, "scoring", "photo"):
        photo, truth = read_image(sample.image), mask_of(sample.mask)
        native = (photo.shape[0], photo.shape[1])
        pixels = resize(to_input(encoder, photo), Sizing(size).at(*native, 1.0, encoder.patch_size))
        features = [encoder.encoder(one) for one in (pixels, pixels.flip(-1))]
        for name, network in networks.items():
            plain, mirrored = (network.segment(one)[0] for one in features)
            logits = upsample(plain + mirrored.flip(-1), native)
            scores[name].update(logits.argmax(dim=0), truth)
            if name in after:
                (refined,) = crf_labels([logits.softmax(dim=0)], [photo], PUBLISHED_CRF)
                scores[after[name]].update(torch.from_numpy(refined).long(), truth)
    return {name: score.compute() for name, score in scores.items()}


if __name__ == "__main__":
    main()

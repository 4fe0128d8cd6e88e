"""tagseg: pixel masks from image tags.

Weakly supervised semantic segmentation by Progressive Feature Self-Reinforcement (FSR, AAAI 2024). The rooms, from the
method outwards; docs/architecture.md shows what may import what::

    fsr         the method as published, plain and whole, a file for each step; docs/method.md is its page
    fast        the same functions, faster
    beyond      what is not in the paper: boundary prior, offline labels, linear probe
    frozen      a decoder on features that are computed once
    methods     what can be trained: FSR, a plain classifier
    data        images and image-level labels → two random views
    model       encoder (timm ViT), heads, student and teacher
    pairwise    Gaussian filter over position and colour, dense CRF
    formats     label maps for other tools
    metrics     scores of label maps and tags
    check       what is wrong with photos, tags and masks before a training
    training    Lightning around a method
    inference   multi-scale prediction, evaluation, files
    labelling   masks of tagged photos from their tags, as a dataset
    reviewing   which masks to correct first, and how good they are likely to be
    reporting   pictures of each step, curves, reports
    exporting   networks for other runtimes
    serving     a local page
    app         the demo

Axes: ``B`` batch, ``K`` foreground classes, ``C = K + 1``, ``H W`` pixels, ``h w`` patches, ``N = h·w``, ``D`` width,
``P`` prototypes. Upper case is pixels, lower case patches. Labels: 0 background, 1 to K foreground, 255 ignored. Masks:
True is masked.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tagseg.app.demo import demo
    from tagseg.config import Config, replace
    from tagseg.data.given_photos import data_of
    from tagseg.errors import TagsegError
    from tagseg.exporting.export import export
    from tagseg.fast.dense_crf import dense_crf
    from tagseg.inference.evaluate import evaluate
    from tagseg.inference.predict import predict
    from tagseg.inference.predictor import Predictor, load
    from tagseg.inference.result import Result
    from tagseg.labelling.label import label
    from tagseg.model.checkpoint import load_network
    from tagseg.model.published import load_published
    from tagseg.presets import PRESETS
    from tagseg.reporting.report import report
    from tagseg.reviewing.review import review
    from tagseg.serving.serve import serve
    from tagseg.training.train import train

_PLACES = {
    "PRESETS": "tagseg.presets",
    "Config": "tagseg.config",
    "Predictor": "tagseg.inference.predictor",
    "Result": "tagseg.inference.result",
    "TagsegError": "tagseg.errors",
    "data_of": "tagseg.data.given_photos",
    "demo": "tagseg.app.demo",
    "dense_crf": "tagseg.fast.dense_crf",
    "evaluate": "tagseg.inference.evaluate",
    "export": "tagseg.exporting.export",
    "label": "tagseg.labelling.label",
    "load": "tagseg.inference.predictor",
    "load_network": "tagseg.model.checkpoint",
    "load_published": "tagseg.model.published",
    "predict": "tagseg.inference.predict",
    "replace": "tagseg.config",
    "report": "tagseg.reporting.report",
    "review": "tagseg.reviewing.review",
    "serve": "tagseg.serving.serve",
    "train": "tagseg.training.train",
}

__all__ = [
    "PRESETS",
    "Config",
    "Predictor",
    "Result",
    "TagsegError",
    "data_of",
    "demo",
    "dense_crf",
    "evaluate",
    "export",
    "label",
    "load",
    "load_network",
    "load_published",
    "predict",
    "replace",
    "report",
    "review",
    "serve",
    "train",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that ``import tagseg`` is instant."""
    if name not in _PLACES:
        raise AttributeError(f"module 'tagseg' has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)

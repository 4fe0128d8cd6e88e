"""What an exported file says about itself, machine-readably: classes, input, sizes, outputs."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import torch

from tagseg.data.palette import label_names
from tagseg.exporting.graph import FEWEST_PATCHES, INPUT, LABELS, LOGITS, ExportGraph

FORMAT = "tagseg-export-1"


def about_of(graph: ExportGraph) -> dict[str, Any]:
    """The description that stands in ``export.json`` and inside each file; JSON."""
    network = graph.network
    classes = [
        {"label": label, "name": name, "colour": "#{:02x}{:02x}{:02x}".format(*colour)}
        for label, (name, colour) in enumerate(zip(label_names(network.classes), network.colours, strict=True))
    ]
    return {
        "format": FORMAT,
        "about": {
            "encoder": network.config.encoder,
            "decoder": network.config.decoder,
            "patch": graph.patch,
            "parameters": sum(parameter.numel() for parameter in graph.parameters()),
            "tagseg": version("tagseg"),
            "torch": torch.__version__.split("+")[0],
        },
        "classes": classes,
        "preprocessing": preprocessing(graph),
        "outputs": outputs(graph),
    }


def preprocessing(graph: ExportGraph) -> dict[str, Any]:
    """What to do with a photo, and what the graph does itself."""
    fixed = None if graph.size is None else [graph.size, graph.size]
    free = graph.size is None
    config = graph.network.config
    return {
        "input": {
            "name": INPUT,
            "type": "float32",
            "layout": "NHWC",
            "shape": ["batch", "height", "width", 3] if free else [1, *(fixed or ()), 3],
            "channels": "RGB",
            "range": [0, 255],
        },
        "size": {
            "fixed": fixed,
            "multiple_of": graph.patch,
            "least": FEWEST_PATCHES * graph.patch if free else graph.patch,
            "longest_side": graph.sizing.max_side,
            "rule": (
                "scale = min(1, longest_side / max(photo height, photo width)); each side is "
                "max(least, multiple_of * round(scale * photo side / multiple_of))"
                if free
                else "every photo is resized to the fixed height and width, whatever its shape"
            ),
        },
        "resize": "bilinear, antialiased where it shrinks, on floats (Pillow: mode F, BILINEAR)",
        "inside_the_graph": {"scale": 1 / 255, "mean": list(config.mean), "std": list(config.std)},
    }


def outputs(graph: ExportGraph) -> list[dict[str, Any]]:
    """What the graph returns, in order."""
    free, count = graph.size is None, len(graph.network.classes) + 1
    side = None if graph.size is None else graph.size // graph.patch
    found: list[dict[str, Any]] = [
        {
            "name": LOGITS,
            "type": "float32",
            "shape": ["batch", count, "height / patch", "width / patch"] if free else [1, count, side, side],
            "meaning": "logits of each label on the patch grid; resized bilinear to the photo, the largest one says "
            "the label of a pixel",
        }
    ]
    if graph.labels:
        found.append(
            {
                "name": LABELS,
                "type": "uint8",
                "shape": ["batch", "height", "width"] if free else [1, graph.size, graph.size],
                "meaning": "the label of each pixel of the input",
            }
        )
    return found

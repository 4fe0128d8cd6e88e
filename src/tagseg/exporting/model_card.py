"""The model card of a network: README.md of a folder or of a repository on a hub.

It names no path of the machine that wrote it. Names of classes and whatever else comes from data are escaped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import timm

from tagseg.exporting.card_facts import CardFacts
from tagseg.exporting.card_text import escaped, percent, rows, size_of
from tagseg.inference.segment import MAX_SIDE
from tagseg.model.hub import PUBLISHED

LOADED = 'tagseg.load("FOLDER")'
"""In the card's example; publishing puts the repository's address there."""
_PROTOCOL = ("what", "images", "scales", "mirror", "input size", "mean IoU over", "absent from the ground truth")
"""What of an evaluation's protocol is told; the rest is paths, or beside the point."""


def model_card(facts: CardFacts) -> str:
    """The card as Markdown with YAML metadata, as a Hugging Face hub reads it."""
    sections = [
        ("", _what(facts)),
        ("Use", _use(facts)),
        ("Files", _files(facts)),
        ("Input and output", _preprocessing(facts)),
        ("Trained on", _trained_on(facts)),
        ("Scores", _scores(facts)),
        ("Limits", _limits(facts)),
        ("Licences", _licences(facts)),
    ]
    texts = [f"## {title}\n\n{text}" if title else text for title, text in sections]
    return f"---\n{_metadata(facts)}---\n\n# {escaped(facts.name)}\n\n" + "\n\n".join(texts) + "\n"


def _metadata(facts: CardFacts) -> str:
    import yaml

    values: dict[str, Any] = {
        "library_name": "tagseg",
        "pipeline_tag": "image-segmentation",
        "tags": ["semantic-segmentation", "weakly-supervised", *(["onnx"] if _onnx(facts) else [])],
    }
    network = facts.settings.get("network")
    known = timm.get_pretrained_cfg(facts.network.config.encoder)
    if isinstance(network, Mapping) and network.get("weights") == "hub" and known is not None and known.hf_hub_id:
        values["base_model"] = known.hf_hub_id
    miou = facts.evaluation.get("mean_iou")
    if isinstance(miou, int | float):
        result = {
            "task": {"type": "image-segmentation"},
            "dataset": {"name": "photos with masks of its own data", "type": "folder"},
            "metrics": [{"type": "mean_iou", "name": "mIoU", "value": round(100 * miou, 2)}],
        }
        values["model-index"] = [{"name": _plain_name(facts.name), "results": [result]}]
    return str(yaml.safe_dump(values, sort_keys=False, allow_unicode=True))


def _plain_name(name: str) -> str:
    return re.sub(r"[^\w .-]", "_", name) or "network"


def _what(facts: CardFacts) -> str:
    labels = [(label, escaped(name)) for label, name in enumerate(("background", *facts.network.classes))]
    source = (
        "**ground-truth masks** (full supervision)" if facts.from_masks else "image-level tags alone"
        if facts.settings else "tags or masks (its settings are not known)"
    )  # fmt: skip
    return (
        f"A network that labels every pixel of a photo as background or one of {len(labels) - 1} classes, trained by "
        f"tagseg from {source}.\n\n{rows(('label', 'class'), labels)}"
    )


def _use(facts: CardFacts) -> str:
    text = (
        "```python\nimport tagseg\n\n"
        f'result = {LOADED}("photo.jpg")\nresult.mask  # uint8 (H, W), the labels above\n```'
    )
    onnx = _onnx(facts)
    if onnx is None:
        return text
    return (
        f"{text}\n\nWithout tagseg and PyTorch, by onnxruntime (see *Input and output*):\n\n"
        "```python\nimport numpy as np\nimport onnxruntime\nfrom PIL import Image\n\n"
        f'photo = Image.open("photo.jpg").convert("RGB").resize({_side(facts, onnx)})\n'
        f'session = onnxruntime.InferenceSession("{onnx}")\n'
        'image = np.asarray(photo, np.float32)[None]\nlogits = session.run(["logits"], {"image": image})[0]\n'
        "labels = logits[0].argmax(0)  # a label for each patch\n```"
    )


def _onnx(facts: CardFacts) -> str | None:
    names = [str(file.get("file", "")) for file in facts.files]
    return next((name for name in names if name.endswith(".onnx")), None)


def _side(facts: CardFacts, name: str) -> tuple[int, int]:
    """Width and height of an input that the file takes."""
    file = next(file for file in facts.files if file.get("file") == name)
    patch = facts.network.patch_size
    side = file.get("size") or max(1, round(448 / patch)) * patch
    return int(side), int(side)


def _files(facts: CardFacts) -> str:
    listed: list[Sequence[object]] = [(f"`{PUBLISHED}`", "tagseg: weights, classes, settings", "", "", "", "")]
    remarks = []
    for file in facts.files:
        parity = file.get("parity") or {}
        listed.append((
            f"`{escaped(str(file.get('file', '')))}`", escaped(str(file.get("format", ""))), size_of(file.get("bytes")),
            parity.get("photos", ""), _difference(parity), percent(parity.get("equal_labels"), 3),
        ))  # fmt: skip
        if parity and not parity.get("real", True):
            remarks.append(f"`{file.get('file')}` was compared on random images, as no photo was at hand.")
        if file.get("calibrated"):
            remarks.append(f"`{file.get('file')}` was calibrated on the photos that it was compared on.")
        if file.get("warning"):
            remarks.append(f"**`{file.get('file')}`: {escaped(str(file['warning']))}**")
    header = ("file", "format", "size", "compared on photos", "logits differ by at most", "equal labels")
    text = rows(header, listed)
    if facts.files:
        text += (
            "\n\nEach was run on photos and compared with the network itself, run by PyTorch in float32 at one scale."
        )
    return "\n\n".join([text, *remarks])


def _difference(parity: Mapping[str, Any]) -> str:
    value = parity.get("max_difference")
    largest = parity.get("largest_logit")
    of = f" (of {largest:.1f})" if isinstance(largest, int | float) else ""
    return f"{value:.1e}{of}" if isinstance(value, int | float) else ""


def _preprocessing(facts: CardFacts) -> str:
    config, patch = facts.network.config, facts.network.patch_size
    side = next((file["size"] for file in facts.files if file.get("size")), None)
    size = (
        f"are {side} pixels, whatever the photo's shape: resize bilinear, antialiased where it shrinks. "
        if side
        else f"are multiples of {patch} pixels: resize bilinear, antialiased where the photo shrinks, at most "
        f"{MAX_SIDE:,} pixels on the longer side. "
    )
    return (
        f"Photos are RGB, turned upright as their EXIF says. Height and width of the input {size}"
        f"`{PUBLISHED}` and `tagseg` do all of it. Exported graphs take `image`, float32 (B, H, W, 3), values of 0 to "
        f"255 in RGB order; mean {list(config.mean)} and deviation {list(config.std)} (of values in 0 to 1) are inside "
        "the graph. "
        f"They give `logits`, float32 (B, {len(facts.network.classes) + 1}, H/{patch}, W/{patch}), background first: "
        "upsample them bilinear to the photo's size, then take the largest. `export.json` says the same for machines."
    )


def _trained_on(facts: CardFacts) -> str:
    how = [f"method `{escaped(facts.method)}`"] if facts.method else []
    if facts.about.get("step") is not None:
        how.append(f"{facts.about['step']} steps")
    how.append(f"encoder `{escaped(facts.network.config.encoder)}`")
    text = ", ".join(how) + "."
    splits, classes = facts.data.get("splits"), facts.data.get("classes")
    if not isinstance(splits, Mapping) or not isinstance(classes, list):
        return f"{text}\n\nWhich photos is not known: there was no `data.json` beside the network."
    names = [str(name) for name in splits]
    photos = [splits[name].get("images", "") for name in names]
    counted = [
        (escaped(str(one.get("name", ""))), *(one.get("images", {}).get(name, 0) for name in names)) for one in classes
    ]
    table = rows(("photos that show", *map(escaped, names)), [*counted, ("**all photos**", *photos)])
    return f"{text}\n\n{table}"


def _scores(facts: CardFacts) -> str:
    text = ""
    if facts.evaluation:
        protocol = facts.evaluation.get("protocol", {})
        told = "; ".join(f"{key}: {escaped(str(protocol[key]))}" for key in _PROTOCOL if key in protocol)
        per_class = [
            (escaped(str(one.get("name"))), percent(one.get("iou"), 1)) for one in facts.evaluation.get("classes", [])
        ]
        per_class.append(("**mIoU**", percent(facts.evaluation.get("mean_iou"), 2)))
        text = f"{rows(('class', 'IoU'), per_class)}\n\n{told}"
    seen = facts.about.get("scores")
    if isinstance(seen, Mapping) and seen:
        values = ", ".join(f"{escaped(str(name))} {value:.4f}" for name, value in seen.items() if _is_number(value))
        text += (
            "\n\n" if text else ""
        ) + f"While training, on the validation photos with masks (segmentation: mIoU): {values}."
    return text or "Not scored: there were no masks to score with, or nobody did (`tagseg evaluate`)."


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _limits(facts: CardFacts) -> str:
    lines = [
        "It knows the classes above and no other: whatever else a photo shows is called background, or the class it is "
        "most like.",
        "It was scored on photos like those it was trained on, if at all. On others (another camera, season, place) "
        "score it first.",
        "Edges are those of patches, refined by nothing; `tagseg predict --crf` moves them to the photo's.",
    ]
    if not facts.from_masks:
        lines.insert(
            1, "Masks of a weakly supervised network stay rough at small or thin objects, and classes that always "
            "occur together cannot be separated.",
        )  # fmt: skip
    return "\n".join(f"- {line}" for line in lines)


def _licences(facts: CardFacts) -> str:
    known = timm.get_pretrained_cfg(facts.network.config.encoder)
    network = facts.settings.get("network")
    weights = network.get("weights") if isinstance(network, Mapping) else None
    if weights == "none":
        encoder = "none: its training started from random weights"
    else:
        stated = known.license if known is not None and known.license else None
        encoder = f"{escaped(stated)}, as timm states it" if stated else "not stated by timm: see its model card"
        if weights != "hub":
            encoder += " for its own weights of this name (these came from a file, or it is not known where from)"
    return (
        "- Code (tagseg): Apache-2.0.\n"
        f"- Pretrained weights of the encoder `{escaped(facts.network.config.encoder)}`: {encoder}. Data that they "
        "were trained on may have terms of their own.\n"
        "- Photos and tags of the training: the licence of your photos is yours to state. Then add `license:` to the "
        "metadata at the top of this card."
    )

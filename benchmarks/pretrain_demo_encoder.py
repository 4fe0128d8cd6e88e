"""Pretrain the demo's encoder, a small stand-in for the ImageNet weights that a real training starts from.

    python benchmarks/pretrain_demo_encoder.py            # about 20 minutes on 2 cores
    python benchmarks/pretrain_demo_encoder.py --quick    # a minute; writes to a temporary file

It learns from image-level labels alone, on invented objects that share no class with the demo: each has one of 24
random body shapes and one of 24 random marks, and the two tags of an image name them.
"""

from __future__ import annotations

import json
import tempfile
import time
from math import pi, tau
from multiprocessing import Pool
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from safetensors.torch import save_file
from timm.layers import resample_abs_pos_embed
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from shared import ROOT, arguments_of, print_json
from tagseg.data.scenes.objects import body_paint, darker
from tagseg.data.scenes.painting import Layer, Paint, ellipse, smooth, stroke
from tagseg.data.scenes.patterns import checks, dots, rings, spiral, spokes, stripes
from tagseg.data.scenes.scenery import Canvas, photograph, random_pose, scatter
from tagseg.model.config import NetworkConfig

KINDS = 24
"""Number of body shapes, and of marks."""
SIZE, CROP = 80, 64
"""Side of the pictures and of the training crops, pixels."""
HELD_OUT = 500
"""Number of validation pictures."""
SHARPNESS = 4.0
"""Of the smooth maximum; a mean learns the marks slower, a hard maximum the bodies."""
MODEL = "vit_tiny_patch16_224"
OPTIONS: dict[str, Any] = {"img_size": 128, "patch_size": 8, "embed_dim": 128, "depth": 6, "num_heads": 4}
"""``timm.create_model(MODEL, **OPTIONS)``."""
SHIPPED = ROOT / "src/tagseg/app/weights/scenes_vit.safetensors"


def invent(shape: int, mark: int, rng: np.random.Generator, body: Paint) -> list[Layer]:
    """One object with a body shape and a mark: ``shape`` seeds the shape, ``mark`` the mark, and rng the variation."""
    kind = np.random.default_rng((1, shape))
    corners = int(kind.integers(5, 10))
    turn = np.arange(corners) * tau / corners
    radius = kind.uniform(0.35, 1.0, corners) * rng.uniform(0.92, 1.08, corners)
    outline = np.stack((np.cos(turn) * radius, np.sin(turn) * radius * kind.uniform(0.6, 1.0)), axis=1)
    limbs = []
    for _ in range(int(kind.integers(0, 5))):
        angle, length, width = kind.uniform(0, tau), kind.uniform(0.3, 0.6), kind.uniform(0.08, 0.3)
        root = outline[int(kind.integers(corners))] * 0.6
        bend = np.array((np.cos(angle), np.sin(angle))) * length
        tip = root * 1.7 + bend * rng.uniform(0.9, 1.1)
        limbs.append(
            stroke(
                [(r, s) for r, s in np.stack((root, root * 1.4, tip)).tolist()], width, width * kind.uniform(0.4, 1.4)
            )
        )
    limb_paint = darker(body, float(kind.choice([0.3, 0.8, 1.0])))
    layers = [Layer(limbs, limb_paint, relief=0.4)] if limbs else []
    layers.append(Layer([smooth(outline) if kind.random() < 0.7 else outline], body, relief=1.0))
    return [*layers, *_mark(mark, kind, rng)]


def _mark(mark: int, place: np.random.Generator, rng: np.random.Generator) -> list[Layer]:
    """A small part in strong colours; its place depends on the shape, its pattern on the mark."""
    x, y = (float(value) for value in place.uniform(-0.45, 0.45, 2) + rng.normal(0, 0.05, 2))
    kind = np.random.default_rng((4, mark))
    size, period = kind.uniform(0.2, 0.34), float(kind.uniform(0.12, 0.22))
    patterns = (
        stripes(period, float(kind.uniform(0, pi))),
        checks(period, float(kind.uniform(0, pi))),
        dots(period * 1.3),
        rings(x, y, period),
        spiral(x, y, period),
        spokes(x, y, int(kind.integers(3, 9))),
    )
    colours = kind.uniform(0, 1, (2, 3)).round() * 0.85 + kind.uniform(0, 0.15, (2, 3))
    if np.abs(colours[0] - colours[1]).sum() < 0.7:
        colours[1] = 1 - colours[0]
    first, second = (tuple(float(value) for value in colour) for colour in colours)
    paint = Paint(first, 0.03, second, patterns[mark % len(patterns)])  # type: ignore[arg-type]
    corners = 32 if kind.random() < 0.5 else int(kind.integers(3, 6))
    spot = ellipse(x, y, float(size * kind.uniform(0.7, 1.1)), float(size * kind.uniform(0.7, 1.1)), corners)
    return [Layer([spot], paint, part=True, relief=0.3)]


def draw_picture(index: int) -> tuple[np.ndarray, tuple[int, int]]:
    """Picture number ``index``, uint8 (SIZE, SIZE, 3), and its two tags."""
    rng = np.random.default_rng((3, index))
    canvas = Canvas(rng, SIZE)
    scatter(canvas, int(rng.integers(0, 3)), (0.06, 0.16))
    shape, mark = (int(kind) for kind in rng.integers(0, KINDS, 2))
    for _ in range(8):
        figure = invent(shape, mark, rng, body_paint(rng, canvas.ground))
        if canvas.lay(figure, random_pose(rng, SIZE, (0.34, 0.5), 0.6, 0.42), 1):
            break
    scatter(canvas, int(rng.integers(0, 3)), (0.05, 0.12))
    return photograph(rng, canvas.picture), (shape, mark)


def draw_pictures(count: int, cache: Path) -> tuple[Tensor, Tensor]:
    """The first ``count`` pictures, uint8 (n, 3, SIZE, SIZE), and their tags (n, 2); kept in ``cache``."""
    file = cache / f"zoo_{SIZE}_{count}.npz"
    if not file.exists():
        with Pool() as pool:
            pictures, tags = zip(*pool.imap(draw_picture, range(count), chunksize=32), strict=True)
        cache.mkdir(parents=True, exist_ok=True)
        np.savez(file, pictures=np.stack(pictures).transpose(0, 3, 1, 2), tags=np.array(tags))
    with np.load(file) as stored:
        return torch.from_numpy(stored["pictures"]), torch.from_numpy(stored["tags"])


def batch_of(pictures: Tensor, rows: Tensor, generator: torch.Generator) -> Tensor:
    """Random crops, flips and colours: float32 (B, 3, CROP, CROP), normalised as in tagseg."""
    top, left, flip = (torch.randint(n, (len(rows),), generator=generator) for n in (SIZE - CROP, SIZE - CROP, 2))
    crops = [pictures[r, :, y : y + CROP, x : x + CROP] for r, y, x in zip(rows, top, left, strict=True)]
    views = torch.stack([c.flip(2) if f else c for c, f in zip(crops, flip, strict=True)]).float() / 255
    gain = 1 + 0.2 * (torch.rand(len(rows), 3, 1, 1, generator=generator) - 0.5)
    contrast = 1 + 0.6 * (torch.rand(len(rows), 1, 1, 1, generator=generator) - 0.5)
    level = views.mean(dim=(1, 2, 3), keepdim=True)
    views = ((views - level) * contrast + level) * gain
    return normalise(views)


def normalise(views: Tensor) -> Tensor:
    """From [0, 1] to the input of the network."""
    network = NetworkConfig()
    return (views - torch.tensor(network.mean)[:, None, None]) / torch.tensor(network.std)[:, None, None]


def classify(model: VisionTransformer, views: Tensor) -> Tensor:
    """Logits (B, 2, KINDS): a smooth maximum over patches, similar to the pooling in tagseg."""
    patches = model.head(model.forward_features(views)[:, model.num_prefix_tokens :])
    return (torch.logsumexp(SHARPNESS * patches, dim=1) / SHARPNESS).unflatten(1, (2, KINDS))


def accuracy(model: VisionTransformer, pictures: Tensor, tags: Tensor) -> tuple[float, float]:
    """Accuracy of shapes and of marks on validation pictures."""
    model.eval()
    edge = (SIZE - CROP) // 2
    centre = pictures[:, :, edge : edge + CROP, edge : edge + CROP]
    with torch.inference_mode():
        logits = torch.cat([classify(model, normalise(part.float() / 255)) for part in centre.split(64)])
    model.train()
    correct = logits.argmax(dim=2) == tags
    shape, mark = correct.float().mean(dim=0).tolist()
    return shape, mark


def train(
    model: VisionTransformer, pictures: Tensor, tags: Tensor, steps: int, batch: int, rate: float, seed: int
) -> None:
    """AdamW with a one-cycle learning rate; the loss is the cross-entropy of shape and mark."""
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.05, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps, pct_start=0.08)
    start = time.time()
    for step in range(steps):
        rows = torch.randint(HELD_OUT, len(pictures), (batch,), generator=generator)
        logits = classify(model, batch_of(pictures, rows, generator))
        loss = cross_entropy(logits.transpose(1, 2), tags[rows])
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if (step + 1) % 250 == 0:
            shape, mark = accuracy(model, pictures[:HELD_OUT], tags[:HELD_OUT])
            minutes = (time.time() - start) / 60
            print(f"step {step + 1} loss {loss:.3f} shape {shape:.3f} mark {mark:.3f} {minutes:.1f} min", flush=True)


def main() -> None:
    """Draw, train, save the encoder in half precision."""
    parser = arguments_of(__doc__, "30 steps on 800 pictures")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--pictures", type=int, default=8_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "tagseg_zoo")
    parser.add_argument("--output", type=Path, default=None, help=f"default: {SHIPPED.name} in the package")
    args = parser.parse_args()
    steps, count = (30, 800) if args.quick else (args.steps, args.pictures)
    output = args.output or (args.cache / "quick.safetensors" if args.quick else SHIPPED)

    pictures, tags = draw_pictures(count, args.cache)
    torch.manual_seed(args.seed)
    model = timm.create_model(MODEL, **{**OPTIONS, "img_size": CROP}, num_classes=2 * KINDS)
    assert isinstance(model, VisionTransformer)
    start = time.time()
    train(model, pictures, tags, steps, args.batch, args.rate, args.seed)
    shape, mark = accuracy(model, pictures[:HELD_OUT], tags[:HELD_OUT])
    record: dict[str, Any] = {
        "script": "benchmarks/pretrain_demo_encoder.py",
        "steps": steps,
        "batch": args.batch,
        "rate": args.rate,
    }
    record |= {"seed": args.seed, "pictures": count, "timm_model": MODEL, "timm_options": OPTIONS}
    size = save(model, output, record)
    scores = {"shape_accuracy": round(shape, 4), "mark_accuracy": round(mark, 4), "megabytes": round(size / 1e6, 2)}
    print_json({**record, **scores, "minutes": round((time.time() - start) / 60, 1), "output": output.name})


def save(model: VisionTransformer, output: Path, record: dict[str, Any]) -> int:
    """Save the encoder in half precision without head, its position embedding resized; returns the size in bytes."""
    weights = {name: value for name, value in model.state_dict().items() if not name.startswith("head.")}
    side = OPTIONS["img_size"] // OPTIONS["patch_size"]
    weights["pos_embed"] = resample_abs_pos_embed(weights["pos_embed"], [side, side])
    expected = timm.create_model(MODEL, **OPTIONS, num_classes=0).state_dict()
    weights = {name: weights[name].half().contiguous() for name in expected}
    output.parent.mkdir(parents=True, exist_ok=True)
    save_file(weights, output, {key: json.dumps(value) for key, value in record.items()})
    return output.stat().st_size


if __name__ == "__main__":
    main()

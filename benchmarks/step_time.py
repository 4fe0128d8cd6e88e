"""Measure ``OVERHEAD`` of ``training/step_time.py``: what a training step costs beside its counted forward passes.

    python benchmarks/step_time.py [--quick] [--rounds 5]

For some networks, sizes and recipes, whole steps (losses, backward pass, AdamW) of the fast form take turns with the
forward pass that the estimate times. Both are measured in processor time of one thread, which other work on the machine
does not change. Random images; no data needed. Prints a table and, last, one line of JSON.
"""

from __future__ import annotations

import statistics

import torch

from shared import arguments_of, machine, print_json, processor_seconds, table
from tagseg import presets
from tagseg.config import Config, replace
from tagseg.data.batch import Batch
from tagseg.data.seeds import seed_of
from tagseg.methods.build import build_method
from tagseg.methods.config import with_method
from tagseg.model.network import Network, evaluating
from tagseg.training.optimiser import make_optimiser
from tagseg.training.step_time import forward_passes

CLASSES = tuple(f"class {index}" for index in range(20))
CPU = torch.device("cpu")


def configurations(quick: bool) -> dict[str, Config]:
    """Recipes and networks that differ in what a step does."""
    tiny = {"encoder": "deit_tiny_patch16_224", "weights": "none"}
    run = {"batch": 4, "steps": 100, "accelerator": "cpu"}
    paper = replace(presets.paper(), network=tiny, run=run)
    folder = replace(presets.folder(), network=tiny, run=run, optimiser={"rate": 1e-4})
    some = {
        "DeiT-Ti, 224 px, paper": paper,
        "DeiT-Ti, 224 px, folder": folder,
        "DeiT-Ti, 224 px, classifier": with_method(paper, "classifier"),
    }
    if quick:
        return some
    small = {"encoder": "deit_small_patch16_224"}
    return some | {
        "DeiT-Ti, 160 px, folder": replace(folder, views={"size": 160}),
        "DeiT-Ti, 320 px, folder": replace(folder, views={"size": 320}),
        "DeiT-S, 224 px, folder": replace(folder, network=small),
        "DeiT-S, 224 px, paper": replace(paper, network=small),
        "demo": replace(presets.demo(), run={"steps": 100}),
    }


def batch_of(config: Config) -> Batch:
    """Noise with two tags an image, and labels where the recipe makes them beforehand."""
    generator = torch.Generator().manual_seed(0)
    count, size = config.run.batch, config.views.size
    views = torch.randint(0, 256, (2, count, 3, size, size), dtype=torch.uint8, generator=generator)
    shown = torch.rand(count, len(CLASSES), generator=generator).topk(2)[1]
    tags = torch.zeros(count, len(CLASSES)).scatter_(1, shown, 1)
    seeds = torch.arange(count)
    drop_path_seeds = torch.tensor([[seed_of(seed, view) for view in (1, 2)] for seed in range(count)])
    has_labels = config.beyond.labels != "cam"
    label = torch.randint(0, 3, (count, size, size), dtype=torch.uint8, generator=generator)
    local = views.new_zeros(count, 0, 3, 8, 8)
    return Batch(views[0], views[1], local, tags, seeds, drop_path_seeds, label if has_labels else label[:, :0, :0])


@torch.no_grad()
def forward(network: Network, size: int) -> None:
    """What ``encoder_seconds`` times: two images."""
    with evaluating(network):
        network.encoder(torch.zeros(2, 3, size, size))


def overhead(config: Config, rounds: int) -> tuple[float, float]:
    """Median seconds of a step with all losses, and of those over the seconds of its forward passes."""
    torch.manual_seed(0)
    method = build_method(config, CLASSES).train()
    method.on_device(CPU)
    optimiser, _ = make_optimiser(method.trained, method.optimiser, config.run.steps)
    batch, last = batch_of(config), config.run.steps - 1

    def step() -> None:
        method.losses(batch, last).total.backward()
        optimiser.step()
        optimiser.zero_grad()

    steps, forwards = [], []
    for turn in range(rounds + 1):
        once = processor_seconds(lambda: forward(method.trained, config.views.size)) / 2
        taken = processor_seconds(step)
        if turn:  # the first ones warm up
            steps.append(taken)
            forwards.append(once)
    counted = forward_passes(config) * config.run.batch * statistics.median(forwards)
    return statistics.median(steps), statistics.median(steps) / counted


def main() -> None:
    """Measure and print."""
    parser = arguments_of(__doc__, "three recipes of one network")
    parser.add_argument("--rounds", type=int, default=5, help="steps that are measured of each")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows, ratios = [], {}
    for name, config in configurations(arguments.quick).items():
        taken, ratios[name] = overhead(config, arguments.rounds)
        rows.append((name, f"{forward_passes(config):.1f}", f"{taken:.2f}", f"{ratios[name]:.2f}"))
        print(rows[-1], flush=True)
    median = statistics.median(ratios.values())
    table(f"Steps on {machine()}", ("step", "forward passes", "seconds", "overhead"), rows, f"Median: {median:.2f}.")
    print_json({"overhead": {name: round(value, 3) for name, value in ratios.items()}, "median": round(median, 3)})


if __name__ == "__main__":
    main()

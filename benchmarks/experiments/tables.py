"""Tables and plots of the results (``results/*.jsonl``), written to ``docs/experiments/``.

    python benchmarks/experiments/tables.py

For each experiment: mean ± standard deviation over seeds, paired differences from another variant with a t-test, and a
plot. Ends with one line of JSON.
"""

from __future__ import annotations

import argparse
import math
import statistics
from pathlib import Path
from typing import Any

import torch
from definitions import EXPERIMENTS
from run import RESULTS, read_lines

from shared import ROOT, markdown, print_json

DOCS = ROOT / "docs" / "experiments"
COLUMNS = {
    "segmentation": "student/segmentation",
    "with CRF": "student/segmentation_crf",
    "limited to the tags": "student/segmentation_with_tags",
    "CAM": "student/cam",
    "its pseudo-label": "student/pseudo_label",
    "boundary IoU": "student/boundary_iou",
    "teacher segmentation": "teacher/segmentation",
    "certain fg right": "student/certain_foreground_precision",
    "certain bg right": "student/certain_background_precision",
    "errors in uncertain": "student/errors_in_uncertain",
}


def values_of(lines: list[dict[str, Any]], variant: str, split: str, column: str) -> dict[int, float]:
    """A score by seed."""
    scores = {line["seed"]: line["scores"].get(split, {}) for line in lines if line["variant"] == variant}
    return {seed: own[column] for seed, own in scores.items() if column in own}


def shown(values: list[float]) -> str:
    """Mean ± standard deviation, of one value itself."""
    if not values:
        return ""
    mean = statistics.fmean(values)
    return f"{mean:.1f} ± {statistics.stdev(values):.1f}" if len(values) > 1 else f"{mean:.1f}"


def paired(ours: dict[int, float], theirs: dict[int, float]) -> str:
    """Mean difference over common seeds, and the two-sided p of a paired t-test."""
    apart = [ours[seed] - theirs[seed] for seed in sorted(ours.keys() & theirs.keys())]
    if len(apart) < 2:
        return ""
    mean, spread = statistics.fmean(apart), statistics.stdev(apart)
    if spread == 0:
        return f"{mean:+.1f}"
    p = student_t(mean / (spread / math.sqrt(len(apart))), len(apart) - 1)
    return f"{mean:+.1f} (p {'< 0.01' if p < 0.01 else f'= {p:.2f}'})"


def student_t(t: float, degrees: int) -> float:
    """Two-sided p: the integral of the density beyond |t|, with the substitution t = √n · tan θ."""
    angle = torch.linspace(math.atan(abs(t) / math.sqrt(degrees)), math.pi / 2, 20_001, dtype=torch.float64)
    scale = math.gamma((degrees + 1) / 2) / (math.sqrt(math.pi) * math.gamma(degrees / 2))
    return float(2 * scale * torch.trapezoid(angle.cos() ** (degrees - 1), angle))


def shares_of(ours: dict[int, float], baseline: dict[int, float], bound: dict[int, float]) -> list[str]:
    """Means over common seeds as shares in %: of the bound's mean, and of the way to it from the baseline's."""
    seeds = sorted(ours.keys() & bound.keys())
    if not seeds:
        return ["", ""]
    score, high = (statistics.fmean(values[seed] for seed in seeds) for values in (ours, bound))
    if not all(seed in baseline for seed in seeds):
        return [f"{100 * score / high:.0f}", ""]
    low = statistics.fmean(baseline[seed] for seed in seeds)
    return [f"{100 * score / high:.0f}", f"{100 * (score - low) / (high - low):.0f}" if high > low else ""]


def table(name: str, lines: list[dict[str, Any]], split: str) -> str:
    """A Markdown table of one experiment's scores on a split."""
    experiment, main = EXPERIMENTS[name], COLUMNS["segmentation"]
    ends = [values_of(lines, end, split, main) for end in (experiment.baseline, experiment.bound)]
    head = [f"on `{split}`", "seeds", *COLUMNS, "segmentation, compared", "of the bound", "of the way"]
    rows = [head]
    for variant, settings in experiment.variants.items():
        cells = [values_of(lines, variant, split, column) for column in COLUMNS.values()]
        if not cells[0]:
            continue
        other = settings.against or next(iter(experiment.variants))
        difference = "" if variant == other else paired(cells[0], values_of(lines, other, split, main))
        row = [variant, str(len(cells[0])), *(shown(list(cell.values())) for cell in cells)]
        rows.append([*row, difference and f"{difference} to {other!r}", *shares_of(cells[0], *ends)])
    return markdown(rows) + "\n"


def page(name: str, lines: list[dict[str, Any]]) -> str:
    """All tables of an experiment, that of ``dev`` first, with steps, machine and version of torch."""
    steps, machines, versions = ({line[key] for line in lines} for key in ("steps", "machine", "torch"))
    about = f"{_listed(steps)} steps, {_listed(machines)}, torch {_listed(versions)}; in %"
    tables = [table(name, lines, split) for split in _splits(lines)]
    return f"**{EXPERIMENTS[name].question}** ({about})\n\n" + "\n".join(tables) + health_table(name, lines)


HEALTH = {
    "L_cer, teacher entropy": "certain_teacher_entropy",
    "L_cer, KL": "certain_kl",
    "L_unc, teacher entropy": "uncertain_teacher_entropy",
    "L_unc, KL": "uncertain_kl",
}


def health_table(name: str, lines: list[dict[str, Any]], most: int = 4) -> str:
    """Entropy and KL of the distillation: means over seeds at some common steps; empty without distillation."""
    distilled = [line for line in lines if line.get("distillation")]
    logged = [{int(step) for step in line["distillation"]} for line in distilled]
    common = sorted(set.intersection(*logged)) if logged else []
    if not common:
        return ""
    steps = [common[round(place * (len(common) - 1) / (most - 1))] for place in range(most)]
    steps = list(dict.fromkeys(steps))
    at = f"at step {', '.join(map(str, steps))}"
    rows = [[f"distillation, {at}", "seeds", *HEALTH]]
    for variant in EXPERIMENTS[name].variants:
        runs = [line["distillation"] for line in distilled if line["variant"] == variant]
        if not runs:
            continue
        cells = [
            ", ".join(f"{statistics.fmean(run[str(s)][key] for run in runs):.2f}" for s in steps)
            for key in HEALTH.values()
        ]
        rows.append([variant, str(len(runs)), *cells])
    return f"\n{markdown(rows)}\n"


def _splits(lines: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(split for line in lines for split in line["scores"]))


def _listed(values: set[Any]) -> str:
    return " and ".join(str(value) for value in sorted(values))


def plot(name: str, lines: list[dict[str, Any]], path: Path) -> None:
    """Segmentation and CAM of each variant on the last split, with a point for each seed."""
    from matplotlib.figure import Figure

    split = _splits(lines)[-1]
    scored = {line["variant"] for line in lines if split in line["scores"]}
    variants = [variant for variant in EXPERIMENTS[name].variants if variant in scored]
    figure = Figure(figsize=(7, 0.6 + 0.45 * len(variants)), layout="constrained")
    axes = figure.subplots()
    for shift, (title, colour) in zip(
        (-0.12, 0.12), (("segmentation", "tab:blue"), ("CAM", "tab:orange")), strict=True
    ):
        for place, variant in enumerate(variants):
            values = list(values_of(lines, variant, split, COLUMNS[title]).values())
            label = title if place == 0 else None
            axes.plot(values, [place + shift] * len(values), "o", color=colour, alpha=0.7, label=label)
    axes.set_yticks(range(len(variants)), variants)
    axes.set_ylim(len(variants) - 0.5, -0.5)
    axes.set_xlabel(f"mIoU on {split}, %")
    axes.grid(axis="x", alpha=0.3)
    axes.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
    figure.savefig(path, dpi=110)


def main() -> None:
    """Write the pages of all experiments with results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", default=str(DOCS), help="folder of tables and plots")
    output = Path(parser.parse_args().output)
    written = {}
    for name in EXPERIMENTS:
        if not (lines := read_lines(RESULTS / f"{name}.jsonl")):
            continue
        output.mkdir(parents=True, exist_ok=True)
        text = page(name, lines)
        (output / f"{name}.md").write_text(f"{text}\n![{name}]({name}.png)\n", encoding="utf-8")
        plot(name, lines, output / f"{name}.png")
        print(f"{text}\n")
        written[name] = len(lines)
    print_json({"runs": written})


if __name__ == "__main__":
    main()

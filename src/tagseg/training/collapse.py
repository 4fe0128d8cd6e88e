"""A training that has silently died is told, and stopped: its outputs no longer depend on the images.

Each sign is judged over windows of 50 steps, or of 400 images if those are more. A young training looks dead as well:
its tag logits are negative and its segmentation is one label. So its answers must besides be no better than a constant
one, the tags' or labels' frequencies, and rank the images next to as chance does; nothing is judged in the first 4
windows of a loss (or 5 % of the training); and a training is stopped only after 4 windows (or 15 % of it) that show
nothing else. With L_cls and L_seg on voc20mix, about 100 px, batches of 4, one seed: DeiT-Ti at 1e-4 has an AUC of the
tags of 0.50 at step 75, 0.58 at 150, 0.70 at 225 and 0.72 at 275, with hardly any class predicted yet; a ViT-S/14 of
DINOv2's kind at 6e-5 has 0.48 to 0.58 from step 100 on.
Nothing here changes a weight or draws a random number. The state is saved, so a resumed training ends as it would have.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tagseg.errors import Collapsed

WINDOW = 50, 400
"""Steps, or images if those are more steps, that are judged together."""
YOUTH = 4, 0.05
"""Windows, or share of the training if that is more, in which a sign is not judged."""
GRACE = 4, 0.15
"""Windows, or share of the training if that is more, that a sign must last to stop the training."""
NO_BETTER = 0.9
"""A loss above this share of the best constant answer's has learned next to nothing about the images."""
CHANCE = 0.6
"""Area under the ROC curve below which tag logits rank images next to as chance does (½)."""
ALIKE = 0.99
"""Mean cosine between patch features of different images above which they all look alike."""
UNIFORM = 0.995
"""Share of ln P above which the entropy of a teacher's distribution calls it uniform."""
TAGGED = 0.5
"""Share of images with a tag below which it is right that most tag logits are negative."""
EVERYWHERE = 0.999
"""Share of the patches with one predicted label above which it is called everywhere."""
OTHERS = 0.01
"""Share of the labels trained on that must be others than the one predicted."""

logger = logging.getLogger("tagseg")


@dataclass(frozen=True)
class Symptom:
    """What a window shows.

    Attributes:
        kind: ``features``, ``tags``, ``labels`` or ``targets``.
        seen: what was seen, with its numbers.
        fatal: whether nothing can come of such a training.
    """

    kind: str
    seen: str
    fatal: bool = True


def symptoms(means: Mapping[str, list[float]], labels: tuple[str, ...], prototypes: int) -> list[Symptom]:
    """What the means of a window show, causes before what they cause.

    Args:
        means: of the signs (``training/signs.py``) and of ``certain_teacher_entropy`` and ``uncertain_teacher_entropy``
            in nats; any may be absent. Numbers are lists of one.
        labels: names of the C labels, background first.
        prototypes: P of the distillation.
    """
    found = []
    if "tag_loss" in means:
        blind, losses = _blind(means)
        if blind and means.get("similarity", [0.0])[0] > ALIKE:
            seen = f"features of all images look alike (mean cosine {means['similarity'][0]:.4f}; {losses})"
            found.append(Symptom("features", seen))
        if blind and means["tagged"][0] >= TAGGED:
            found.append(Symptom("tags", _no_tags(means, labels, losses)))
    if "predicted" in means:
        found += _one_label(means, labels)
    found += _uniform(means, prototypes)
    return found


def _blind(means: Mapping[str, list[float]]) -> tuple[bool, str]:
    """Whether the tag logits say next to nothing about which image has which tag; and the numbers.

    Nobody can tell where batches have no image with and one without a tag, e.g. where they are of one image.
    """
    loss, constant = means["tag_loss"][0], _binary_entropy(means["tags"])
    numbers = f"tag loss {loss:.3f}, a constant answer has {constant:.3f}"
    right, pairs = means.get("ranked", [0.0, 0.0])
    blind = loss > NO_BETTER * constant and right < CHANCE * pairs
    return blind, f"{numbers}; AUC {right / pairs:.2f}" if pairs else numbers


def _no_tags(means: Mapping[str, list[float]], labels: tuple[str, ...], losses: str) -> str:
    share = means["found"][0] / means["tagged"][0]
    what = (
        "no class is predicted for any image"
        if share == 0
        else f"classes are predicted at random ({share:.0%} of images)"
    )
    predicted = means.get("predicted", [0.0])
    if max(predicted) >= EVERYWHERE:
        what += f" and the segmentation is {labels[predicted.index(max(predicted))]!r} everywhere"
    return f"{what} (mean highest tag logit {means['tag_logit'][0]:.2f}; {losses})"


def _one_label(means: Mapping[str, list[float]], labels: tuple[str, ...]) -> list[Symptom]:
    """The segmentation is one label everywhere, and no better for it than a constant answer."""
    shares, trained = means["predicted"], means["labels"]
    first = max(range(len(shares)), key=shares.__getitem__)
    others, known = sum(trained) - trained[first], sum(trained)
    if shares[first] < EVERYWHERE or others < OTHERS * known or known == 0:
        return []
    weights = trained[0], known - trained[0]
    parts = [part / weight for part, weight in zip(means["label_losses"], weights, strict=True) if weight]
    loss = sum(parts) / len(parts)
    # As L_seg, background and foreground weigh the same: ln 2 where both occur, and which foreground it is.
    constant = (math.log(2) if len(parts) == 2 else 0.0) + _entropy(trained[1:]) / len(parts)
    if loss <= NO_BETTER * constant:
        return []
    seen = (
        f"the segmentation is {labels[first]!r} everywhere ({others / known:.0%} of the labels it is trained on are "
        f"others; segmentation loss {loss:.2f}, a constant answer has {constant:.2f})"
    )
    return [Symptom("labels", seen)]


def _uniform(means: Mapping[str, list[float]], prototypes: int) -> list[Symptom]:
    most = math.log(prototypes)
    entropies = {name: means[f"{name}_teacher_entropy"][0] for name in _DISTILLED if f"{name}_teacher_entropy" in means}
    flat = {name: entropy for name, entropy in entropies.items() if entropy > UNIFORM * most}
    if not flat:
        return []
    of = " and ".join(f"{entropy:.2f} for {_DISTILLED[name]}" for name, entropy in flat.items())
    return [
        Symptom("targets", f"distillation targets are uniform (teacher entropy {of}, ln P = {most:.2f})", fatal=False)
    ]


_DISTILLED = {"certain": "L_cer", "uncertain": "L_unc"}


class Watch:
    """Watches one training. Every process of it must be shown the same means, so that all stop together.

    Args:
        steps: length of the training.
        batch: images of a step, over all processes.
        labels: names of the C labels, background first.
        prototypes: P of the distillation.
        stop: stop a training that has died; otherwise only warn.
        cause: likely cause and the way out, put behind what was seen.
        harmless: the same for what does no harm.
    """

    def __init__(
        self,
        steps: int,
        batch: int,
        labels: tuple[str, ...],
        prototypes: int,
        *,
        stop: bool,
        cause: str,
        harmless: str,
    ) -> None:
        self.window = max(WINDOW[0], -(-WINDOW[1] // batch))
        self.youth, self.grace = (max(count * self.window, round(share * steps)) for count, share in (YOUTH, GRACE))
        self.labels, self.prototypes = labels, prototypes
        self.stop, self.cause, self.harmless = stop, cause, harmless
        self.begin: int | None = None
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}
        self.first: dict[str, int] = {}
        self.since: dict[str, int] = {}
        self.told: set[str] = set()

    def observe(self, step: int, signs: Mapping[str, Tensor]) -> None:
        """Add what a step has shown; stays on the device."""
        if self.begin is None:
            self.begin = step
        for name, value in signs.items():
            self.first.setdefault(name, step)
            # What was saved comes back on the CPU.
            self.sums[name] = self.sums[name].to(value.device) + value if name in self.sums else value
            self.counts[name] = self.counts.get(name, 0) + 1

    def judge(self, step: int, quiet: bool = False) -> None:
        """At the end of a window: warn of what is new, once each.

        Args:
            step: the step that is about to begin.
            quiet: warn of nothing, as another process does.

        Raises:
            Collapsed: the training has died.
        """
        if self.begin is None or step < self.begin + self.window:
            return
        begin, means = self.begin, self._means()
        now = {symptom.kind: symptom for symptom in symptoms(means, self.labels, self.prototypes)}
        self.since = {kind: self.since.get(kind, begin) for kind in now}
        for kind, symptom in now.items():
            since = self.since[kind]
            if symptom.fatal and self.stop and step - since >= self.grace and kind in self.told:
                told = f"the training has collapsed, {symptom.seen} since step {since}"
                raise Collapsed(f"step {step}: {told}: {self.cause}")
            if kind not in self.told:
                self.told.add(kind)
                if not quiet:
                    logger.warning("step %d: %s", step, self._warning(symptom, since))

    def state_dict(self) -> dict[str, Any]:
        """What was seen so far, for a checkpoint."""
        return {
            "begin": self.begin, "sums": dict(self.sums), "counts": dict(self.counts), "first": dict(self.first),
            "since": dict(self.since), "told": sorted(self.told),
        }  # fmt: skip

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what a training had seen."""
        self.begin, self.sums, self.counts = state["begin"], dict(state["sums"]), dict(state["counts"])
        self.first, self.since, self.told = dict(state["first"]), dict(state["since"]), set(state["told"])

    def _means(self) -> dict[str, list[float]]:
        """The means of the window's signs that are old enough to be judged; the next window begins."""
        assert self.begin is not None  # ``judge`` has just looked
        young = {name for name in self.sums if self.begin < self.first[name] + self._youth(name)}
        means = {name: (self.sums[name] / self.counts[name]).reshape(-1) for name in self.sums if name not in young}
        self.begin, self.sums, self.counts = None, {}, {}
        if not means:
            return {}
        numbers = torch.cat([value.double() for value in means.values()]).tolist()
        listed, at = {}, 0
        for name, value in means.items():
            listed[name] = numbers[at : at + len(value)]
            at += len(value)
        return listed

    def _youth(self, name: str) -> int:
        """Steps in which a sign is not judged: none where all it can do is warn of what does no harm."""
        return 0 if name.endswith("_teacher_entropy") else self.youth

    def _warning(self, symptom: Symptom, since: int) -> str:
        if not symptom.fatal:
            return f"{symptom.seen}: {self.harmless}"
        if not self.stop:
            return f"{symptom.seen} since step {since}: {self.cause}"
        stops = f"the training stops if that lasts to step {since + self.grace}"
        return f"{symptom.seen} since step {since}, {stops}: {self.cause}"


def _entropy(weights: list[float]) -> float:
    """Entropy in nats of the distribution with these weights; 0 where there are none."""
    total = sum(weights)
    return -sum(weight / total * math.log(weight / total) for weight in weights if weight > 0)


def _binary_entropy(shares: list[float]) -> float:
    """Mean entropy in nats of events with these probabilities: the least loss of an answer that is always the same."""
    return sum(_entropy([share, 1 - share]) for share in shares) / len(shares)

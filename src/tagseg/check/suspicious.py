"""Tags that a linear model doubts, which is fitted to the frozen features of all other photos (cross-validation)."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from tagseg.beyond.linear_probe import logistic_regression
from tagseg.check.config import SuspiciousConfig
from tagseg.check.finding import Finding, found
from tagseg.config import RunConfig
from tagseg.data.dataset import Sample, TaggedImages
from tagseg.data.images import read_image
from tagseg.errors import TagsegError
from tagseg.files import replacing
from tagseg.frozen.features import FrozenFeatures, frozen_features
from tagseg.inference.contact_sheet import Tile, contact_sheet
from tagseg.model.network import Network

FOLDS = 5
DECAY = 0.1
"""Weight of the squared weights: a hundred times that of a classifier to predict with, as wrong tags are not to be
learnt by heart. Of swapped tags in voc20mix it finds the most (docs/check.md)."""
DOUBT = 6.0
"""Photos are named from this score on, the logarithm of the odds against their tags. Of those above it in voc20mix with
swapped tags, two in three were swapped (docs/check.md)."""
WORST = 20
"""Photos that are drawn."""
SHEET, TABLE = "suspicious.jpg", "suspicious.csv"

logger = logging.getLogger("tagseg")


@dataclass(frozen=True)
class Suspicion:
    """What speaks against the tags of one photo.

    Attributes:
        sample: the photo.
        score: 0 or more, the worst the highest.
        doubted: its tag that is least likely, if that is unlikely, and the model's probability of it.
        seen: the class that is most likely of those it is not tagged with, if that is likely.
    """

    sample: Sample
    score: float
    doubted: tuple[str, float] | None
    seen: tuple[str, float] | None

    def text(self) -> str:
        """``looks like dog (92 %), hardly like cat (4 %)``."""
        parts = [f"looks like {self.seen[0]} ({self.seen[1]:.0%})"] if self.seen else []
        parts += [f"hardly like {self.doubted[0]} ({self.doubted[1]:.0%})"] if self.doubted else []
        return ", ".join(parts)


def suspicious_tags(splits: Mapping[str, TaggedImages], config: SuspiciousConfig) -> tuple[tuple[Finding, ...], str]:
    """Photos whose tags are doubted, and the contact sheet of the worst, empty if there is none.

    The features are kept, so that a training of ``frozen`` with the same encoder and size finds them.

    Args:
        splits: photos that can be read.
        config: encoder, size and folders.

    Raises:
        TagsegError: the encoder cannot be had, a photo cannot be read, a folder not be written.
    """
    images = _tagged(splits)
    if len(images) < 2 * FOLDS or len(images.classes) < 2:
        logger.warning("tags are not held against features: that takes %d tagged photos and two classes", 2 * FOLDS)
        return (), ""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = Network(config.network, images.classes)
    place = Path(config.features.folder) if config.features.folder else Path("runs").absolute() / "features"
    features = frozen_features(network, images, config.features.size, place, RunConfig(), device)
    logits = cross_validated(pooled_means(features), features.tags, folds_of(features.contents))
    worst = doubts(images, calibrated(logits, features.tags))
    if not worst:
        return (), ""
    sheet = Path(config.output) / SHEET
    _write_table(Path(config.output) / TABLE, worst)
    contact_sheet((_tile(each, images.classes) for each in worst[:WORST]), sheet)
    return found(
        "suspicious_tags", "warning", [f"{each.sample.image.name} {each.text()}" for each in worst],
        "photos whose tags a linear model on frozen features doubts", f"look at {sheet}, and correct the tags",
    ), str(sheet)  # fmt: skip


def doubts(images: TaggedImages, logits: Float[Tensor, "n K"]) -> list[Suspicion]:
    """The photos whose tags are doubted, the worst first.

    The score is what speaks for the likeliest class without its tag, plus what speaks against the unlikeliest tag:
    logits, each 0 where the tags are right. A swapped tag has both.
    """
    tagged = torch.from_numpy(images.tag_matrix()) > 0
    untagged = logits.masked_fill(tagged, -torch.inf).max(dim=1)
    tags = logits.masked_fill(~tagged, torch.inf).min(dim=1)
    score = untagged.values.clamp(min=0) + (-tags.values).clamp(min=0)
    found_in = []
    for index in torch.argsort(score, descending=True, stable=True).tolist():
        if score[index] < DOUBT:
            break
        seen, doubted = untagged.values[index], tags.values[index]
        found_in.append(
            Suspicion(
                images.samples[index],
                float(score[index]),
                (images.classes[int(tags.indices[index])], float(doubted.sigmoid())) if doubted < 0 else None,
                (images.classes[int(untagged.indices[index])], float(seen.sigmoid())) if seen > 0 else None,
            )
        )
    return found_in


def cross_validated(
    features: Float[Tensor, "n D"], tags: Float[Tensor, "n K"], folds: Sequence[int]
) -> Float[Tensor, "n K"]:
    """Logits of the tags, each photo's by logistic regression on the photos of the other folds."""
    logits = torch.zeros_like(tags)
    fold = torch.tensor(folds)
    for number in fold.unique().tolist():
        others = fold != number
        centre, deviation = features[others].mean(dim=0), features[others].std(dim=0, correction=0) + 1e-6
        standardised = torch.cat([(features - centre) / deviation, torch.ones(len(features), 1)], dim=1)
        weights = logistic_regression(standardised[others], tags[others], DECAY)
        logits[~others] = standardised[~others] @ weights.T
    return logits


def calibrated(logits: Float[Tensor, "n K"], tags: Float[Tensor, "n K"]) -> Float[Tensor, "n K"]:
    """The logits times the one factor that makes them most likely: so strong a decay makes them timid."""
    factors = torch.logspace(-1, 2, 61).tolist()
    return logits * min(factors, key=lambda factor: float(binary_cross_entropy_with_logits(logits * factor, tags)))


def folds_of(contents: Sequence[str]) -> list[int]:
    """A fold for each photo, by its content: copies are in one fold, so that none vouches for the other."""
    order = {content: place for place, content in enumerate(sorted(set(contents)))}
    return [order[content] % FOLDS for content in contents]


def pooled_means(features: FrozenFeatures) -> Float[Tensor, "n D2"]:
    """The means of both maps over all patches."""
    return torch.cat([maps.float().mean(dim=(2, 3)) for maps in features.batches()])


def _tagged(splits: Mapping[str, TaggedImages]) -> TaggedImages:
    """The tagged photos of all splits that have the classes of the first."""
    first = next(iter(splits.values()))
    samples = tuple(
        sample
        for images in splits.values()
        if images.classes == first.classes
        for sample in images.samples
        if sample.tags_known
    )
    return replace(first, samples=samples)


def _tile(suspicion: Suspicion, classes: tuple[str, ...]) -> Tile:
    sample = suspicion.sample
    doubted, seen = suspicion.doubted or ("", 0.0), suspicion.seen or ("", 0.0)
    names = [classes[k] for k in sample.tags]
    tags = [f"{name} ({doubted[1]:.0%})" if name == doubted[0] else name for name in names]
    looks = f"looks like {seen[0]} ({seen[1]:.0%})" if seen[0] else ""
    caption = "\n".join([sample.image.name, f"tagged {', '.join(tags) or 'with nothing'}", looks])
    return Tile(read_image(sample.image), None, caption)


def _write_table(path: Path, suspicions: Sequence[Suspicion]) -> None:
    """A row a photo, the worst first, its probabilities 0 to 1."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("image", "score", "doubted", "its_probability", "looks_like", "its_probability"))
    for each in suspicions:
        doubted, seen = each.doubted or ("", ""), each.seen or ("", "")
        rows.writerow((each.sample.image.name, f"{each.score:.2f}", *_cells(*doubted), *_cells(*seen)))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_text(text.getvalue(), encoding="utf-8")
    except OSError as error:
        raise TagsegError(f"{path} cannot be written ({error.strerror or error}): choose another --output") from error


def _cells(name: str, probability: float | str) -> tuple[str, str]:
    return name, f"{probability:.3f}" if isinstance(probability, float) else ""

"""Labels of the training photos for the decoder, on twice the patch grid: of features and tags, proposals or masks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional as F

from tagseg.beyond.proposal_votes import covers_image, label_from_proposals
from tagseg.data.config import DataConfig
from tagseg.data.dataset import TaggedImages
from tagseg.data.inside import Inside
from tagseg.data.proposals import Proposals, find_proposals
from tagseg.errors import TagsegError
from tagseg.frozen.config import FrozenLabelConfig
from tagseg.frozen.crf_labels import labels_after_crf
from tagseg.frozen.features import FrozenFeatures
from tagseg.frozen.foreground import Foreground, fit_foreground
from tagseg.frozen.normalised_cut import normalised_cut
from tagseg.progress import Note, ignore, progress

FINER = 2
"""Labels to a patch, along each side."""
MOST_PHOTOS = 1_500
"""Of a larger collection, the foreground is fitted to this many photos, sampled evenly; all photos get labels."""


def training_labels(
    features: FrozenFeatures,
    images: TaggedImages,
    config: FrozenLabelConfig,
    proposals: Mapping[str, Proposals] | None = None,
    note: Note = ignore,
) -> UInt8[Tensor, "n H W"]:
    """Labels 0 to K, or 255, of the photos whose features are given.

    Args:
        features: of the photos, in their order.
        images: the photos; masks are read for ``source: masks`` alone.
        config: where labels come from.
        proposals: for ``source: folder``, by the photos' names; looked for if not given.
        note: is told how far foreground, labels and proposals are.

    Raises:
        TagsegError: a photo without mask, or proposals that cannot be read.
    """
    size = (FINER * features.grid[0], FINER * features.grid[1])
    if config.source == "masks":
        return mask_labels(images, size, note)
    features = with_cuts(features, note)
    foreground = fitted_foreground(features, config.foreground_share, note)
    labels = foreground_labels(features, foreground, size, note, images if config.crf else None)
    if config.source == "spectral":
        return labels
    found = given_proposals(images, config) if proposals is None else proposals
    return proposal_labels(features, images, foreground, labels, found, note)


def given_proposals(
    images: TaggedImages, config: FrozenLabelConfig, data: DataConfig | None = None
) -> dict[str, Proposals]:
    """The proposals in ``labels.folder`` by the photos' names; none where labels come from elsewhere.

    Args:
        images: whose proposals are wanted.
        config: ``source``, ``folder`` and ``kind`` apply.
        data: ``outside`` says whether links may lead out of that folder; by default they may.

    Raises:
        TagsegError: there are none for any photo.
    """
    if config.source != "folder":
        return {}
    folder = Path(config.folder)
    return find_proposals(folder, images, config.kind, None if data is None else Inside.alone(data, folder))


def with_cuts(features: FrozenFeatures, note: Note = ignore) -> FrozenFeatures:
    """The features with their normalised cuts, which both fit and labels need; a larger collection as it is.

    A cut takes 20 ms of a core with 20 × 20 patches, 600 with 40 × 40.
    """
    if features.cuts is not None or len(features) > MOST_PHOTOS:
        return features
    cuts = []
    with progress(len(features), "normalised cuts", note=note) as bar:
        for rows in features.batches(8):
            cuts.append(normalised_cut(rows[:, features.width :]))
            bar.update(len(rows))
    return replace(features, cuts=torch.cat(cuts))


def fitted_foreground(features: FrozenFeatures, share: float, note: Note = ignore) -> Foreground:
    """``fit_to_some`` with a progress bar."""
    with progress(4, "foreground", "step", note=note) as bar:

        def show(step: str) -> None:
            bar.set_postfix_str(step)
            bar.update()

        return fit_to_some(features, share, show)


def fit_to_some(features: FrozenFeatures, share: float, note: Callable[[str], None] = lambda step: None) -> Foreground:
    """The foreground fitted to at most ``MOST_PHOTOS`` photos."""
    count = min(len(features), MOST_PHOTOS)
    some = torch.linspace(0, len(features) - 1, count).round().long().tolist()
    maps = torch.cat([features.read(some[first : first + 64]) for first in range(0, count, 64)])
    final, auxiliary = maps[:, : features.width], maps[:, features.width :]
    cuts = None if features.cuts is None else features.cuts[some]
    return fit_foreground(final, auxiliary, features.tags[some], share, note, cuts)


def foreground_planes(features: FrozenFeatures, foreground: Foreground, indices: range) -> Float[Tensor, "B C h w"]:
    """Scores of some photos, whose argmax is the label; finite."""
    some = slice(indices.start, indices.stop)
    cuts = None if features.cuts is None else features.cuts[some]
    planes = foreground.planes(*features.maps(indices), features.tags[some], cuts)
    return planes.clamp(min=-1e4)


def foreground_labels(
    features: FrozenFeatures,
    foreground: Foreground,
    size: tuple[int, int],
    note: Note = ignore,
    images: TaggedImages | None = None,
) -> UInt8[Tensor, "n H W"]:
    """The labels of all photos at a size; after the dense CRF where the images are given."""
    labels, batch = [], 64 if images is None else 8
    with progress(len(features), "labels", note=note) as bar:
        for first in range(0, len(features), batch):
            indices = range(first, min(first + batch, len(features)))
            planes = foreground_planes(features, foreground, indices)
            if images is None:
                labels.append(label_of_planes(planes, size))
            else:
                photos = [images.samples[index].image for index in indices]
                labels.append(labels_after_crf(planes, features.tags[first : indices.stop], photos, size))
            bar.update(len(indices))
    return torch.cat(labels)


def label_of_planes(planes: Float[Tensor, "B C h w"], size: tuple[int, int]) -> UInt8[Tensor, "B H W"]:
    """The argmax of scores, interpolated to a size."""
    full = F.interpolate(planes, size, mode="bilinear", align_corners=False)
    return full.max(dim=1).indices.to(torch.uint8)  # argmax takes five times as long on a CPU


def proposal_labels(
    features: FrozenFeatures,
    images: TaggedImages,
    foreground: Foreground,
    labels: UInt8[Tensor, "n H W"],
    found: Mapping[str, Proposals],
    note: Note = ignore,
) -> UInt8[Tensor, "n H W"]:
    """The labels, replaced where a photo has proposals: each takes the tag that the scores vote for."""
    size, labels = (labels.shape[1], labels.shape[2]), labels.clone()
    with progress(len(found), "proposals", note=note) as bar:
        for index, sample in enumerate(images.samples):
            if sample.name not in found:
                continue
            segments = found[sample.name]()
            planes = foreground_planes(features, foreground, range(index, index + 1))[0]
            decide = not covers_image(segments)
            score = planes[1:].amax(dim=0)
            label = label_from_proposals(
                segments, planes[1:], features.tags[index], decides_foreground=decide, foreground=score
            )
            if label is not None:
                labels[index] = nearest(label, size)
            bar.update()
    return labels


def mask_labels(images: TaggedImages, size: tuple[int, int], note: Note = ignore) -> UInt8[Tensor, "n H W"]:
    """Ground-truth masks at a size: full supervision, as an upper bound."""
    labels = torch.zeros((len(images), *size), dtype=torch.uint8)
    for index, sample in enumerate(images.samples):
        if sample.mask is None:
            raise TagsegError(
                f"labels.source is masks, but {sample.name} of {images.source} has none: add its mask, or train on "
                "tags with --labels.source spectral"
            )
        labels[index] = nearest(sample.mask(), size)
        note("labels", index + 1, len(images))
    return labels


def nearest(label: UInt8[np.ndarray, "_H _W"], size: tuple[int, int]) -> UInt8[Tensor, "H W"]:
    """A label map at another size, each pixel from the nearest."""
    full = torch.from_numpy(np.array(label))[None, None].float()
    return F.interpolate(full, size, mode="nearest-exact")[0, 0].to(torch.uint8)

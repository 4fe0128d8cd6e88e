"""Normalised cuts of all photos: they depend on no tag, so they are computed once and kept beside the features."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from tagseg.frozen.cache import FeatureCache
from tagseg.frozen.features import FrozenFeatures
from tagseg.frozen.normalised_cut import normalised_cut
from tagseg.progress import progress

AT_ONCE = 16
"""Photos whose cuts are computed together."""


@torch.no_grad()
def normalised_cuts(features: FrozenFeatures) -> Float[Tensor, "n h w"]:
    """The cuts of all photos, those that are not at hand computed first; half precision on the disk.

    Raises:
        TagsegError: the folder of the features cannot be written.
    """
    folder = features.cache.folder
    cache = FeatureCache(folder.with_name(f"{folder.name}-cuts"), (1, *features.grid))
    missing = {content: index for index, content in enumerate(features.contents) if content not in cache}
    if missing:
        contents, places = list(missing), list(missing.values())
        with cache.writer(len(missing)) as writer, progress(len(missing), "normalised cuts") as bar:
            for first in range(0, len(missing), AT_ONCE):
                _, auxiliary = features.maps(places[first : first + AT_ONCE])
                writer.add(contents[first : first + AT_ONCE], normalised_cut(auxiliary)[:, None].half())
                bar.update(len(auxiliary))
    return cache.read(features.contents)[:, 0].float()

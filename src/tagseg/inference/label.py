"""Photos → label maps, several at once; one that cannot be read or does not fit does not stop the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tagseg.inference.attempt import attempt
from tagseg.inference.batches import Batches
from tagseg.inference.label_maps import Labelled, Wanted, label_maps, photos_at_once
from tagseg.inference.look import Look, View
from tagseg.model.network import Network


@dataclass(frozen=True)
class Labeller:
    """How photos are looked at, how many at once, and what is made of them."""

    view: View
    wanted: Wanted
    batches: Batches

    def label(self, network: Network, images: Sequence[Path]) -> Iterator[tuple[int, Labelled | str]]:
        """Each image's index and what was found in it, or why nothing was; as they get ready, not in order."""
        at_once = photos_at_once(network, self.wanted)
        waiting: dict[int, Look] = {}
        for index, seen in self.batches.each(
            images,
            lambda height, width: self.view.sizes(height, width, network.patch_size),
            partial(self.view.look, network),
            next(network.parameters()).device,
        ):
            if isinstance(seen, str):
                yield index, seen
                continue
            waiting[index] = seen
            if len(waiting) == at_once:
                yield from self._label_all(waiting, images)
                waiting = {}
        yield from self._label_all(waiting, images)

    def _label_all(self, looks: dict[int, Look], images: Sequence[Path]) -> list[tuple[int, Labelled | str]]:
        """All together; where that fails, one by one, to find the one that does."""
        if not looks:
            return []
        found = attempt(partial(label_maps, list(looks.values()), self.view.sizing, self.wanted), images[min(looks)])
        if not isinstance(found, str):
            return list(zip(looks, found, strict=True))
        if len(looks) == 1:
            return [(index, found) for index in looks]
        return [self._label_all({index: seen}, images)[0] for index, seen in looks.items()]

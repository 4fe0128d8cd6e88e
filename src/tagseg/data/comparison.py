"""What the tags and the masks of the same images say, and how far they contradict each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from jaxtyping import Bool, Float
from numpy import ndarray

from tagseg.data.dataset import IGNORE

MOST = 0.5
"""Tags and masks contradict each other if they do in more than this share of the images with a tag or an object, or if
more than this share of the images tagged with a class, ``CLASS_IMAGES`` at least, have no pixel of it."""

CLASS_IMAGES = 3
"""So many images must have a class in their tags before its missing pixels alone are a contradiction."""


@dataclass(frozen=True)
class Comparison:
    """What the tags and the masks of n images say.

    Attributes:
        source: origin of the images, for messages.
        classes: the K foreground class names.
        names: of the images.
        tagged: whether the tags have the class; False where the tags are not known.
        shown: whether the mask has a pixel of this id, 255 included.
        ignored: share of the pixels that are ignored, 0 to 1.
        known: whether the tags of the image are known.
        of: number of images that these are a sample of; n where they are all.
        written: the id in the mask files of each id 0 to 255.
    """

    source: str
    classes: tuple[str, ...]
    names: tuple[str, ...]
    tagged: Bool[ndarray, "n K"]
    shown: Bool[ndarray, "n 256"]
    ignored: Float[ndarray, " n"]
    known: Bool[ndarray, " n"]
    of: int
    written: tuple[int, ...] = field(default_factory=lambda: tuple(range(IGNORE + 1)))

    @cached_property
    def objects(self) -> Bool[ndarray, "n K"]:
        """Whether the mask has a counted pixel of the class."""
        return self.shown[:, 1 : len(self.classes) + 1]

    @cached_property
    def missing(self) -> Bool[ndarray, "n K"]:
        """Classes that are tagged and have no counted pixel."""
        return self.tagged & ~self.objects

    @cached_property
    def untagged(self) -> Bool[ndarray, "n K"]:
        """Classes that the mask shows and the known tags lack."""
        return self.objects & ~self.tagged & self.known[:, None]

    @cached_property
    def contradictory(self) -> Bool[ndarray, " n"]:
        """Images whose tags and mask contradict each other."""
        return (self.missing | self.untagged).any(axis=1)

    @property
    def share(self) -> float:
        """Share of the contradictory images among those with known tags that have a tag or an object, 0 to 1."""
        say_something = self.known & (self.tagged | self.objects).any(axis=1)
        return float(self.contradictory.sum() / max(1, say_something.sum()))

    @property
    def absent(self) -> tuple[str, ...]:
        """Classes that are tagged and have no counted pixel in any image."""
        missing, shown = self.missing.sum(axis=0), self.objects.sum(axis=0)
        return tuple(name for index, name in enumerate(self.classes) if missing[index] and not shown[index])

    @property
    def background_alone(self) -> bool:
        """Whether no mask shows any object, though the tags name some or are not known."""
        return not self.objects.any() and bool(self.tagged.any() or not self.known.all())

    @property
    def contradicts(self) -> bool:
        """Whether tags and masks contradict each other in most images, or for a class (``MOST``, ``CLASS_IMAGES``)."""
        images = self.tagged.sum(axis=0)
        of_a_class = (images >= CLASS_IMAGES) & (self.missing.sum(axis=0) > MOST * images)
        return self.share > MOST or bool(of_a_class.any()) or self.background_alone

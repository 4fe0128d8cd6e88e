"""Settings of everything that is not in the paper, in one section. All of it is off by default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from tagseg.settings import InnerShare, NotNegative, Pixels, Section, Share


@dataclass(frozen=True)
class BeyondConfig(Section):
    """What is not in the paper. The presets ``paper``, ``voc2012`` and ``coco2014`` use none of it."""

    SECTION: ClassVar[str] = "beyond"

    labels: Literal["cam", "boundary", "network", "masks"] = "cam"
    """Labels of L_seg and L_reg. ``cam``: pseudo-labels from the CAMs at every step, as in the paper; ``boundary``:
    pseudo-labels made once before the first step by a boundary prior on pretrained features; ``network``: the same by
    the network in ``network.start``, limited to each image's tags; ``masks``: ground truth, which is the fully
    supervised upper bound and not weak supervision."""
    boundary_size: Pixels = 320
    """Side in pixels at which images are encoded for the boundary prior."""
    foreground_share: InnerShare = 0.3
    """Share of the patches of tagged images that the boundary prior calls foreground; VOC's photos have a quarter."""
    fit_classifiers: bool = False
    """Before the first step, fit both classifiers to the pretrained features of the training images (linear probe)."""
    decoder_start: NotNegative = 1.0
    """Factor of the initial weights of the decoder's last layer: 1 in the paper; near 0 first scores are equal."""
    pool: Share = 0.0
    """Share of an image's patches whose highest values are averaged, channel by channel, for the tag logits. 0: global
    max pooling, as in the paper; 1: global average pooling."""
    teacher_sharpness: NotNegative = 0.0
    """0: the published temperatures. Otherwise the root mean square of the teacher's logits, kept by a temperature that
    follows the spread of its projections, so that targets are never uniform."""
    repeat_below: Share = 0.0
    """Images of classes that fewer than this share of the images show are drawn more often in an epoch."""
    start_share: Share = 0.0
    """Share of the weights of ``network.start`` in the network to predict with, the rest those of the trained one
    (WiSE-FT). 0: the trained one alone."""

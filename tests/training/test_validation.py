import warnings

import pytest
import torch

from tagseg.data.batch import ScoreBatch
from tagseg.fsr.config import CamConfig
from tagseg.fsr.step import PLAIN
from tagseg.training.validation import Validation

MAPS = ("segmentation", "cam", "aux_cam")


def batch(*known: bool) -> ScoreBatch:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand((len(known), 3, 32, 32), generator=generator) * 255
    tags = torch.tensor([[1.0, 0.0, 0.0]]).repeat(len(known), 1)
    tags[[not one for one in known]] = torch.nan
    masks = [torch.randint(0, 2, (20, 24), generator=generator, dtype=torch.uint8) for _ in known]
    return ScoreBatch(images, tags, masks)


def scores_of(network, batches, maps=MAPS) -> dict[str, float]:
    validation = Validation(("student",), maps, 3, CamConfig())
    for one in batches:
        validation.update("student", network, network.normalise(one.images), one, PLAIN)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return validation.compute()


def test_without_known_tags_the_segmentation_alone_is_scored(tiny):
    scores = scores_of(tiny, [batch(False, False)])
    assert scores.keys() == {"student/segmentation", "student/segmentation_accuracy"}
    with_tags = scores_of(tiny, [batch(True, True)])
    assert with_tags.keys() == scores.keys() | {"student/cam", "student/aux_cam", "student/tag_f1"}
    assert scores["student/segmentation"] == with_tags["student/segmentation"]


def test_images_without_known_tags_count_for_the_segmentation_alone(tiny):
    both, known = batch(True, False), batch(True, False)
    first = ScoreBatch(known.images[:1], known.tags[:1], known.masks[:1])
    mixed, alone = scores_of(tiny, [both]), scores_of(tiny, [first])
    for name in ("cam", "aux_cam", "tag_f1"):
        assert mixed[f"student/{name}"] == pytest.approx(alone[f"student/{name}"], abs=1e-5)
    assert mixed["student/segmentation"] != alone["student/segmentation"]

"""What the experiments measure of a network."""

import math

import pytest
import torch
from scores import Regions, limited, score

from tagseg.config import replace
from tagseg.data import sources
from tagseg.errors import TagsegError

from ..conftest import make_folder, tiny_config, tiny_network

pytestmark = pytest.mark.slow


def test_limited_logits_name_background_and_tags_alone():
    logits = torch.randn(2, 4, 3, 3)
    label = limited(logits, torch.tensor([[0.0, 1, 0], [0, 0, 0]])).argmax(dim=1)
    assert set(label[0].unique().tolist()) <= {0, 2}
    assert set(label[1].unique().tolist()) == {0}


def test_regions_count_what_is_right_and_where_errors_are():
    figures = Regions(pixels=[10, 20, 10], wrong=[1, 6, 5]).figures()
    assert figures["certain_background_precision"] == pytest.approx(0.9)
    assert figures["certain_foreground_precision"] == pytest.approx(0.5)
    assert figures["errors_in_uncertain"] == pytest.approx(0.5)
    assert figures["uncertain_share"] == pytest.approx(0.5)


def test_every_score_is_a_share_and_the_training_s_own_are_among_them(tmp_path):
    config = tiny_config(make_folder(tmp_path / "photos"), tmp_path)
    classes = sources.load(config.data, "val").classes
    scores = score(tiny_network(classes), tiny_network(classes, seed=1), config)
    some = {"student/segmentation", "teacher/cam", "student/segmentation_with_tags", "student/segmentation_crf"}
    assert some <= set(scores)
    assert all(math.isnan(value) or 0 <= value <= 1 for value in scores.values())


def test_a_split_without_masks_is_refused_not_scored_as_nothing(tmp_path):
    config = replace(tiny_config(make_folder(tmp_path / "photos"), tmp_path), data={"masks": "none"})
    classes = sources.load(config.data, "val").classes
    with pytest.raises(TagsegError, match="no image has a mask"):
        score(tiny_network(classes), tiny_network(classes), config)

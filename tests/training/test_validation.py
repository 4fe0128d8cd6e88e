import warnings

import pytest
import torch

from tagseg.data import sources
from tagseg.data.batch import ScoreBatch
from tagseg.data.loaders import ScoredImages, score_loader
from tagseg.fsr.config import CamConfig
from tagseg.fsr.step import PLAIN
from tagseg.training.validation import Validation

from ..conftest import tiny_config

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


def counted_by(network, loader, maps):
    """What one process counts: its confusion matrices, and its sums for tag F1."""
    validation = Validation(("student",), maps, 3, CamConfig())
    for one in loader:
        validation.update("student", network, network.normalise(one.images), one, PLAIN)
    (f1,) = validation.f1.values()
    matrices = {name: module.matrix for name, module in validation.confusion.items()}
    return matrices | {"f1": f1.mean_value, "images": f1.weight}


@pytest.mark.parametrize("maps", [MAPS, ("cam", "aux_cam")], ids=["fsr", "classifier"])
@pytest.mark.parametrize(("images", "processes"), [(5, 2), (5, 3), (5, 4), (2, 3), (1, 4)])
def test_every_image_is_counted_once_whatever_the_number_of_processes(
    tiny, tagged_folder, tmp_path, monkeypatch, images, processes, maps
):
    """Also where there are fewer images than processes; each of those still has a batch, or the others would wait."""
    data = sources.load(tiny_config(tagged_folder, tmp_path).data, "train").with_masks().first(images)
    read: list[str] = []
    item = ScoredImages.__getitem__

    def noted(self, index):
        read.append(self.images.samples[index].name)
        return item(self, index)

    monkeypatch.setattr(ScoredImages, "__getitem__", noted)
    loaders = [score_loader(data, 32, 2, 0, part=(rank, processes)) for rank in range(processes)]
    assert min(len(loader) for loader in loaders) == 1
    shares = [counted_by(tiny, loader, maps) for loader in loaders]
    assert sorted(read) == sorted(sample.name for sample in data.samples)
    whole = counted_by(tiny, score_loader(data, 32, 1, 0), maps)
    assert whole["images"] == images
    for name, value in whole.items():
        summed = torch.stack([share[name] for share in shares]).sum(dim=0)
        assert (summed - value).abs().sum() <= 1e-3 * value.sum(), name

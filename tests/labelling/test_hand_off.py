"""Other trainers read the dataset through their own documented loaders, and nothing else."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F
from torchvision.datasets import VOCSegmentation
from torchvision.models.segmentation import fcn_resnet50
from torchvision.transforms import functional as V

from tagseg.data import sources
from tagseg.data.config import DataConfig
from tagseg.data.images import read_image
from tagseg.labelling.label import label

from ..conftest import CLASSES, make_folder, tiny_network
from .conftest import label_config


@pytest.fixture(scope="module")
def tagged(tmp_path_factory):
    """Photos of which one has an EXIF rotation and one is a PNG."""
    root = make_folder(tmp_path_factory.mktemp("tagged"), train=4, side=40)
    turned = Image.Exif()
    turned[0x0112] = 6
    with Image.open(root / "images" / "train1.jpg") as image:
        image.copy().save(root / "images" / "train1.jpg", exif=turned)
    with Image.open(root / "images" / "train2.jpg") as image:
        image.save(root / "images" / "train2.png")
    (root / "images" / "train2.jpg").unlink()
    text = (root / "labels.csv").read_text().replace("train2.jpg", "train2.png")
    (root / "labels.csv").write_text(text)
    shutil.rmtree(root / "masks")
    return root


def written_mask(path):
    with Image.open(path) as mask:
        return np.asarray(mask)


def test_torchvision_reads_the_layout_of_voc_with_equal_masks(tagged, tmp_path):
    result = label(tagged, tmp_path / "out", tiny_network(), layout="voc", scales=(1.0,))
    for split, masks in result.masks.items():
        dataset = VOCSegmentation(str(tmp_path / "out"), year="2012", image_set=split)
        assert len(dataset) == len(masks)
        for (photo, target), image, mask in zip(dataset, result.images[split], masks, strict=True):
            assert photo.size == target.size
            assert np.array_equal(np.asarray(target), written_mask(mask))
            assert np.array_equal(np.asarray(photo), read_image(image))
    upright = VOCSegmentation(str(tmp_path / "out"), year="2012", image_set="train")[1][0]
    assert np.asarray(upright).shape == read_image(tagged / "images" / "train1.jpg").shape


@pytest.mark.slow
def test_torchvisions_fcn_learns_from_it_for_a_few_steps(tagged, tmp_path):
    label(tagged, tmp_path / "out", tiny_network(), layout="voc", scales=(1.0,))
    torch.manual_seed(0)
    network = fcn_resnet50(weights=None, weights_backbone=None, num_classes=len(CLASSES) + 1)
    optimiser = torch.optim.SGD(network.parameters(), 0.02)

    def both(photo, target):
        pixels = V.resize(V.to_tensor(photo), [32, 32])
        return pixels, V.resize(V.pil_to_tensor(target), [32, 32], V.InterpolationMode.NEAREST)[0].long()

    dataset = VOCSegmentation(str(tmp_path / "out"), year="2012", image_set="train", transforms=both)
    photos, targets = next(iter(torch.utils.data.DataLoader(dataset, batch_size=4)))
    losses = []
    for _ in range(4):
        loss = F.cross_entropy(network(photos)["out"], targets, ignore_index=255)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]


def test_ultralytics_reads_it_with_equal_masks(tagged, tmp_path):
    utils = pytest.importorskip("ultralytics.data.utils", reason="ultralytics is in the environment of the formats")
    loader = pytest.importorskip("ultralytics.data.dataset").SemanticDataset
    result = label(tagged, tmp_path / "out", tiny_network(), scales=(1.0,))
    data = utils.check_det_dataset(str(tmp_path / "out" / "data.yaml"), autodownload=False)
    assert data["names"] == dict(enumerate(("background", *CLASSES)))
    for split, masks in result.masks.items():
        dataset = loader(img_path=data[split], data=data, imgsz=64, augment=False)
        read = {dataset.im_files[index]: index for index in range(len(dataset))}
        assert len(read) == len(masks)
        for image, mask in zip(result.images[split], masks, strict=True):
            index = read[str(image)]
            assert np.array_equal(dataset.load_mask(index), written_mask(mask))
            assert dataset.load_image(index)[1] == written_mask(mask).shape


def test_tagseg_itself_reads_it_as_data_with_masks(tagged, tmp_path):
    """The masks could be scored, or trained on as an upper bound."""
    result = label(tagged, tmp_path / "out", tiny_network(), layout="voc", scales=(1.0,))
    root = tmp_path / "out" / "VOCdevkit" / "VOC2012"
    config = DataConfig(source="voc", root=str(root), classes=CLASSES, tags="masks")
    images = sources.load(config, "train")
    assert len(images) == 4
    for sample, mask in zip(images.samples, result.masks["train"], strict=True):
        assert sample.mask is not None
        assert np.array_equal(sample.mask(), written_mask(mask))


def test_names_that_loaders_would_take_apart_are_changed(tmp_path):
    """Ultralytics replaces the last folder called images; two photos must not share a mask."""
    root = make_folder(tmp_path / "photos", train=2, val=1)
    (root / "images" / "images").mkdir()
    (root / "images" / "train0.jpg").rename(root / "images" / "images" / "train0.jpg")
    (root / "labels.csv").write_text("image,labels\nimages/train0.jpg,circle\ntrain1.jpg,square\n")
    config = label_config(root, data={"val_split": ""})
    result = label(config.data, tmp_path / "out", tiny_network(), scales=(1.0,))
    places = [path.relative_to(tmp_path / "out").as_posix() for path in result.masks["train"]]
    assert places == ["masks/train/images_/train0.png", "masks/train/train1.png"]

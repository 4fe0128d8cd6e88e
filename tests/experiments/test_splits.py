"""A fifth of the training images chooses settings; no image both trains and chooses, none of ``val`` does either."""

from splits import side_of, with_dev_split

from tagseg.config import replace
from tagseg.data import sources
from tagseg.data.config import DataConfig

from ..conftest import make_folder, tiny_config


def test_about_a_fifth_of_all_names_scores():
    sides = [side_of(f"{index:06}.jpg") for index in range(5000)]
    assert 0.18 < sides.count("dev") / 5000 < 0.22
    assert sides == [side_of(f"{index:06}.jpg") for index in range(5000)]


def test_both_halves_are_the_training_images_and_nothing_else(tmp_path):
    root = make_folder(tmp_path / "photos", train=40, val=5)
    config = replace(tiny_config(root, tmp_path), data={"classes": str(root / "classes.txt")})
    split = with_dev_split(config, tmp_path / "out")
    fit, dev = (
        {s.name for s in sources.load(split.data, part).samples}
        for part in (split.data.train_split, split.data.val_split)
    )
    whole = sources.load(DataConfig(root=str(root), classes=str(root / "classes.txt")), "train")
    assert fit
    assert dev
    assert not fit & dev
    assert fit | dev == {s.name for s in whole.samples}
    val = {s.name for s in sources.load(replace(split, data={"val_split": "val"}).data, "val").samples}
    assert val == {f"val{index}" for index in range(5)}

"""Data sets of the library ``datasets``: their photos become files, their ids names."""

import io

import pytest
from PIL import Image

from tagseg.data.tools.hugging_face import TaggedPhoto, is_dataset, photos_of
from tagseg.errors import TagsegError

from .exports import photos


class ClassLabel:
    """As in the library: a feature is known by the name of its type."""

    def __init__(self, *names):
        self.names = list(names)


class Sequence:
    def __init__(self, feature):
        self.feature = feature


class Value:
    pass


class ImageFeature:
    def __init__(self, decode=True):
        self.decode = decode


ImageFeature.__name__ = "Image"


class Dataset:
    """What is used of the library's ``Dataset``."""

    def __init__(self, features, rows):
        self.features, self.rows, self.num_rows = features, rows, len(rows)

    def cast_column(self, name, feature):
        assert not feature.decode
        return self

    def select_columns(self, names):
        return Dataset(self.features, [{name: row[name] for name in names} for row in self.rows])

    def with_format(self, kind):
        return self

    def __iter__(self):
        return iter(self.rows)


Dataset.__module__ = "datasets.arrow_dataset"
FEATURES = {"image": ImageFeature(), "label": ClassLabel("cat", "dog")}


def jpeg():
    stored = io.BytesIO()
    Image.new("RGB", (4, 3)).save(stored, "JPEG")
    return stored.getvalue()


def row(label, path=None, content=None):
    return {"image": {"bytes": content, "path": path}, "label": label}


def test_it_is_told_by_its_type():
    assert is_dataset(Dataset(FEATURES, []))
    assert not any(map(is_dataset, ([], {}, "datasets", Value())))


def test_files_stay_and_bytes_are_written(tmp_path):
    path = photos(tmp_path, "a.png") / "a.png"
    rows = [row(0, str(path)), row(1, "gone/b.jpeg", jpeg()), row(0, None, jpeg()), row(-1, str(path)), row(None)]
    found, notes = photos_of(Dataset(FEATURES, rows), tmp_path / "out")
    written = [tmp_path / "out" / name for name in ("000001.jpeg", "000002.jpg")]
    assert found == [
        TaggedPhoto(path, ("cat",)),
        TaggedPhoto(written[0], ("dog",)),
        TaggedPhoto(written[1], ("cat",)),
    ]
    assert [each.read_bytes() for each in written] == [jpeg(), jpeg()]
    assert str(notes[0]).startswith("2 rows without a label (none, or the class id -1), left out: row 3")


def test_splits_are_the_keys(tmp_path):
    both = {"train": Dataset(FEATURES, [row(0, None, jpeg())]), "test": Dataset(FEATURES, [row(1, None, jpeg())])}
    found, _ = photos_of(both, tmp_path)
    assert [(each.path.relative_to(tmp_path).as_posix(), each.tags, each.split) for each in found] == [
        ("train/000000.jpg", ("cat",), "train"),
        ("test/000000.jpg", ("dog",), "test"),
    ]


@pytest.mark.parametrize(
    ("feature", "label", "tags"),
    [
        (Sequence(ClassLabel("cat", "dog")), [0, 1, 0], ("cat", "dog")),
        ([ClassLabel("cat", "dog")], [], ()),
        (Value(), "cat", ("cat",)),
        (Sequence(Value()), ["dog", "cat"], ("dog", "cat")),
        (Value(), 3, ("3",)),
        ({"bbox": Value(), "category": Sequence(ClassLabel("cat", "dog"))}, {"bbox": [], "category": [1]}, ("dog",)),
    ],
)
def test_labels_may_be_lists_text_and_objects(tmp_path, feature, label, tags):
    path = str(photos(tmp_path, "a.png") / "a.png")
    found, _ = photos_of(Dataset({"image": ImageFeature(), "label": feature}, [row(label, path)]), tmp_path)
    assert found[0].tags == tags


@pytest.mark.parametrize(
    ("features", "cells", "message"),
    [
        ({"text": Value(), "label": ClassLabel("cat")}, row(0), "has no column of images"),
        ({"left": ImageFeature(), "right": ImageFeature()}, row(0), r"several columns of images \(left, right\)"),
        ({"image": ImageFeature(), "text": Value()}, row(0), "no column of class labels"),
        ({"image": ImageFeature(), "a": ClassLabel("x"), "b": ClassLabel("y")}, row(0), r"may be the tags \(a, b\)"),
        (FEATURES, row(2, None, jpeg()), "row 0 of the data set has the class id 2, expected 0 to 1"),
        (FEATURES, row(0, "gone.jpg"), "row 0 of the data set has neither a photo"),
        (FEATURES, row(0, None, b"nothing"), "row 0 of the data set has bytes that are no image"),
        (FEATURES, row([[0]], None, jpeg()), "for tags, expected a class or a list of classes"),
        (None, row(0), "does not say what its columns are"),
    ],
)
def test_anything_else_is_refused_in_one_line(tmp_path, features, cells, message):
    with pytest.raises(TagsegError, match=message) as caught:
        photos_of(Dataset(features, [cells]), tmp_path)
    assert "\n" not in str(caught.value)


def test_a_column_may_be_named(tmp_path):
    path = str(photos(tmp_path, "a.png") / "a.png")
    features = {"image": ImageFeature(), "fine": ClassLabel("siamese"), "coarse": ClassLabel("cat")}
    data = Dataset(features, [{"image": {"path": path, "bytes": None}, "fine": 0, "coarse": 0}])
    assert photos_of(data, tmp_path, "coarse")[0][0].tags == ("cat",)
    with pytest.raises(TagsegError, match="the column is 'x', expected one of the data set: image, fine, coarse"):
        photos_of(data, tmp_path, "x")


@pytest.mark.slow
def test_with_the_library_itself(tmp_path):
    datasets = pytest.importorskip("datasets")
    path = photos(tmp_path, "a.png") / "a.png"
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])})
    rows = {"image": [str(path), {"bytes": jpeg(), "path": None}], "label": [1, 0]}
    data = datasets.Dataset.from_dict(rows, features=features)
    assert is_dataset(data)
    both = datasets.DatasetDict({"train": data, "test": data.select([0])})
    assert is_dataset(both)
    found, notes = photos_of(both, tmp_path / "out")
    assert notes == ()
    assert [(each.path.name, each.tags, each.split) for each in found] == [
        ("a.png", ("dog",), "train"),
        ("000001.jpg", ("cat",), "train"),
        ("a.png", ("dog",), "test"),
    ]
    several = datasets.Features({"image": datasets.Image(), "tags": datasets.Sequence(features["label"])})
    listed = datasets.Dataset.from_dict({"image": [str(path)], "tags": [[0, 1]]}, features=several)
    assert photos_of(listed, tmp_path)[0][0].tags == ("cat", "dog")

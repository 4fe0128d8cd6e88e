import io
import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tagseg.data.palette import colours_with, palette
from tagseg.errors import TagsegError
from tagseg.inference.result import COLUMNS, Result

from ..conftest import assert_refused

NAMES = {0: "background", 1: "cat", 2: "dog", 3: "cow"}
OWN = ((0, 0, 0), (255, 0, 0), (0, 200, 0), (0, 0, 250))


def result_of(mask: np.ndarray, **others: Any) -> Result:
    return Result(mask, NAMES, others.pop("colours", colours_with({}, 4)), **others)


@pytest.fixture
def mask() -> np.ndarray:
    """A dog of 300 pixels, a cat of 100 in the lower right corner, an ignored column; no cow."""
    labels = np.zeros((40, 60), np.uint8)
    labels[5:20, 10:30] = 2
    labels[30:, 50:] = 1
    labels[:, 0] = 255
    return labels


@pytest.fixture
def probs(mask: np.ndarray) -> np.ndarray:
    """0.75 for the label of each pixel, the dog's left half 0.25."""
    values = np.full((4, *mask.shape), 0.05, np.float16)
    for label in range(4):
        values[label][mask == label] = 0.75
    values[2, 5:20, 10:20] = 0.25
    return values


def test_a_summary_done_by_hand(mask, probs):
    dog = {"name": "dog", "class": 2, "pixels": 300, "share": 0.125, "box": {"x1": 10, "y1": 5, "x2": 30, "y2": 20}}
    cat = {"name": "cat", "class": 1, "pixels": 100, "share": 1 / 24, "box": {"x1": 50, "y1": 30, "x2": 60, "y2": 40}}
    assert result_of(mask).summary() == [dog | {"confidence": None}, cat | {"confidence": None}]
    assert result_of(mask, probs=probs).summary() == [dog | {"confidence": 0.5}, cat | {"confidence": 0.75}]
    assert result_of(mask * 0).summary() == []
    assert result_of(mask).orig_shape == (40, 60)


def test_classes_of_one_size_are_in_the_order_of_their_labels(mask):
    assert [row["name"] for row in result_of(np.array([[3, 1, 2, 0, 2, 3, 1]], np.uint8)).summary()] == [
        "cat",
        "dog",
        "cow",
    ]


def test_json_has_what_the_summary_has_and_the_photo(mask):
    path = Path("Größe") / "図.jpg"
    read = json.loads(result_of(mask, path=path).to_json())
    assert read == {"path": str(path), "height": 40, "width": 60, "classes": result_of(mask).summary()}
    assert json.loads(result_of(mask * 0).to_json()) == {"path": None, "height": 40, "width": 60, "classes": []}


def test_coco_has_an_annotation_for_each_part(mask):
    mask[0, 30:32] = 2
    coco = result_of(mask, path=Path("in/a.jpg")).to_coco(image_id=7, first_id=20)
    assert coco["images"] == [{"id": 7, "file_name": "a.jpg", "height": 40, "width": 60}]
    assert [(c["id"], c["name"]) for c in coco["categories"]] == [(1, "cat"), (2, "dog"), (3, "cow")]
    assert [a["id"] for a in coco["annotations"]] == [20, 21, 22]
    assert {a["image_id"] for a in coco["annotations"]} == {7}
    found = [(a["category_id"], a["area"], a["bbox"]) for a in coco["annotations"]]
    assert sorted(found) == [(1, 100, [50, 30, 10, 10]), (2, 2, [30, 0, 2, 1]), (2, 300, [10, 5, 20, 15])]


def test_pycocotools_reads_it(mask):
    mask[0, 30:32] = 2
    data = pytest.importorskip("pycocotools.coco").COCO()
    data.dataset = json.loads(json.dumps(result_of(mask).to_coco()))
    data.createIndex()
    dogs = [data.annToMask(dog) for dog in data.loadAnns(data.getAnnIds(catIds=[2]))]
    assert len(dogs) == 2
    assert np.array_equal(sum(dogs), mask == 2)
    assert data.loadCats(data.getCatIds(catNms=["cow"]))[0]["id"] == 3


def test_without_pandas_a_table_is_refused_in_one_line(mask, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert_refused(result_of(mask).to_df, "pandas is not installed", "summary()")


def test_a_table(mask, probs):
    pandas = pytest.importorskip("pandas")
    table = result_of(mask, probs=probs, path=Path("a.jpg")).to_df()
    assert [*table.columns] == [*COLUMNS]
    assert table["name"].tolist() == ["dog", "cat"]
    assert table[["path", "confidence", "x2", "y2"]].values.tolist() == [
        ["a.jpg", 0.5, 30, 20],
        ["a.jpg", 0.75, 60, 40],
    ]
    assert isinstance(result_of(mask * 0).to_df(), pandas.DataFrame)


def test_detections_are_one_object_for_each_class(mask, probs):
    found = result_of(mask, probs=probs).detections()
    assert found["xyxy"].tolist() == [[10, 5, 30, 20], [50, 30, 60, 40]]
    assert found["class_id"].tolist() == [2, 1]
    assert found["confidence"].tolist() == [0.5, 0.75]
    assert found["data"]["class_name"].tolist() == ["dog", "cat"]
    assert np.array_equal(found["mask"], np.stack([mask == 2, mask == 1]))
    nothing = result_of(mask * 0).detections()
    assert (nothing["xyxy"].shape, nothing["mask"].shape, nothing["confidence"]) == ((0, 4), (0, 40, 60), None)


@pytest.mark.filterwarnings("ignore")
def test_supervision_takes_them(mask, probs):
    supervision = pytest.importorskip("supervision")
    found = supervision.Detections(**result_of(mask, probs=probs).detections())
    assert found.area.tolist() == [300, 100] == found.box_area.tolist()
    assert found[found.class_id == 1].data["class_name"].tolist() == ["cat"]
    assert len(supervision.Detections(**result_of(mask * 0).detections())) == 0


def test_a_plot_shows_the_photo_in_the_own_colours_above_a_legend(mask):
    photo = np.full((*mask.shape, 3), 100, np.uint8)
    picture = np.asarray(result_of(mask, photo=photo, colours=OWN).plot())
    assert picture.dtype == np.uint8
    assert picture.shape[0] > 40
    assert picture[10, 20].tolist() == [50, 150, 50], "half dog, half photo"
    assert picture[2, 40].tolist() == [100, 100, 100], "background is not tinted"
    legend = picture[40:].reshape(-1, 3).tolist()
    assert [0, 200, 0] in legend
    assert [0, 0, 250] not in legend, "there is no cow"
    clear = np.asarray(result_of(mask, photo=photo, colours=OWN).plot(opacity=1.0))
    assert clear[10, 20].tolist() == [0, 200, 0]


def test_a_plot_without_the_photo_reads_its_file(mask, tmp_path):
    path = tmp_path / "a.png"
    Image.new("RGB", (60, 40), (200, 200, 200)).save(path)
    assert np.asarray(result_of(mask, path=path).plot())[2, 40].tolist() == [200, 200, 200]
    assert_refused(lambda: result_of(mask.T.copy(), path=path).plot(), "a.png is 60×40 now, expected 40×60")
    assert_refused(lambda: result_of(mask).plot(), "neither its photo nor a path")


def test_a_notebook_shows_a_small_picture():
    result = result_of(np.ones((900, 1200), np.uint8), photo=np.zeros((900, 1200, 3), np.uint8))
    data = result._repr_png_()
    assert data.startswith(b"\x89PNG")
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.width == 640


def test_a_saved_mask_has_labels_as_values_and_colours_as_palette(mask, tmp_path):
    path = result_of(mask, colours=OWN).save(tmp_path / "new" / "mask.png")
    with Image.open(path) as saved:
        assert saved.mode == "P"
        colours = np.array(saved.getpalette()).reshape(-1, 3)
        assert np.array_equal(np.asarray(saved), mask)
    assert colours[:4].tolist() == [list(colour) for colour in OWN]
    assert np.array_equal(colours[4:], palette()[4:]), "255 among them"


def test_a_mask_is_saved_only_where_labels_are_kept(mask, tmp_path):
    for name in ("mask.jpg", "mask", "mask.png.jpeg"):
        assert_refused(lambda name=name: result_of(mask).save(tmp_path / name), "ends in .png", "result.plot().save")
    assert [*tmp_path.iterdir()] == []
    (tmp_path / "file").write_text("")
    with pytest.raises(TagsegError, match="cannot write"):
        result_of(mask).save(tmp_path / "file" / "mask.png")


def test_a_result_is_described_without_its_arrays(mask, probs):
    assert repr(result_of(mask, path=Path("a.jpg"), probs=probs)) == (
        "Result(path='a.jpg', orig_shape=(40, 60), found: dog 12%, cat 4%, with probs)"
    )
    assert repr(result_of(mask * 0)) == "Result(orig_shape=(40, 60), found: nothing)"


def test_names_of_0_2(mask, probs):
    plain = result_of(mask, probs=probs, plain=mask)
    assert plain.labels is plain.mask is plain.plain
    assert plain.scores is probs
    assert plain.refined is None
    after_crf = result_of(mask, plain=mask.copy())
    assert after_crf.refined is mask


def test_a_result_survives_pickling(mask, probs):
    photo = np.full((40, 60, 3), 7, np.uint8)
    before = result_of(mask, probs=probs, plain=mask, path=Path("a.jpg"), photo=photo)
    after = pickle.loads(pickle.dumps(before))
    assert after.summary() == before.summary()
    assert np.array_equal(after.photo, photo)
    assert after.refined is None


@pytest.mark.slow
@pytest.mark.processes
def test_a_result_is_used_without_torch(mask, tmp_path):
    result = result_of(mask, photo=np.zeros((40, 60, 3), np.uint8))
    (tmp_path / "result.pickle").write_bytes(pickle.dumps(result))
    script = "import pickle, sys; r = pickle.load(open(sys.argv[1], 'rb')); r.plot(); r.save(sys.argv[2]); "
    script += "sys.exit('torch' in sys.modules)"
    arguments = [str(tmp_path / "result.pickle"), str(tmp_path / "mask.png")]
    subprocess.run([sys.executable, "-c", script, *arguments], check=True, timeout=120)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "mask.png")), mask)

"""Proposals are found for tagged images, whatever form they have, and read at the images' size."""

import json
import logging
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tagseg.data.config import DataConfig
from tagseg.data.dataset import Sample, TaggedImages
from tagseg.data.proposals import find_proposals
from tagseg.data.sources import load
from tagseg.errors import TagsegError

from .conftest import true_mask
from .test_outlines import as_text, encode

SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "tiny_coco"
SIZE = 40, 60
ROWS, COLUMNS = np.mgrid[: SIZE[0], : SIZE[1]]
TABLE = (COLUMNS >= 5) & (COLUMNS < 55) & (ROWS >= 10) & (ROWS < 30)
CUP = (COLUMNS >= 20) & (COLUMNS < 30) & (ROWS >= 6) & (ROWS < 14)
IDS = np.where(CUP, 2, np.where(TABLE, 1, 0))


def photos(root: Path, *names: str, size: tuple[int, int] = SIZE, suffix: str = ".jpg", **options: Any) -> TaggedImages:
    samples = []
    for name in names or ("a", "sub/b", "c"):
        path = root / "images" / f"{name}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size[::-1]).save(path, **options)
        samples.append(Sample(name, path, (0,)))
    return TaggedImages("folder (photos), split train", ("cat",), tuple(samples), "labels.csv")


def save(path: Path, values: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values.astype(np.uint8)).save(path)
    return path


def run_lengths(mask: np.ndarray, text: bool = True) -> dict[str, Any]:
    counts = encode(mask)
    return {"size": list(mask.shape), "counts": as_text(counts) if text else counts}


def box(mask: np.ndarray) -> list[list[float]]:
    rows, columns = np.nonzero(mask)
    top, left, bottom, right = rows.min(), columns.min(), rows.max() + 1, columns.max() + 1
    return [[float(each) for each in (left, top, right, top, right, bottom, left, bottom)]]


def one_image(segmentations: list[Any], size: tuple[int, int] = SIZE) -> dict[str, Any]:
    """As in SA-1B."""
    image = {"image_id": 1, "file_name": "sa_1.jpg", "height": size[0], "width": size[1]}
    return {"image": image, "annotations": [{"segmentation": s, "area": 1, "id": 7} for s in segmentations]}


def coco(names: dict[str, list[Any]], size: tuple[int, int] = SIZE) -> dict[str, Any]:
    return {
        "images": [
            {"id": i, "file_name": f"{n}.jpg", "height": size[0], "width": size[1]} for i, n in enumerate(names)
        ],
        "annotations": [
            {"image_id": i, "category_id": 99, "segmentation": s} for i, ss in enumerate(names.values()) for s in ss
        ],
    }


def put(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def same_segments(ids: np.ndarray, expected: np.ndarray) -> bool:
    """Whether the maps are the same but for the numbering; 0 stays 0."""
    pairs = set(zip(ids.ravel().tolist(), expected.ravel().tolist(), strict=True))
    one, other = zip(*pairs, strict=True)
    return len(set(one)) == len(set(other)) == len(pairs) and ((ids == 0) == (expected == 0)).all()


def test_one_picture_an_image(tmp_path, caplog):
    images = photos(tmp_path)
    for name in ("a", "sub/b", "other", "x1", "x2", "x3"):
        save(tmp_path / "masks" / f"{name}.png", IDS)
    with caplog.at_level(logging.INFO, "tagseg"):
        found = find_proposals(tmp_path / "masks", images)
    assert list(found) == ["a", "sub/b"]
    for proposals in found.values():
        ids = pickle.loads(pickle.dumps(proposals))()
        assert ids.dtype == np.int32
        assert ids.tolist() == IDS.tolist()
    assert [record.getMessage() for record in caplog.records] == [
        f"proposals: {tmp_path / 'masks'} is taken for one PNG an image, segment ids; 2 of 3 images have proposals, "
        "1 have none (c), 4 names belong to no image (other, x1, x2 and 1 more)"
    ]


@pytest.mark.parametrize(
    ("values", "kind", "taken_for"),
    [
        (TABLE * 255, "auto", "binary masks"),
        (np.stack([TABLE * 255] * 3, axis=2), "auto", "binary masks"),
        (np.clip((COLUMNS + ROWS) * 3, 0, 255), "auto", "saliency maps, cut at half of the maximum"),
        (IDS, "segments", "segment ids"),
        (np.stack([IDS * 90, IDS * 40, IDS * 7], axis=2), "auto", "segment ids"),
    ],
)
def test_kinds_of_pictures(tmp_path, caplog, values, kind, taken_for):
    save(tmp_path / "masks" / "a.png", values)
    with caplog.at_level(logging.INFO, "tagseg"):
        found = find_proposals(tmp_path / "masks", photos(tmp_path), kind)
    assert f"one PNG an image, {taken_for};" in caplog.text
    expected = {"binary masks": TABLE, "segment ids": IDS}.get(taken_for, (COLUMNS + ROWS) * 3 >= 127.5)
    assert same_segments(found["a"](), expected)


def test_a_kind_that_is_set_is_not_found_out(tmp_path):
    save(tmp_path / "masks" / "a.png", IDS * 100)
    found = find_proposals(tmp_path / "masks", photos(tmp_path), "saliency")
    assert (found["a"]() > 0).tolist() == (IDS > 0).tolist()


def test_a_kind_that_does_not_exist_is_refused(tmp_path, unchecked):
    with pytest.raises(TagsegError, match=r"--labels\.kind is 'ids', expected auto, binary, segments, saliency"):
        find_proposals(tmp_path, photos(tmp_path), "ids")  # type: ignore[arg-type]


def test_a_folder_of_masks_an_image(tmp_path, caplog):
    for name in ("a", "sub/b"):
        for number, mask in enumerate((CUP, TABLE)):
            save(tmp_path / "sam" / name / f"{number}.png", mask * 255)
        put(tmp_path / "sam" / name / "metadata.csv", "id,area\n0,80\n")
    put(tmp_path / "sam" / "c" / "metadata.csv", "id,area\n")
    with caplog.at_level(logging.INFO, "tagseg"):
        found = find_proposals(tmp_path / "sam", photos(tmp_path))
    assert list(found) == ["a", "sub/b"]
    assert all(same_segments(proposals(), IDS) for proposals in found.values())
    assert "one folder of PNG masks an image; 2 of 3 images have proposals, 1 have none (c)" in caplog.text


@pytest.mark.parametrize("text", [True, False])
def test_one_json_file_an_image(tmp_path, caplog, text):
    content = one_image([run_lengths(CUP, text), run_lengths(TABLE, text)])
    put(tmp_path / "sa1b" / "a.json", content)
    put(tmp_path / "sa1b" / "sub" / "b.json", one_image([box(TABLE), box(CUP)]))
    put(tmp_path / "sa1b" / "c.json", {"annotations": [{"segmentation": run_lengths(CUP)}]})
    with caplog.at_level(logging.INFO, "tagseg"):
        found = find_proposals(tmp_path / "sa1b", photos(tmp_path))
    assert "one JSON file an image; 3 of 3 images have proposals" in caplog.text
    assert same_segments(found["a"](), IDS)
    assert same_segments(pickle.loads(pickle.dumps(found["sub/b"]))(), IDS)
    assert same_segments(found["c"](), CUP)


@pytest.mark.parametrize("as_folder", [True, False])
def test_one_coco_file(tmp_path, caplog, as_folder):
    content = coco({"a": [box(TABLE), run_lengths(CUP)], "images/sub/b": [], "c": [], "d": [], "sub/b": [box(CUP)]})
    path = put(tmp_path / "coco" / "instances.json", content)
    with caplog.at_level(logging.INFO, "tagseg"):
        found = find_proposals(path.parent if as_folder else path, photos(tmp_path))
    assert list(found) == ["a", "sub/b"]
    assert same_segments(pickle.loads(pickle.dumps(found["a"]))(), IDS)
    assert same_segments(found["sub/b"](), CUP)
    assert "COCO's instances; 2 of 3 images have proposals, 1 have none (c), 2 names belong to no image" in caplog.text


def test_more_than_255_segments(tmp_path):
    masks = [np.zeros(SIZE, bool) for _ in range(600)]
    for number, mask in enumerate(masks):
        mask[2 * (number // 30), 2 * (number % 30)] = True
    put(tmp_path / "coco.json", coco({"a": [run_lengths(mask) for mask in masks]}))
    ids = find_proposals(tmp_path / "coco.json", photos(tmp_path))["a"]()
    assert len(np.unique(ids)) == 601


def test_names_with_an_extension_of_the_images_folder_and_in_another_case(tmp_path):
    save(tmp_path / "masks" / "a.jpg.png", TABLE)
    save(tmp_path / "masks" / "images" / "c.png", CUP)
    save(tmp_path / "masks" / "SUB" / "B.PNG", CUP)
    found = find_proposals(tmp_path / "masks", photos(tmp_path))
    assert {name: int(p().max()) for name, p in found.items()} == {"a": 1, "sub/b": 1, "c": 1}


def test_another_images_proposals_are_not_taken(tmp_path):
    save(tmp_path / "masks" / "x" / "b.png", TABLE)
    assert list(find_proposals(tmp_path / "masks", photos(tmp_path, "x/b", "deep/x/b", "X/B"))) == ["x/b"]


def test_names_that_fit_equally_are_refused(tmp_path):
    save(tmp_path / "masks" / "A.png", TABLE)
    save(tmp_path / "masks" / "sub" / "b.png", TABLE)
    put(tmp_path / "coco.json", coco({"SUB/b": [box(CUP)], "sub/B": [box(CUP)]}))
    with pytest.raises(TagsegError, match=r"the image sub/b could be SUB/b, sub/B in .*coco\.json, expected one"):
        find_proposals(tmp_path / "coco.json", photos(tmp_path))
    assert sorted(find_proposals(tmp_path / "masks", photos(tmp_path))) == ["a", "sub/b"]


def test_photos_beside_their_proposals_are_no_proposals(tmp_path):
    images = photos(tmp_path, "a", "b", suffix=".png")
    with pytest.raises(TagsegError, match="it holds no PNG or JSON file"):
        find_proposals(tmp_path / "images", images)
    put(tmp_path / "images" / "a.json", one_image([box(CUP)]))
    assert list(find_proposals(tmp_path / "images", images)) == ["a"]


def test_the_form_that_most_images_have_is_taken(tmp_path):
    save(tmp_path / "masks" / "a.png", TABLE)
    for name in ("a", "c"):
        save(tmp_path / "masks" / name / "0.png", CUP)
    found = find_proposals(tmp_path / "masks", photos(tmp_path))
    assert list(found) == ["a", "c"]
    assert same_segments(found["a"](), CUP)


def test_another_size_of_the_same_aspect_is_resized(tmp_path):
    save(tmp_path / "masks" / "a.png", np.kron(IDS, np.ones((2, 2))))
    save(tmp_path / "masks" / "c.png", IDS[::2, ::2])
    found = find_proposals(tmp_path / "masks", photos(tmp_path))
    assert found["a"]().tolist() == IDS.tolist()
    assert found["c"]().tolist() == np.kron(IDS[::2, ::2], np.ones((2, 2))).tolist()


def test_proposals_are_at_the_size_as_displayed(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    images = photos(tmp_path, "a", "b", size=SIZE[::-1], exif=exif)
    save(tmp_path / "masks" / "a.png", IDS)
    save(tmp_path / "masks" / "b.png", IDS.T)
    found = find_proposals(tmp_path / "masks", images)
    assert found["a"]().tolist() == IDS.tolist()
    with pytest.raises(TagsegError, match=r"b\.png is 40×60, expected its image's 60×40 .*EXIF rotation"):
        found["b"]()


@pytest.mark.parametrize("form", ["picture", "stack", "json", "coco"])
def test_another_aspect_is_one_clear_error(tmp_path, form):
    wrong = TABLE[:, :50]
    {
        "picture": lambda: save(tmp_path / "made" / "a.png", wrong),
        "stack": lambda: save(tmp_path / "made" / "a" / "0.png", wrong),
        "json": lambda: put(tmp_path / "made" / "a.json", one_image([run_lengths(wrong)], wrong.shape)),
        "coco": lambda: put(tmp_path / "made" / "all.json", coco({"a": [box(wrong)]}, wrong.shape)),
    }[form]()
    found = find_proposals(tmp_path / "made", photos(tmp_path))
    with pytest.raises(TagsegError, match=r"the mask .*a.* is 50×40, expected its image's 60×40") as error:
        found["a"]()
    assert "\n" not in str(error.value)


def test_a_damaged_picture_is_named(tmp_path):
    for name in ("a", "sub/b"):
        path = save(tmp_path / "masks" / f"{name}.png", np.random.default_rng(0).integers(0, 3, SIZE))
    path.write_bytes(path.read_bytes()[:100])
    found = find_proposals(tmp_path / "masks", photos(tmp_path), "segments")
    assert found["a"]().shape == SIZE
    with pytest.raises(TagsegError, match=r"b\.png cannot be read as an image"):
        found["sub/b"]()


def test_no_image_with_proposals_is_an_error_with_an_example(tmp_path):
    images = photos(tmp_path)
    with pytest.raises(TagsegError, match=r"masks does not exist, expected .*--labels\.folder"):
        find_proposals(tmp_path / "masks", images)
    (tmp_path / "masks").mkdir()
    with pytest.raises(TagsegError, match=r"none of 3 images .*holds no PNG or JSON file, expected e\.g\. .*/a\.png"):
        find_proposals(tmp_path / "masks", images)
    save(tmp_path / "masks" / "a_mask.png", TABLE)
    put(tmp_path / "masks" / "settings.json", {})
    with pytest.raises(TagsegError, match=r"holds 2 PNG and JSON files \(a_mask\.png, settings\.json\), expected e\.g"):
        find_proposals(tmp_path / "masks", images)
    path = put(tmp_path / "coco.json", coco({"x": [box(CUP)], "a": []}))
    with pytest.raises(TagsegError, match=r"coco\.json has proposals for none of 3 images .*file_name 'a'"):
        find_proposals(path, images)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read"),
        ("", "cannot be read"),
        ([1, 2], "cannot be read"),
        ({"shapes": []}, "an entry without 'annotations'"),
        ({"annotations": [{"image_id": 1}], "images": []}, "an entry without 'segmentation'"),
        ({"annotations": [], "images": [{"id": 1}]}, "an entry without 'file_name'"),
        ({"annotations": [], "images": [{"id": 1, "file_name": "a.jpg"}] * 2}, "an image file twice"),
        (coco({"a": [[[1, 2, 3]]]}), "a polygon that is not"),
        (coco({"a": ["text"]}), "cannot be read"),
        (coco({"a": [box(CUP)]}, (0, 5)), "the height and width 0 and 5"),
    ],
)
def test_json_that_is_not_coco(tmp_path, content, message):
    path = put(tmp_path / "coco.json", content)
    with pytest.raises(TagsegError, match=message) as error:
        find_proposals(path, photos(tmp_path))
    assert "coco.json" in str(error.value)
    assert "expected COCO's instances" in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[", "cannot be read"),
        ([1], "cannot be read"),
        ({"shapes": []}, "an entry without 'annotations'"),
        ({"annotations": [{"segmentation": box(CUP)}]}, "an entry without 'height'"),
        ({"images": [{}, {}], "annotations": []}, "2 images instead of one"),
        (one_image([{"size": [40, 60], "counts": [7]}]), "run lengths that add up to 7 pixels"),
        (one_image([{"size": [40, 60], "counts": "é"}]), "the character 'é' in run lengths"),
        (one_image([run_lengths(CUP), run_lengths(CUP[:20])]), r"run lengths of the size \(20, 60\) instead of"),
    ],
)
def test_json_of_an_image_that_is_not_coco(tmp_path, content, message):
    put(tmp_path / "made" / "a.json", content)
    put(tmp_path / "made" / "c.json", one_image([]))
    found = find_proposals(tmp_path / "made", photos(tmp_path))
    with pytest.raises(TagsegError, match=message) as error:
        found["a"]()
    assert "a.json" in str(error.value)
    assert not found["c"]().any()


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the shared development data")
def test_real_annotations_cover_what_the_masks_of_the_coco_source_cover():
    config = DataConfig(source="coco", root=str(SHARED))
    images = load(config, "val2017", True)
    found = find_proposals(SHARED / "annotations" / "instances_val2017.json", images)
    assert len(found) > 40
    for sample in images.samples:
        covered = found[sample.name]() > 0 if sample.name in found else np.zeros((1, 1), bool)
        assert ((true_mask(sample) > 0) == covered).all()

"""``tagseg.load``: one photo, or several as an iterator of results, in whatever form they are given."""

import gc
import logging
import threading
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import tagseg
from tagseg.errors import TagsegError
from tagseg.inference import label_maps, predictor
from tagseg.inference.multi_scale import PhotoLogits
from tagseg.inference.predictor import Predictor
from tagseg.inference.result import Result
from tagseg.inference.segment import Sizing, multi_scale_logits, to_input
from tagseg.model.checkpoint import save_network
from tagseg.pairwise.config import CrfConfig

from ..conftest import assert_refused
from .conftest import CLASSES, photo

FAST: dict[str, Any] = {"scales": (1.0,), "mirror": False, "device": "cpu"}
EXACT: dict[str, Any] = {"crf": True, "crf_settings": CrfConfig(method="exact")}
"""A CRF without compiled code; of small photos."""


def picture(index: int) -> np.ndarray:
    """Of two sizes in turn."""
    return photo(16 + 16 * (index % 2), 16, seed=index)


@pytest.fixture
def model(network) -> Predictor:
    return tagseg.load(network, **FAST)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six photos of two sizes in turn, the last in a sub-folder, and a text beside them."""
    root = tmp_path / "photos"
    (root / "sub").mkdir(parents=True)
    for index in range(6):
        place = root / "sub" if index == 5 else root
        Image.fromarray(picture(index)).save(place / f"{index}.png")
    (root / "notes.txt").write_text("no photo")
    return root


def same(one: Result, other: Result) -> bool:
    return np.array_equal(one.mask, other.mask)


def test_a_file_a_picture_and_an_array_give_the_same_result(network, model, folder, tmp_path):
    path = folder / "1.png"
    results = [model(path), model(str(path)), model(Image.open(path)), model(np.asarray(Image.open(path)))]
    logits = multi_scale_logits(network, to_input(network, picture(1)), (1.0,), False)
    for result in results:
        assert isinstance(result, tagseg.Result)
        assert np.array_equal(result.mask, logits.argmax(dim=0).numpy())
        assert result.names == {0: "background", **dict(enumerate(CLASSES, 1))}
        assert result.orig_shape == (32, 16)
        assert result.colours == network.colours
        assert result.photo is not None
        assert np.array_equal(result.photo, picture(1))
        assert result.probs is None
    assert [result.path for result in results] == [path, path, None, None]
    save_network(network, tmp_path / "run" / "best.safetensors")
    assert same(tagseg.load(tmp_path / "run", **FAST)(path), results[0])


def test_probabilities_are_made_where_they_are_asked_for(network, model, folder):
    path = folder / "0.png"
    probs = model(path, probs=True).probs
    logits = multi_scale_logits(network, to_input(network, picture(0)), (1.0,), False)
    assert (probs.dtype, probs.shape) == (np.float16, (4, 16, 16))
    np.testing.assert_allclose(probs, logits.softmax(dim=0), atol=1e-3)
    assert model(path).probs is None, "the next time they are not"
    always = tagseg.load(network, scores=True, **FAST)
    assert always(path).probs is not None
    assert always(path, probs=False).probs is None
    assert all(result.probs is not None for result in model([path, path], probs=True))


@pytest.mark.parametrize("settings", [{}, {"batch": 1}, {"batch": 4}, {"batch": 4, "read_ahead": False}, EXACT])
def test_several_come_in_order(network, model, folder, settings):
    model = tagseg.load(network, **FAST | settings)
    paths = [*sorted(folder.glob("*.png")), folder / "sub" / "5.png"]
    expected = [picture(index) for index in range(6)]
    forms = {
        "folder": str(folder), "folder in a list": [folder], "list": [*map(str, paths)], "tuple": tuple(paths),
        "pictures": [*map(Image.open, paths)], "arrays": expected, "generator": (array for array in expected),
        "mixed": [paths[0], *expected[1:4], str(paths[4]), Image.open(paths[5])],
    }  # fmt: skip
    for form, photos in forms.items():
        results = model(photos)
        assert not isinstance(results, list), "an iterator"
        for index, (result, array) in enumerate(zip(results, expected, strict=True)):
            assert np.array_equal(result.photo, array), form
            assert result.path in (None, paths[index]), form
    assert [*model([])] == []


@pytest.mark.slow
@pytest.mark.parametrize(("batch", "most"), [(1, 2), (4, 12)])
def test_a_thousand_photos_are_taken_as_they_are_needed(network, monkeypatch, batch, most):
    """Neither photos nor results gather in memory, however many there are."""
    taken: list[int] = []
    alive: weakref.WeakSet[Result] = weakref.WeakSet()

    def stream():
        for index in range(1000):
            taken.append(index)
            yield photo(8, 8, seed=index)

    monkeypatch.setattr(network, "segment_logits", lambda images: torch.zeros(len(images), 4, 1, 1))
    results = tagseg.load(network, batch=batch, **FAST)(stream())
    assert taken == [], "nothing is taken before the first result is asked for"
    for done, result in enumerate(results, 1):
        alive.add(result)
        assert len(taken) < done + most
        assert len(alive) <= most
        if done == 100:
            break
    assert 100 <= len(taken) < 100 + most


def test_an_owner_may_write_the_next_frame_into_the_same_array(model):
    frame = np.zeros((32, 32, 3), np.uint8)

    def video():
        for index in range(4):
            frame[:] = photo(32, 32, seed=index)
            yield frame

    for index, result in enumerate(model(video())):
        assert np.array_equal(result.photo, photo(32, 32, seed=index))
        assert same(result, model(photo(32, 32, seed=index)))
    single = model(frame)
    frame[:] = 0
    assert np.array_equal(single.photo, photo(32, 32, seed=3))


def test_a_photo_that_cannot_be_read_stops_the_iterator_at_its_place(model, folder):
    (folder / "2.png").write_bytes(b"no image")
    results = model(folder)
    assert [next(results).path.name for _ in range(2)] == ["0.png", "1.png"]
    assert_refused(lambda: next(results), "2.png cannot be read as an image")
    with pytest.raises(StopIteration):
        next(results)
    assert_refused(lambda: model(folder / "2.png", on_error="skip"), "2.png cannot be read")
    assert_refused(lambda: model(folder / "none.png"), "none.png does not exist")


@pytest.mark.parametrize("batch", [1, 4])
def test_photos_that_cannot_be_read_are_skipped_with_a_warning_each(network, folder, caplog, batch):
    (folder / "0.png").write_bytes(b"no image")
    whole = (folder / "3.png").read_bytes()
    (folder / "3.png").write_bytes(whole[:300])
    with caplog.at_level(logging.WARNING):
        results = [*tagseg.load(network, batch=batch, **FAST)(folder, on_error="skip")]
    assert [result.path.name for result in results] == ["1.png", "2.png", "4.png", "5.png"]
    warnings = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 2
    for message, name in zip(warnings, ("0.png", "3.png"), strict=True):
        assert message.startswith("skipped: ")
        assert name in message


def test_a_photo_in_memory_is_named_by_its_place(model, folder):
    cut = folder / "cut.png"
    cut.write_bytes((folder / "1.png").read_bytes()[:300])
    results = model([photo(32, 32), Image.open(cut)])
    next(results)
    assert_refused(lambda: next(results), "photos[1]", "cannot be read")
    assert_refused(lambda: model(Image.open(cut)), "the photo", "cannot be read")
    assert_refused(lambda: model(Image.new("RGB", (0, 3))), "0×3", "at least one pixel")


def test_memory_that_runs_out_is_one_line(network, model, monkeypatch):
    def segment_logits(images):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(network, "segment_logits", segment_logits)
    assert_refused(lambda: model(photo(32, 32)), "the photo does not fit into memory: lower max_side or size")


def test_a_photo_whose_crf_fails_does_not_stop_the_others(network, caplog):
    model = tagseg.load(network, **EXACT, **FAST)
    photos = [photo(32, 32), photo(160, 150), photo(32, 32, seed=1)]
    with caplog.at_level(logging.WARNING):
        assert len([*model(photos, on_error="skip")]) == 2
    assert "photos[1]: an exact filter over 24,000 points" in caplog.text


def test_with_a_crf_the_plain_mask_is_had_too(network):
    pixels = photo(40, 60)
    plain = tagseg.load(network, **FAST)(pixels)
    both = tagseg.load(network, plain=True, **EXACT, **FAST)(pixels)
    assert both.refined is both.mask
    assert same(both, tagseg.load(network, **EXACT, **FAST)(pixels))
    assert both.plain is not None
    assert np.array_equal(both.plain, plain.mask)
    assert not same(both, plain)
    assert plain.refined is None
    assert tagseg.load(network, **EXACT, **FAST)(pixels).plain is None


@pytest.mark.parametrize("settings", [{}, EXACT, {**EXACT, "plain": True}])
def test_results_of_a_gpu_are_handed_out_while_the_next_batch_is_computed(network, folder, monkeypatch, settings):
    """On the CPU as if on a GPU: the same results, each batch's after the next one's pass and before its label maps."""
    events: list[object] = []
    made, segment_logits = predictor.label_maps, network.segment_logits

    def seen(what, function):
        return lambda *values: events.append(what) or function(*values)

    paths = [*sorted(folder.glob("*.png")), folder / "classes.txt"]
    expected = dict(tagseg.load(network, batch=2, **FAST, **settings).label_files(paths))
    monkeypatch.setattr(predictor, "overlaps", lambda device, wanted: True)
    monkeypatch.setattr(network, "segment_logits", seen("pass", segment_logits))
    monkeypatch.setattr(predictor, "label_maps", seen("maps", made))
    found = {}
    for index, result in tagseg.load(network, batch=2, **FAST, **settings).label_files(paths):
        events.append("result")
        found[index] = result
    assert sorted(found) == sorted(expected)
    for index, result in expected.items():
        got = found[index]
        assert got == result if isinstance(got, str) or isinstance(result, str) else same(got, result)
    assert [isinstance(found[index], str) for index in range(6)] == [False] * 5 + [True]
    first = events.index("result")
    assert events[:first] == ["pass", "maps", "pass"]
    assert events[first:].index("maps") >= 2, "the first batch is handed out before"


def test_photos_are_labelled_together_within_a_budget(network, monkeypatch):
    logits = [PhotoLogits(photo(8, side), [torch.zeros(4, 1, 1)]) for side in (8, 8, 8, 80, 8)]
    monkeypatch.setattr(label_maps, "_VALUES_TOGETHER", 2 * 4 * 64)
    groups = label_maps.in_budget([*enumerate(logits)], Sizing(max_side=0))
    assert [[index for index, _ in group] for group in groups] == [[0, 1], [2], [3], [4]]
    assert [*label_maps.in_budget([], Sizing())] == []


def test_what_was_left_out_or_is_not_literal_is_told(model, folder, caplog):
    Image.fromarray(photo(32, 32)[..., 0].astype(np.uint16) << 4).save(folder / "deep.png")
    with caplog.at_level(logging.INFO, "tagseg"):
        assert len([*model(folder)]) == 7
    assert "notes.txt" in caplog.text
    assert "1 images that hold 12 bits a value in files of 16" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.INFO, "tagseg"):
        model(folder / "0.png")
    assert caplog.text == "", "once"


def test_an_abandoned_iterator_leaves_no_thread(model, folder):
    before = threading.active_count()
    results = model(folder)
    next(results)
    assert threading.active_count() > before
    del results
    gc.collect()
    assert threading.active_count() == before


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("wrong", "parts"),
    [
        (b"\xff\xd8", ("a photo is a bytes", "PIL.Image.open(io.BytesIO(data))")),
        ("https://example.org/a.jpg", ("a photo is 'https://example.org/a.jpg'", "download it")),
        ("", ("a photo is ''",)),
        ("photos/*.jpg", ("a photo is 'photos/*.jpg'", "sorted(glob.glob(pattern))")),
        ({"a.jpg"}, ("a photo is a set", "folder, list, tuple or iterator")),
        (torch.zeros(3, 8, 8), ("a photo is a torch Tensor", "tensor.permute(1, 2, 0).numpy()")),
        (np.zeros((3, 8, 8), np.uint8), ("uint8 (3, 8, 8)", "array.transpose(1, 2, 0)")),
        (np.zeros((2, 8, 8, 3), np.uint8), ("uint8 (2, 8, 8, 3)", "list(array)")),
        (np.zeros((8, 8, 3), np.float32), ("float32 (8, 8, 3)", "(255 * array).round().astype(numpy.uint8)")),
        (np.zeros((8, 8), np.uint8), ("uint8 (8, 8)", "PIL.Image.fromarray(array)")),
        (np.zeros((8, 8, 4), np.uint8), ("uint8 (8, 8, 4)", "PIL.Image.fromarray(array)")),
        (np.zeros((0, 8, 3), np.uint8), ("uint8 (0, 8, 3)",)),
        (["a.jpg", 3], ("photos[1] is 3",)),
        (["a.jpg", ["b.jpg"]], ("photos[1] is a list",)),
    ],
)
def test_what_is_no_photo_is_refused_at_once_and_says_what_to_do(model, wrong, parts):
    assert_refused(lambda: model(wrong), *parts, "uint8 (height, width, 3)")


@pytest.mark.usefixtures("unchecked")
def test_an_open_file_and_a_wrong_item_of_an_iterator(model, folder):
    with (folder / "0.png").open("rb") as file:
        assert_refused(lambda: model(file), "BufferedReader", "PIL.Image.open(file)")
    results = model(iter([folder / "0.png", None]))
    with pytest.raises(TagsegError, match=r"photos\[1\] is None"):
        list(results)
    assert_refused(lambda: model(folder, on_error="ignore"), "on_error is 'ignore'", "raise, skip")
    assert_refused(lambda: model(folder, probs=1), "probs is 1", "True or False or None")


def test_a_folder_without_photos(model, tmp_path):
    (tmp_path / "a.txt").write_text("")
    assert_refused(lambda: model(tmp_path), "holds no image", "a.txt")


def test_files_are_turned_by_their_exif_and_pictures_are_not(model, tmp_path):
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(photo(32, 48)).save(tmp_path / "a.jpg", exif=turned)
    assert model(tmp_path / "a.jpg").orig_shape == (48, 32)
    assert model(Image.open(tmp_path / "a.jpg")).orig_shape == (32, 48)

"""The archive for PASCAL VOC's server: exact layout, VOC's labels by name, whole or not there."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tagseg.data.palette import palette
from tagseg.data.voc import CLASSES as VOC
from tagseg.errors import TagsegError
from tagseg.formats.table import Formats
from tagseg.formats.voc_server import check_archive

from .conftest import CLASSES, Photo, plan_of, with_files, write

IDS = ("2008_000006", "2008_000011", "2011_003271")
PERMUTED = ("TV/monitor", *VOC[:-1])
"""VOC's classes in another order, one spelt in another way."""


@pytest.fixture
def split(tmp_path: Path) -> str:
    path = tmp_path / "test.txt"
    path.write_text("\n".join(IDS) + "\n")
    return str(path)


@pytest.fixture
def voc_photos(tmp_path: Path) -> dict[str, Photo]:
    rng = np.random.default_rng(0)
    return with_files(
        {name: rng.integers(0, 21, (20, 30 + k)).astype(np.uint8) for k, name in enumerate(IDS)}, tmp_path / "in"
    )


def test_exact_layout_and_labels_by_name(voc_photos, split, tmp_path):
    path = write("voc-server", voc_photos, tmp_path / "out", PERMUTED, voc_split=split) / "voc_server.tgz"
    with tarfile.open(path, "r:gz") as archive:
        names = archive.getnames()
        assert sorted(names) == [f"results/VOC2012/Segmentation/comp6_test_cls/{name}.png" for name in IDS]
        for name in names:
            file = archive.extractfile(name)
            assert file is not None
            with Image.open(file) as picture:
                assert picture.mode == "P"
                assert picture.getpalette() == palette().ravel().tolist()
                ours = voc_photos[Path(name).stem].mask
                np.testing.assert_array_equal(
                    np.asarray(picture), np.where(ours == 0, 0, np.where(ours == 1, 20, ours - 1))
                )
    check_archive(path, {name: photo.mask.shape for name, photo in voc_photos.items()})


def test_classes_that_are_not_vocs(voc_photos, split, tmp_path):
    with pytest.raises(
        TagsegError, match="the network's classes differ from PASCAL VOC's 20 in aeroplane, bicycle, bird and"
    ):
        write("voc-server", voc_photos, tmp_path, CLASSES, voc_split=split)
    with pytest.raises(TagsegError, match="differ from PASCAL VOC's 20 in a class twice"):
        write("voc-server", voc_photos, tmp_path, (*VOC, "T V monitor"), voc_split=split)


def test_photos_that_are_not_those_of_the_split_are_told_before_anything_is_labelled(voc_photos, split, tmp_path):
    Path(split).write_text("\n".join((*IDS[1:], "2011_000001")))
    plan = plan_of(voc_photos, tmp_path / "out", VOC, voc_split=split)
    with pytest.raises(TagsegError, match=r"of the 3 ids of .*, 2011_000001 missing, and 2008_000006 not in it"):
        Formats(["voc-server"], plan)


def test_splits_that_are_no_list(voc_photos, split, tmp_path):
    for text, what in (("", "has no id"), ("a\nb\na", "has a twice")):
        Path(split).write_text(text)
        with pytest.raises(TagsegError, match=what):
            write("voc-server", voc_photos, tmp_path, VOC, voc_split=split)
    with pytest.raises(TagsegError, match="cannot be read"):
        write("voc-server", voc_photos, tmp_path, VOC, voc_split=str(tmp_path / "gone.txt"))
    with pytest.raises(TagsegError, match=r"set --format_settings\.voc_split"):
        write("voc-server", voc_photos, tmp_path, VOC)


def test_an_interrupted_run_leaves_no_archive_not_even_an_older_one(voc_photos, split, tmp_path, caplog):
    out = write("voc-server", voc_photos, tmp_path / "out", VOC, voc_split=split)
    writing = Formats(["voc-server"], plan_of(voc_photos, out, VOC, voc_split=split))
    writing.add(voc_photos[IDS[1]], IDS[1])
    writing.close()
    assert list(out.iterdir()) == []
    assert f"{IDS[0]}, {IDS[2]} of the split have no mask" in caplog.text


def test_masks_that_the_server_would_score_wrongly(voc_photos, split, tmp_path):
    writing = Formats(["voc-server"], plan_of(voc_photos, tmp_path / "out", VOC, voc_split=split))
    with pytest.raises(TagsegError, match="ignored pixels"):
        writing.add(Photo(np.full((20, 30), 255, np.uint8), voc_photos[IDS[0]].path), IDS[0])
    with pytest.raises(TagsegError, match="another size than its mask, 30×10"):
        writing.add(Photo(np.zeros((10, 30), np.uint8), voc_photos[IDS[0]].path), IDS[0])
    writing.close()


def archive_of(path: Path, entries: dict[str, Image.Image]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, picture in entries.items():
            if picture.mode == "P":
                picture.putpalette(palette().tobytes())
            content = io.BytesIO()
            picture.save(content, format="PNG")
            entry = tarfile.TarInfo(name)
            entry.size = content.tell()
            content.seek(0)
            archive.addfile(entry, content)
    return path


@pytest.mark.parametrize(
    ("folder", "mode", "size", "label", "told"),
    [
        ("results/VOC2012/Segmentation/comp5_test_cls", "P", (4, 3), 20, "has results/VOC2012/Segmentation/comp5"),
        ("results/VOC2012/Segmentation/comp6_test_cls", "L", (4, 3), 20, "is L"),
        ("results/VOC2012/Segmentation/comp6_test_cls", "P", (3, 4), 20, r"is P \(3, 4\)"),
        ("results/VOC2012/Segmentation/comp6_test_cls", "P", (4, 3), 21, "labels to 21"),
    ],
)
def test_archives_that_the_check_refuses(folder, mode, size, label, told, tmp_path):
    path = archive_of(tmp_path / "a.tgz", {f"{folder}/a.png": Image.new(mode, size, label)})
    with pytest.raises(TagsegError, match=told):
        check_archive(path, {"a": (3, 4)})


def test_the_check_misses_nothing(tmp_path):
    path = archive_of(
        tmp_path / "a.tgz", {"results/VOC2012/Segmentation/comp6_test_cls/a.png": Image.new("P", (4, 3), 1)}
    )
    check_archive(path, {"a": (3, 4)})
    with pytest.raises(TagsegError, match="has no mask of b"):
        check_archive(path, {"a": (3, 4), "b": (3, 4)})

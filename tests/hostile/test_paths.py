"""Links, absolute names and ``..`` lead nowhere outside of the data's folders unless allowed, nor do outputs."""

import csv
import dataclasses
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tagseg.config_file import read_config, save_config
from tagseg.data.config import DataConfig
from tagseg.data.given_photos import data_of
from tagseg.data.inside import Inside
from tagseg.data.proposals import find_proposals
from tagseg.data.sources import load
from tagseg.inference.jobs import jobs_of
from tagseg.model.hub import hub_address
from tagseg.serving.uploads import safe_name

from ..conftest import assert_refused, make_folder, tiny_config

ALLOW = "--data.outside allow"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A folder with a photo and a mask that the data must not reach."""
    folder = tmp_path / "secret"
    folder.mkdir()
    Image.new("RGB", (48, 40)).save(folder / "private.jpg")
    Image.new("L", (48, 40)).save(folder / "private.png")
    return folder


def link_photo(root: Path, secret: Path) -> None:
    (root / "images" / "train0.jpg").unlink()
    (root / "images" / "train0.jpg").symlink_to(secret / "private.jpg")


def link_mask(root: Path, secret: Path) -> None:
    (root / "masks" / "train0.png").unlink()
    (root / "masks" / "train0.png").symlink_to(secret / "private.png")


def link_folder(root: Path, secret: Path) -> None:
    shutil.move(root / "images", secret / "images")
    (root / "images").symlink_to(secret / "images")


def link_masks(root: Path, secret: Path) -> None:
    shutil.move(root / "masks", secret / "masks")
    (root / "masks").symlink_to(secret / "masks")


def link_within(root: Path, secret: Path) -> None:
    (root / "images" / "more").symlink_to(secret, target_is_directory=True)


def link_through_a_link(root: Path, secret: Path) -> None:
    (root / "step").symlink_to(secret)
    (root / "images" / "train0.jpg").unlink()
    (root / "images" / "train0.jpg").symlink_to("../step/private.jpg")


def name_absolutely(root: Path, secret: Path) -> None:
    (root / "labels.csv").write_text(f"image,labels\n{root}/images/train1.jpg,square\n{secret}/private.jpg,circle\n")


CASES: dict[str, tuple[Callable[[Path, Path], None], tuple[str, ...]]] = {
    "a photo is a link": (link_photo, ("images/train0.jpg is a link", "private.jpg")),
    "a mask is a link": (link_mask, ("masks/train0.png is a link", "private.png")),
    "the folder of photos is a link": (link_folder, ("images is a link", "--data.images")),
    "the folder of masks is a link": (link_masks, ("masks is a link", "--data.masks")),
    "a folder within is a link": (link_within, ("images/more is a link",)),
    "a link to a link": (link_through_a_link, ("train0.jpg is a link", "private.jpg")),
    "an absolute name": (name_absolutely, ("labels.csv line 3 names", "private.jpg")),
}


@pytest.mark.parametrize("case", CASES)
def test_what_leads_outside_is_one_line_unless_it_is_allowed(case: str, tmp_path: Path, secret: Path) -> None:
    root = make_folder(tmp_path / "data")
    change, parts = CASES[case]
    change(root, secret)
    config = DataConfig(root=str(root), val_split="")
    assert_refused(lambda: load(config, "train"), *parts, str(root), ALLOW)
    allowed = load(dataclasses.replace(config, outside="allow"), "train")
    assert all(sample.image.is_file() for sample in allowed.samples)


def test_a_folder_that_the_user_names_is_the_data_s_own(tmp_path: Path, secret: Path) -> None:
    root = make_folder(tmp_path / "data")
    link_folder(root, secret)
    link_masks(root, secret)
    for images, masks in (("images", "masks"), (str(secret / "images"), str(secret / "masks"))):
        assert len(load(DataConfig(root=str(root), images=images, masks=masks), "train")) == 6


def test_the_root_itself_may_be_a_link_and_links_within_are_followed(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "data")
    (root / "kept").mkdir()
    shutil.move(root / "images" / "train0.jpg", root / "kept" / "first.jpg")
    (root / "images" / "train0.jpg").symlink_to("../kept/first.jpg")
    (tmp_path / "link").symlink_to(root)
    assert len(load(DataConfig(root=str(tmp_path / "link")), "train")) == 6


@pytest.mark.parametrize("target", ["/", "/proc", "/dev", ".."])
def test_no_folder_of_the_machine_is_walked_through_a_class_folder(target: str, tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / "data" / name).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "data" / name / f"{name}.jpg")
    (tmp_path / "data" / "cow").symlink_to(target)
    assert_refused(lambda: load(DataConfig(root=str(tmp_path / "data")), "train"), "cow is a link", ALLOW)


def test_a_device_behind_a_link_is_not_opened(tmp_path: Path) -> None:
    """A file without an ending of images would be looked into; some never end."""
    root = make_folder(tmp_path / "data")
    for name, target in (("endless", "/dev/zero"), ("waiting", "/proc/kmsg")):
        (root / "images" / name).symlink_to(target)
    images = load(DataConfig(root=str(root)), "train")
    assert len(images) == 6


@pytest.mark.parametrize(
    "name", ["../../secret/private.jpg", "images/../../secret/private", "..\\..\\secret\\private.jpg"]
)
@pytest.mark.parametrize("skip", [False, True])
def test_dots_in_a_tag_file_lead_nowhere(name: str, skip: bool, tmp_path: Path, secret: Path) -> None:
    root = make_folder(tmp_path / "data")
    (root / "labels.csv").write_text(f"image,labels\ntrain0.jpg,circle\n{name},circle\n")
    config = DataConfig(root=str(root), val_split="", skip_missing=skip)
    if skip:
        assert [sample.name for sample in load(config, "train").samples] == ["train0"]
    else:
        assert_refused(lambda: load(config, "train"), "1 of 2 images", "private")


@pytest.mark.parametrize(
    "name",
    ["file://{secret}/private.jpg", "http://169.254.169.254/private.jpg", "/data/local-files/?d=../secret/private.jpg"],
)
def test_urls_of_an_export_are_names_and_are_never_fetched(
    name: str, tmp_path: Path, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("a URL of the data was asked for"))
    root = make_folder(tmp_path / "data")
    (root / "labels.csv").unlink()
    value = {"choices": ["circle"]}
    task = {"id": 1, "data": {"image": name.format(secret=secret)}}
    task["annotations"] = [{"result": [{"from_name": "c", "to_name": "image", "type": "choices", "value": value}]}]
    (root / "export.json").write_text(json.dumps([task]))
    assert_refused(lambda: load(DataConfig(root=str(root), val_split="", tags="export.json"), "train"), "private")


def test_file_names_of_coco_stay_inside(tmp_path: Path, secret: Path) -> None:
    root = make_folder(tmp_path / "data")
    for name in ("../secret/private.jpg", str(secret / "private.jpg")):
        content = {
            "images": [{"id": 1, "file_name": name, "height": 40, "width": 48}],
            "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0}],
            "categories": [{"id": 1, "name": "circle"}],
        }
        (root / "instances.json").write_text(json.dumps(content))
        config = DataConfig(source="coco", root=str(root), tags="instances.json", val_split="")
        assert_refused(lambda config=config: load(config, "train"), "1 of 1 images", "private.jpg")


def test_proposals_behind_a_link_are_not_read(tmp_path: Path, secret: Path) -> None:
    root = make_folder(tmp_path / "data")
    images = load(config := DataConfig(root=str(root)), "train")
    folder = tmp_path / "proposals"
    folder.mkdir()
    (folder / "train0.png").symlink_to(secret / "private.png")
    assert_refused(lambda: find_proposals(folder, images, inside=Inside.alone(config, folder)), "train0.png", ALLOW)
    assert find_proposals(folder, images, inside=Inside.alone(dataclasses.replace(config, outside="allow"), folder))


def test_files_that_code_names_are_its_own_and_a_resumed_run_keeps_that(tmp_path: Path, secret: Path) -> None:
    data = data_of([(secret / "private.jpg", ["circle"])], tmp_path / "run" / "data")
    assert data.outside == "allow"
    save_config(dataclasses.replace(tiny_config(tmp_path, tmp_path / "run"), data=data), tmp_path / "run")
    kept = dataclasses.replace(read_config(tmp_path / "run" / "config.yaml").data, val_split="")
    assert [sample.image.name for sample in load(kept, "train").samples] == ["private.jpg"]


def test_many_names_cost_one_look_at_each_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    followed: list[str] = []
    real = os.path.realpath
    inside = Inside.of(DataConfig(), tmp_path)
    assert inside is not None
    monkeypatch.setattr("os.path.realpath", lambda path: (followed.append(str(path)), real(path))[1])
    monkeypatch.setattr("os.path.islink", lambda _: False)
    assert inside.first_outside(tmp_path / f"{index % 10}" / f"{index}.jpg" for index in range(20_000)) is None
    assert len(followed) == 10


NAMES = {
    "../../x.jpg": "x.jpg", "/etc/passwd": "passwd", "C:\\Windows\\x.jpg": "x.jpg", "..\\x.jpg": "x.jpg", "..": "photo",
    "a\0b.jpg": "a_b.jpg", "a\nb.jpg": "a_b.jpg", "": "photo", ".hidden": "hidden", "CON.jpg": "_CON.jpg",
    "a/": "photo",
}  # fmt: skip


@pytest.mark.parametrize(("name", "safe"), NAMES.items())
def test_names_of_uploads_are_names_of_files_in_their_folder(name: str, safe: str) -> None:
    assert safe_name(name) == safe


def test_long_names_of_uploads_are_cut() -> None:
    assert len(safe_name("x" * 5000 + ".jpg").encode()) < 250


def test_outputs_of_predict_stay_in_its_folder(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    (photos / "in").mkdir(parents=True)
    for name in ("in/a.jpg", "in/a.png", "b\nc.jpg", "-x.jpg", "x" * 200 + ".jpg"):
        Image.new("RGB", (8, 8)).save(photos / name)
    given = [photos / "in" / ".." / "in" / "a.jpg", photos]
    for _, name in jobs_of(given, tmp_path / "out").named:
        target = Path(os.path.abspath(tmp_path / "out" / "masks" / f"{name}.png"))
        assert target.is_relative_to(tmp_path / "out" / "masks")


ADDRESSES = (
    *("hf://a/b/../../x.safetensors", "hf://../b/x.safetensors", "hf://a/..", "hf://a/b//etc/x.safetensors"),
    *("hf://a/b@..%2F..%2Fx", "hf://a/b/c\\..\\x.safetensors"),
)


@pytest.mark.parametrize("address", ADDRESSES)
def test_addresses_on_a_hub_name_no_file_outside_of_a_repository(address: str) -> None:
    assert_refused(lambda: hub_address(address), "expected hf://OWNER/NAME")


def test_tags_written_as_csv_name_their_rows_again(tmp_path: Path) -> None:
    """A name with a line break is one field of one row."""
    root = make_folder(tmp_path / "data")
    shutil.copy(root / "images" / "train0.jpg", root / "images" / "a\nb.jpg")
    with (root / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("image", "labels"), ("a\nb.jpg", "circle")])
    assert [sample.name for sample in load(DataConfig(root=str(root), val_split=""), "train").samples] == ["a\nb"]

"""The photos of a folder by their content, and everything else counted by its kind."""

from pathlib import Path

import pytest
from PIL import Image

from tagseg.data.listing import list_files, list_photos, photo_paths
from tagseg.errors import TagsegError

from .files_of_all_kinds import HEIC, VIDEO


def names_of(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in photo_paths(list_photos(folder))]


def test_images_are_found_recursively_sorted_and_in_every_case(tmp_path):
    for name in ("b.JPG", "a/ö ß.png", "a/x.jpeg", "notes.txt", ".hidden.jpg", "Z.TIFF", ".cache/t.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert names_of(tmp_path) == ["Z.TIFF", "a/x.jpeg", "a/ö ß.png", "b.JPG"]


def test_a_link_to_its_own_folder(tmp_path):
    (tmp_path / "a.png").touch()
    (tmp_path / "again").symlink_to(tmp_path, target_is_directory=True)
    assert names_of(tmp_path) == ["a.png"]


def test_photos_of_rare_endings_or_none_are_found_by_their_content(tmp_path):
    image = Image.new("RGB", (4, 3))
    for name, form in (
        ("a.ppm", "PPM"),
        ("b.tga", "TGA"),
        ("scan.001", "TIFF"),
        ("noending", "PNG"),
        ("c.txt", "JPEG"),
    ):
        image.save(tmp_path / name, format=form)
    (tmp_path / "false.ppm").write_text("no picture")
    photos = list_photos(tmp_path)
    assert photos.names == ("a.ppm", "b.tga", "c.txt", "noending", "scan.001")
    assert [str(note) for note in photos.notes()] == ["1 text files, left out: false.ppm"]


def test_everything_else_is_counted_by_kind_and_named(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.jpg").touch()
    for name in ("1.txt", "2.csv", "sub/3.json", "4.xml"):
        (tmp_path / name).write_text("letters")
    (tmp_path / "IMG.HEIC").write_bytes(HEIC)
    (tmp_path / "film.mov").write_bytes(VIDEO)
    (tmp_path / "photo.CR2").write_bytes(b"II*\0" + bytes(80))
    (tmp_path / "z.zip").write_bytes(b"PK\3\4" + bytes(80))
    (tmp_path / "nothing.dat").touch()
    (tmp_path / ".DS_Store").touch()
    (tmp_path / "Thumbs.db").touch()
    (tmp_path / "dead.jpg").symlink_to(tmp_path / "gone.jpg")
    notes = {note.text.partition(",")[0].partition(" (")[0]: note for note in list_photos(tmp_path).notes()}
    assert {text: note.count for text, note in notes.items()} == {
        "text files": 4, "HEIC photos": 1, "videos": 1, "camera raw files": 1, "archives": 1, "empty files": 1,
        "hidden files": 2, "links to nowhere": 1,
    }  # fmt: skip
    assert notes["text files"].examples == ("1.txt", "2.csv", "4.xml")
    maybe_missed = {text for text, note in notes.items() if note.warning}
    assert maybe_missed == {"HEIC photos", "camera raw files", "empty files", "links to nowhere"}


def test_a_folder_without_images_says_what_is_there(tmp_path):
    with pytest.raises(TagsegError, match="nowhere does not exist"):
        list_photos(tmp_path / "nowhere")
    with pytest.raises(TagsegError, match="holds no image, expected"):
        photo_paths(list_photos(tmp_path))
    (tmp_path / "a.mp4").write_bytes(VIDEO)
    with pytest.raises(TagsegError, match=r"holds no image \(1 videos, left out: a\.mp4\), expected"):
        photo_paths(list_photos(tmp_path))


def test_files_of_some_endings(tmp_path):
    for name in ("a.png", "b.PNG", "c.jpg", ".d.png"):
        (tmp_path / name).touch()
    (tmp_path / "e.png").symlink_to("nowhere")
    assert list_files(tmp_path, (".png",)) == ["a.png", "b.PNG"]


@pytest.mark.slow
def test_twelve_thousand_photos_are_listed_without_opening_one(tmp_path, monkeypatch):
    for index in range(12_031):
        (tmp_path / f"{index}.jpg").touch()
    monkeypatch.setattr(Path, "open", None)
    assert len(list_photos(tmp_path).names) == 12_031

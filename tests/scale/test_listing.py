import pytest

from tagseg.errors import TagsegError
from tagseg.inference.jobs import jobs_of
from tagseg.scale.catalogue import Catalogue
from tagseg.scale.listing import list_into


def listed(images, output):
    catalogue = Catalogue()
    notes = list_into(catalogue, images, output)
    found = [(photo.path, photo.name) for photos in catalogue.waiting(3) for photo in photos]
    return found, notes


@pytest.mark.parametrize("where", ["outside", "inside"])
def test_photos_names_order_and_notes_are_those_of_the_plain_path(photos, tmp_path, where):
    output = photos / "out" if where == "inside" else tmp_path / "out"
    for name in ("masks/a.jpg.png", ".ray/made.jsonl", "predictions.csv"):
        (output / name).parent.mkdir(parents=True, exist_ok=True)
        (output / name).write_bytes(b"of an earlier run")
    if where == "inside":
        (output / "e.jpg").write_bytes((photos / "b.jpg").read_bytes())
    expected = jobs_of(photos, output)
    assert len(expected.named) == (8 if where == "inside" else 7)
    hidden = [note for note in expected.notes if "hidden" not in note.text]  # the plain path knows nothing of .ray
    assert listed(photos, output) == (expected.named, tuple(hidden))


def test_several_files_and_folders(photos, tmp_path):
    given = [photos / "sub" / "d.jpg", photos, str(photos / "b.jpg"), photos]
    assert listed(given, tmp_path / "out")[0] == jobs_of(given, tmp_path / "out").named
    relative = [photos / "sub" / ".." / "b.jpg", photos / "b.jpg"]
    assert len(listed(relative, tmp_path / "out")[0]) == 1, "an image named twice is predicted once"


@pytest.mark.parametrize(
    ("images", "line"),
    [
        ([], "no image in an empty list"),
        (["gone.jpg"], "gone.jpg does not exist"),
        (["photos/notes"], r"no image in .*notes \(1 text files, left out: x.txt\)"),
        (["photos/twins"], "two images would both be written as a.jpg"),
        (["out/masks"], "out/masks is an input and would be overwritten"),
    ],
)
def test_what_cannot_be_listed_is_one_line(photos, tmp_path, monkeypatch, images, line):
    for name in ("notes/x.txt", "twins/a.jpg", "twins/a.png", "twins/a.jpg.jpg"):
        (photos / name).parent.mkdir(exist_ok=True)
        (photos / name).write_text("letters")
    (tmp_path / "out" / "masks").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TagsegError, match=line) as error:
        listed(images, tmp_path / "out")
    assert "\n" not in str(error.value)

import json

from tagseg.labelling.dataset import RECORD, Dataset

from ..conftest import assert_refused


def test_only_files_that_an_earlier_call_wrote_are_removed(tmp_path, files):
    photo = tmp_path / "photos" / "a.jpg"
    folder = tmp_path / "out"
    first = Dataset(folder, [photo])
    first.begin(["images/a.jpg", "images/sub/b.jpg"])
    for name in ("images/a.jpg", "images/sub/b.jpg", "images/mine.jpg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    first.finish(["images/a.jpg", "images/sub/b.jpg"])
    Dataset(folder, [photo]).finish(["images/a.jpg"])
    assert files(folder) == {RECORD, "images/a.jpg", "images/mine.jpg"}
    assert not (folder / "images" / "sub").exists()


def test_a_record_cannot_remove_what_is_outside(tmp_path):
    folder, outside = tmp_path / "out", tmp_path / "precious.txt"
    outside.write_text("")
    folder.mkdir()
    names = ["../precious.txt", str(outside)]
    (folder / RECORD).write_text(json.dumps({"written by": "tagseg label", "files": names}))
    Dataset(folder, []).finish([])
    assert outside.is_file()


def test_files_of_an_interrupted_call_are_known_to_the_next(tmp_path, files):
    folder = tmp_path / "out"
    Dataset(folder, []).begin(["a.png", "b.png"])
    (folder / "a.png").write_text("")
    again = Dataset(folder, [])
    again.begin(["b.png"])
    again.finish(["b.png"])
    assert files(folder) == {RECORD}


def test_a_record_of_something_else_gives_no_right_to_the_folder(tmp_path):
    for text in ("{}", "[]", "no json", '{"written by": "someone", "files": []}'):
        (tmp_path / RECORD).write_text(text)
        assert_refused(lambda: Dataset(tmp_path, []), "holds other files", "--output")

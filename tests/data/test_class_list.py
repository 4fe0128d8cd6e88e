"""The class list: which settings are understood, and that the background is label 0 by any name."""

import pytest

from tagseg.data.class_list import class_list
from tagseg.errors import TagsegError


def names(setting, root):
    return class_list(setting, root).names


def test_from_settings_or_the_usual_file(tmp_path):
    assert names((), tmp_path) == ()
    assert names(("background", "b", "a"), tmp_path) == ("b", "a")
    (tmp_path / "classes.yaml").write_text("names: [cat]")
    assert names("", tmp_path) == ("cat",)
    (tmp_path / "classes.txt").write_bytes("\ufeffbackground\r\ncat\r\ntraffic light\r\n".encode())
    assert names((), tmp_path) == names("", tmp_path) == ("cat", "traffic light")


@pytest.mark.parametrize(
    "setting", ["cat,dog", " cat , dog", "cat;dog", "[cat, dog]", '["cat", "dog"]', "['cat','dog']"]
)
def test_names_may_be_written_out(tmp_path, setting):
    assert names(setting, tmp_path) == ("cat", "dog")


def test_names_stay_as_they_are_and_a_file_goes_first(tmp_path):
    assert names("[no, yes, 1, null, 1.0, on]", tmp_path) == ("no", "yes", "1", "null", "1.0", "on")
    assert names("a, b; c", tmp_path) == ("a, b", "c")
    assert names("cat", tmp_path) == ("cat",)
    (tmp_path / "cat,dog").write_text("emu\n")
    assert names("cat,dog", tmp_path) == ("emu",)


@pytest.mark.parametrize("spelling", ["background", "Background", "_background_", "BG", "背景"])
def test_the_background_is_label_0_by_any_name(tmp_path, spelling):
    read = class_list((spelling, "cat", "dog"), tmp_path)
    assert read.names == ("cat", "dog")
    assert [str(note) for note in read.notes] == (
        [] if spelling == "background" else [f"--data.classes calls label 0, the background, {spelling!r}"]
    )
    with pytest.raises(TagsegError, match=f"has {spelling!r} in place 3, expected the background in the first"):
        class_list(("cat", "dog", spelling), tmp_path)
    with pytest.raises(TagsegError, match="names the background twice"):
        class_list((spelling, "cat", "bg"), tmp_path)


def test_names_of_ignored_pixels(tmp_path):
    read = class_list(("__ignore__", "_background_", "cat"), tmp_path)
    assert read.names == ("cat",)
    assert "'__ignore__', which is label 255 and no class" in str(read.notes[0])
    with pytest.raises(TagsegError, match="begins with '__ignore__', but label 0 of masks is the background"):
        class_list(("__ignore__", "cat"), tmp_path)
    last = class_list(("cat", "void"), tmp_path)
    assert last.names == ("cat", "void")
    assert last.notes[0].warning
    assert "class 'void', label 2" in str(last.notes[0])


def test_a_first_name_that_may_be_the_background_is_warned_of(tmp_path):
    read = class_list(("none", "cat"), tmp_path)
    assert read.names == ("none", "cat")
    assert read.notes[0].warning
    assert "if it is the background, call it so" in str(read.notes[0])
    assert not class_list(("cat", "none"), tmp_path).notes


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("nowhere.txt", r"--data.classes is 'nowhere\.txt', expected a file"),
        ("../nowhere", "expected a file"),
        (("a", "b", "a"), "classes twice, but for case: a, a"),
        (("Straße", "STRASSE"), "Straße, STRASSE"),
        (("a  b", "a b"), "classes twice"),
        (("a", " "), "empty class name"),
        ("cat,,dog", "empty class name"),
        ("x" * 5000 + ",", "empty class name"),
        (tuple(str(i) for i in range(255)), "255 classes, expected 1 to 254"),
    ],
)
def test_bad_class_lists(tmp_path, setting, message):
    with pytest.raises(TagsegError, match=message) as error:
        class_list(setting, tmp_path)
    assert "\n" not in str(error.value)

"""Image names as lists spell them: the literal one first, then the only one that can be meant, and it is said how."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagseg.data import resolver
from tagseg.data.resolver import Match, Resolver, without_extension
from tagseg.errors import TagsegError

FILES = (
    *("p1.jpg", "p2.png", "deer 7.jpg", "a/q1.jpg", "b/q2.jpg", "s/d.png", "t/d.png", "0012.jpg", "x%20y.jpg"),
    *("Straße.JPG", "r_jpg.rf.0123456789abcdef0123.jpg", "12ab34cd-owl.jpg"),
)


@pytest.fixture(scope="module")
def files() -> Resolver:
    return Resolver(FILES, "photos", "images")


@pytest.mark.parametrize("name", ["p1.jpg", "p1", "a/q1", "x%20y.jpg", "s/d.png"])
def test_a_literal_name_is_not_worth_a_word(files, name):
    match = files.find(name)
    assert without_extension(match.file) == without_extension(name)
    assert match.reasons == ()


@pytest.mark.parametrize(
    ("name", "file", "reasons"),
    [
        (r"D:\set\images\p1.jpg", "p1.jpg", (resolver.BACKSLASHES, resolver.LONGER_PATH)),
        (r"a\q1.jpg", "a/q1.jpg", (resolver.BACKSLASHES,)),
        ("/home/other/a/q1.jpg", "a/q1.jpg", (resolver.LONGER_PATH,)),
        ("../set/s/d.png", "s/d.png", (resolver.LONGER_PATH,)),
        ("q1.jpg", "a/q1.jpg", (resolver.SUB_FOLDER,)),
        ("P1.JPG", "p1.jpg", (resolver.CASE,)),
        ("STRASSE.jpg", "Straße.JPG", (resolver.CASE,)),
        ("deer%207.jpg", "deer 7.jpg", (resolver.PERCENT,)),
        ("x y.jpg", "x%20y.jpg", (resolver.PERCENT,)),
        ("https://host.org/set/deer%207.jpg?v=2", "deer 7.jpg", (resolver.URL, resolver.LONGER_PATH)),
        ("/data/local-files/?d=set%2Fp1.jpg", "p1.jpg", (resolver.URL, resolver.LONGER_PATH)),
        ("/data/upload/3/9f8e7d6c-p1.jpg", "p1.jpg", (resolver.UPLOAD,)),
        ("/data/upload/3/9f8e7d6c-q2.jpg", "b/q2.jpg", (resolver.UPLOAD,)),
        ("9f8e7d6c-deer_7.jpg", "deer 7.jpg", (resolver.UPLOAD,)),
        ("9f8e7d6c-1111-2222-3333-444455556666_p1.jpg", "p1.jpg", (resolver.UPLOAD,)),
        ("owl.jpg", "12ab34cd-owl.jpg", (resolver.UPLOAD,)),
        ("r.jpg", "r_jpg.rf.0123456789abcdef0123.jpg", (resolver.UPLOAD,)),
        ("p2.heic", "p2.png", (resolver.EXTENSION,)),
        ("12", "0012.jpg", (resolver.NUMBER,)),
        ("12.0", "0012.jpg", (resolver.NUMBER,)),
        ("00012.jpg", "0012.jpg", (resolver.NUMBER,)),
    ],
)
def test_what_is_meant_is_found_and_said(files, name, file, reasons):
    match = files.find(name)
    assert match.file == file
    assert set(match.reasons) - {resolver.SUB_FOLDER} == set(reasons) - {resolver.SUB_FOLDER}


@pytest.mark.parametrize(
    "name",
    [
        "p9.jpg", "b/q1.jpg", "20240131-p1.jpg", "ab+p1.jpg", "7", "", "/", "...", "val/train/zz.jpg", "120",
    ],
)  # fmt: skip
def test_what_is_not_there_is_not_guessed(files, name):
    assert files.find(name) is None


def test_an_image_of_another_split_is_not_taken():
    assert Resolver(["0001.png"], "val", "val").find("train/0001.png") is None
    assert Resolver(["train2017/1.jpg"], "x", "x").find("/coco/val2017/1.jpg") is None
    assert Resolver(["0001.png"], "train", "train").find("/kitti/training/0001.png") == Match(
        "0001.png", (resolver.LONGER_PATH,)
    )


@pytest.mark.parametrize("name", ["d.png", "D", "9f8e7d6c-d.png", "d.jpg"])
def test_two_candidates_are_both_named(files, name):
    with pytest.raises(TagsegError, match=r"could be s/d\.png, t/d\.png in photos, expected one file"):
        files.find(name)


def test_a_file_beside_the_list_goes_before_one_in_a_sub_folder():
    assert Resolver(["n.jpg", "a/n.jpg"], "x").find("N.jpg") == Match("n.jpg", (resolver.CASE,))


def test_the_nearest_name_is_suggested(files):
    assert files.nearest("deer_8.jpg") == "deer 7.jpg"
    assert files.nearest("quite-another-thing.jpg") is None


NAMES = st.lists(
    st.text("abcXYZ019 %_-é#[]", min_size=1, max_size=8).filter(lambda name: name.strip() == name),
    min_size=1,
    max_size=6,
    unique=True,
)


@given(NAMES, st.sampled_from(["", "a/", "a/b c/"]))
def test_every_file_is_found_by_its_own_name(names, folder):
    files = [f"{folder}{name}.jpg" for name in names]
    index = Resolver(files, "x")
    for file in files:
        assert index.find(file) == Match(file)
        assert index.find(file[:-4]) == Match(file)


@given(NAMES, st.sampled_from(["/mnt/x/{}", "C:\\x\\{}", "file:///x/{}"]))
def test_a_name_on_another_machine_is_found_or_nothing_is(names, pattern):
    """Never another file: where the name of a file is written as another system does, it is that file or an error."""
    files = [f"{name}.jpg" for name in names]
    index = Resolver(files, "x")
    for file in files:
        try:
            match = index.find(pattern.format(file))
        except TagsegError:
            continue
        plain = "%" not in file and "#" not in file
        assert (match is not None and match.file == file) or not plain


def calls_to_find(count):
    """How many functions are called to find each of ``count`` names."""
    files = [f"2007_{index:06}.jpg" for index in range(count)]
    calls = 0

    def counted(*_):
        nonlocal calls
        calls += 1

    before = sys.getprofile()
    sys.setprofile(counted)
    try:
        index = Resolver(files, "x")
        assert all(index.find(file) for file in files)
    finally:
        sys.setprofile(before)
    return calls


def test_the_work_for_a_name_does_not_grow_with_their_number():
    few, many = calls_to_find(200), calls_to_find(2_000)
    assert 9 * few < many < 11 * few


@pytest.mark.parametrize(
    "name", ["http://[bucket/a.jpg", "http://bucket]/b/a.jpg?x=http://[", "https://a\u2100b/a.jpg"]
)
def test_a_malformed_url_is_found_by_its_path(name):
    match = Resolver(["a.jpg", "b.jpg"], "the data").find(name)
    assert match is not None
    assert match.file == "a.jpg"

import pytest

from tagseg.serving.uploads import safe_name
from tagseg.serving.zips import distinct_stems


@pytest.mark.parametrize(
    ("given", "safe"),
    [
        ("beach.jpg", "beach.jpg"),
        ("a b (1).jpeg", "a b (1).jpeg"),
        ("ärger 猫.png", "ärger 猫.png"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("/absolute/x.png", "x.png"),
        ("C:\\x\\y.png", "y.png"),
        (".htaccess", "htaccess"),
        ("..", "photo"),
        ("", "photo"),
        (None, "photo"),
        ("a\0b\n\r.jpg", "a_b__.jpg"),
        ('a"<b>|*?.jpg', "a__b____.jpg"),
        ("con.jpg", "_con.jpg"),
        ("x.averylongending", "x"),
        ("trailing. ", "trailing"),
    ],
)
def test_names_are_safe_as_files_anywhere(given, safe):
    assert safe_name(given) == safe


def test_long_names_are_cut():
    name = safe_name("猫" * 500 + ".jpg")
    assert name.endswith("猫.jpg")
    assert len(name.encode()) <= 130


def test_equal_names_are_numbered_also_where_cases_are_one():
    assert distinct_stems(["a.jpg", "A.png", "a.tif", "a_2.jpg", "b.c.jpg"]) == ["a", "A_2", "a_3", "a_2_2", "b.c"]

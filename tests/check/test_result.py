from tagseg.check.finding import found
from tagseg.check.result import CheckResult

FINDINGS = (
    *found("missing_images", "error", ["a.jpg", "b.jpg", "c.jpg", "d.jpg"], "images do not exist", "add them"),
    *found("small_images", "warning", ["e.jpg"], "photos are small", "use larger originals " * 9),
)


def result(findings=FINDINGS, **more):
    return CheckResult("/photos", findings, {"train": 1200, "val": 34}, {"cat": {"train": 5, "val": 2}}, 1.26, **more)


def test_a_line_names_three_and_what_to_do():
    lines = result().as_text(width=80).splitlines()
    assert lines[0] == "error        4  images do not exist: a.jpg, b.jpg, c.jpg and 1 more"
    assert lines[1] == "                → add them"
    assert lines[2] == "warning      1  photos are small: e.jpg"
    assert max(map(len, lines)) <= 80
    assert lines[-1] == "1 error, 1 warning (1,234 photos, 1 classes, 1.3 s)"


def test_nothing_found_is_one_line():
    assert result(()).as_text() == "nothing found (1,234 photos, 1 classes, 1.3 s)"


def test_the_contact_sheet_is_named():
    assert result(sheet="check/suspicious.jpg").summary().endswith("; suspicious tags: check/suspicious.jpg")


def test_exit_codes():
    assert result().exit_code() == 1
    assert (result(FINDINGS[1:]).exit_code(), result(FINDINGS[1:]).exit_code(strict=True)) == (0, 1)

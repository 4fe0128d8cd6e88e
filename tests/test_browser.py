"""What the fixture of browser tests itself must catch."""

import pytest

from .browser import _stays_here, assert_accessible, watched

GOOD = "<!doctype html><html lang=en><title>t</title><main><h1>Fine</h1></main>"
BAD = "<!doctype html><html><main><h1 style='color:#eee;background:#fff'>Bad</h1><img src='data:,'></main>"


@pytest.mark.slow
def test_axe_finds_what_is_wrong(open_page, axe, tmp_path):
    for name, text in (("good", GOOD), ("bad", BAD)):
        (tmp_path / f"{name}.html").write_text(text)
    assert_accessible(open_page((tmp_path / "good.html").as_uri()), axe)
    page = open_page((tmp_path / "bad.html").as_uri(), allow=("Failed to load",))
    with pytest.raises(AssertionError, match=r"(?s)color-contrast.*html-has-lang"):
        assert_accessible(page, axe)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("<script>console.error('not so')</script>", "console: not so"),
        ("<script>undefined.x</script>", "page: "),
        ("<img src='data:,' onerror='alert(1)'>", "dialog: 1"),
        ("<img src='http://192.0.2.1/pixel.png'>", "request: http://192.0.2.1/pixel.png"),
    ],
)
def test_what_a_page_must_not_do_fails_the_test(chromium, tmp_path, body, complaint):
    (tmp_path / "bad.html").write_text(f"<!doctype html><title>t</title>{body}")

    def visit():
        with watched(chromium) as open_page:
            open_page((tmp_path / "bad.html").as_uri()).wait_for_timeout(100)

    with pytest.raises(AssertionError, match=complaint):
        visit()


def test_requests_that_leave_the_machine_are_told_from_others():
    assert all(
        map(_stays_here, ("http://127.0.0.1:8000/a", "http://localhost/x", "data:,a", "file:///a", "blob:http://x"))
    )
    assert not any(map(_stays_here, ("https://fonts.example/a.woff", "http://10.0.0.1/", "ws://example.org/")))

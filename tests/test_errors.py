"""Errors of jobs that go on after a part of them failed."""

from tagseg.errors import TagsegError, one_line, some_failed


def test_of_many_the_first_message_and_the_names_of_the_others():
    failed = {"a.jpg": "a.jpg is cut off", "b.jpg": "b.jpg is text"}
    assert str(some_failed(failed, 5, "photos")) == (
        "2 of 5 photos failed, the others are done: a.jpg is cut off; also b.jpg"
    )


def test_where_all_failed_no_others_are_done():
    assert str(some_failed({"a.jpg": "cut", "b.jpg": "text"}, 2, "images")) == "2 of 2 images failed: cut; also b.jpg"
    assert str(some_failed({"a.jpg": "a.jpg is cut off"}, 1, "images")) == "a.jpg is cut off"


def test_what_a_message_quotes_rules_no_terminal_and_breaks_no_line():
    error = TagsegError("a\x1b[31m\nb\u2028c\x00\u202e é 猫 👩\u200d🔬 \udcff")
    assert str(error) == "a\\x1b[31m b c\\x00\\u202e é 猫 👩\u200d🔬 \udcff"


def test_of_a_very_long_message_beginning_and_end_are_shown():
    message = str(TagsegError("photo.jpg has " + "x" * 100_000 + ", expected less: remove it"))
    assert len(message) <= 1000
    assert message.startswith("photo.jpg has xxx")
    assert message.endswith("xxx, expected less: remove it")


def test_a_loaders_error_is_its_last_line_however_it_was_wrapped():
    wrapped = (
        "Caught TagsegError in DataLoader worker.\nTraceback:\n  File x\ntagseg.errors.TagsegError: a.jpg is cut\n"
    )
    assert str(one_line(TagsegError(wrapped))) == "a.jpg is cut"

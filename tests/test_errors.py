"""Errors of jobs that go on after a part of them failed."""

from tagseg.errors import some_failed


def test_of_many_the_first_message_and_the_names_of_the_others():
    failed = {"a.jpg": "a.jpg is cut off", "b.jpg": "b.jpg is text"}
    assert str(some_failed(failed, 5, "photos")) == (
        "2 of 5 photos failed, the others are done: a.jpg is cut off; also b.jpg"
    )


def test_where_all_failed_no_others_are_done():
    assert str(some_failed({"a.jpg": "cut", "b.jpg": "text"}, 2, "images")) == "2 of 2 images failed: cut; also b.jpg"
    assert str(some_failed({"a.jpg": "a.jpg is cut off"}, 1, "images")) == "a.jpg is cut off"

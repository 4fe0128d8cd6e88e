from pathlib import Path

import pytest

from tagseg.data.yaml_text import parse_yaml

from ..conftest import assert_refused

PATH = Path("map.yaml")


def test_names_stay_as_they_are_written():
    text = "classes:\n  no: [1.0, yes, 'on']\n  bird:\n  dog: {}\nempty: ''\n"
    expected = {"classes": {"no": ["1.0", "yes", "on"], "bird": None, "dog": {}}, "empty": ""}
    assert parse_yaml(PATH, text) == expected
    assert parse_yaml(PATH, "# nothing\n") is None
    assert parse_yaml(PATH, '{"a": [1, 2]}') == {"a": ["1", "2"]}


def test_a_key_twice_is_refused():
    assert_refused(lambda: parse_yaml(PATH, "a: 1\nb: 2\na: 3\n"), "map.yaml line 3 has 'a' twice")


@pytest.mark.parametrize("text", ["a: [1, 2", "a: b: c", "\tx: 1", "a: *b"])
def test_what_is_no_yaml_is_refused(text):
    assert_refused(lambda: parse_yaml(PATH, text), "map.yaml line", "cannot be read as YAML")

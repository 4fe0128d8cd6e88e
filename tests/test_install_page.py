"""What ``pip install tagseg`` brings stays lean, and docs/install.md says what it is."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

if sys.version_info < (3, 11):
    pytest.skip("tomllib came with Python 3.11", allow_module_level=True)

import tomllib

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PAGE = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
CORE = {
    "jaxtyping", "jsonargparse[signatures]", "lightning", "matplotlib", "numba", "numpy", "pillow", "safetensors",
    "tensorboard", "timm", "torch", "torchmetrics", "torchvision", "tqdm",
}  # fmt: skip
"""The dependencies of 0.1.0 and 0.2.0. One more needs a reason that every user has, not a verb that some use."""


def name(requirement: str) -> str:
    """``numpy`` of ``numpy>=1.26``."""
    return re.split(r"[<>=!~;\s]", requirement)[0]


def rows(heading: str) -> list[list[str]]:
    """Cells of the table with that first column."""
    table = PAGE[PAGE.index(f"| {heading} |") :].split("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def test_plain_tagseg_needs_what_it_needed() -> None:
    assert {name(one) for one in PROJECT["dependencies"]} == CORE


def test_the_page_has_the_lower_bounds() -> None:
    bounds = {name(one): re.findall(r">=([\d.]+)", one)[0] for one in PROJECT["dependencies"]}
    assert {row[0]: row[2] for row in rows("package")} == bounds


def test_the_page_has_the_extras_that_users_want() -> None:
    extras = PROJECT["optional-dependencies"]
    page = {re.findall(r"\[(\w+)\]", row[0])[0]: set(row[2].split(", ")) for row in rows("extra")}
    for extra in ("serve", "export", "openvino", "hub", "ray"):
        assert page[extra] == {name(one) for one in extras[extra]}
    assert set(page) <= set(extras)

"""What users install is under no GPL or AGPL, and docs/licences.md lists it."""

import importlib.util
import re
import sys
from importlib.metadata import Distribution
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def _tool():
    spec = importlib.util.spec_from_file_location("licences", ROOT / "tools" / "licences.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["licences"] = module
    spec.loader.exec_module(module)
    return module


LICENCES = _tool()
Package = LICENCES.Package
PAGE = (ROOT / "docs" / "licences.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def packages():
    return LICENCES.runtime_packages()[0]


def test_no_package_that_users_install_is_copyleft(packages):
    assert [one for one in packages if one.copyleft] == []
    assert {"torch", "timm", "numpy", "lightning"} <= {one.name for one in packages}
    assert not {"pytest", "mypy", "tagseg"} & {one.name for one in packages}, "what the tests need is not installed"


def test_the_page_lists_every_package_that_tagseg_names(packages):
    listed = {line.split("|")[1].strip().lower().replace("_", "-") for line in PAGE.splitlines() if "| `tagseg" in line}
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    table = project[project.index("\ndependencies = [") : project.index("# The documentation as a site.")]
    named = {re.split(r"[\[<>=!]", one)[0].lower() for one in re.findall(r'"([a-z_A-Z-]+[\[<>=!][^"]*)"', table)}
    assert len(named) > 14
    assert {name.replace("_", "-") for name in named} - {"ray"} <= listed


@pytest.mark.parametrize(
    ("licence", "copyleft"),
    [
        ("GPL-3.0-or-later", True),
        ("AGPL-3.0", True),
        ("GNU General Public License v2 (GPLv2)", True),
        ("GNU Affero General Public License v3", True),
        ("MIT OR GPL-2.0-only", False),
        ("LGPL-2.1", False),
        ("MIT", False),
        ("Apache-2.0 AND MPL-2.0", False),
        ("not stated", False),
    ],
)
def test_what_counts_as_copyleft(licence, copyleft):
    assert Package("one", "1", licence, "tagseg").copyleft is copyleft


METADATA = {
    "License-Expression: MIT": "MIT",
    "License: Apache 2.0": "Apache-2.0",
    "License: UNKNOWN\nClassifier: License :: OSI Approved :: BSD License": "BSD",
    "Classifier: License :: OSI Approved": "not stated",
    "Classifier: License :: OSI Approved :: MIT License\nClassifier: License :: Other": "MIT OR Other",
    "Author: nobody": "not stated",
}


@pytest.mark.parametrize(("text", "licence"), METADATA.items())
def test_licences_are_read_from_any_metadata(tmp_path, text, licence):
    folder = tmp_path / "one-1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: one\nVersion: 1\n{text}\n")
    assert LICENCES.licence_of(Distribution.at(folder)) == licence


def test_only_what_is_between_the_marks_is_written():
    begin, end = LICENCES.BEGIN, LICENCES.END
    page = LICENCES.written(f"before\n{begin}\nold\n{end}\nafter\n", [Package("one", "1", "MIT", "tagseg")])
    assert page.startswith(f"before\n{begin}\n| package")
    assert page.endswith(f"| one | 1 | MIT | `tagseg` |\n{end}\nafter\n")

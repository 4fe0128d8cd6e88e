"""The structure that docs/architecture.md promises."""

import importlib.util
import pkgutil
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def architecture():
    spec = importlib.util.spec_from_file_location("architecture", ROOT / "tools" / "architecture.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["architecture"] = module
    spec.loader.exec_module(module)
    return module


def test_no_modules_import_one_another_in_a_circle(architecture):
    assert architecture.circle() == []


def test_files_and_functions_are_short(architecture):
    (file_lines, file), (function_lines, function) = architecture.lengths()
    assert file_lines < architecture.LONGEST_FILE, file
    assert function_lines <= architecture.LONGEST_FUNCTION, function


def test_a_step_passes_through_few_files_and_none_is_called_from_below(architecture):
    order, calls = architecture.trace_step()
    assert order[0] == "tagseg.fsr.step"
    assert len(order) <= architecture.MOST_STEP_FILES
    assert architecture.calls_from_below(calls) == []
    assert not any(".fast." in module for module in order)


def test_a_call_from_below_would_be_noticed(architecture):
    upward = ("tagseg.fsr.losses", "tagseg.fsr.step")
    assert architecture.calls_from_below({upward}) == [upward]


def test_the_page_shows_the_tables_as_they_are(architecture):
    page = architecture.PAGE.read_text("utf-8")
    shown = page.split(architecture.BEGIN)[1].split(architecture.END)[0]
    assert shown == architecture.tables(), "run: python tools/architecture.py --write"


INFRASTRUCTURE = {
    "compiled", "cuda_graphs", "engine", "kernels", "lattice_kernels",
    "ops", "prepared", "threads", "try_kernel", "workspace",
}  # fmt: skip
"""Files of ``fast`` that are not a plain function again, but what the others run on."""


def test_each_fast_file_names_the_plain_function_that_it_equals(architecture):
    for module, path in architecture.files().items():
        if module.startswith("tagseg.fast.") and path.stem not in INFRASTRUCTURE:
            first = path.read_text("utf-8").splitlines()[0]
            named = re.match(r'"""Equals (?:a block of )?``([\w.]+)``', first)
            assert named, f"{path.name}: {first}"
            pkgutil.resolve_name(f"tagseg.{named[1]}")


def test_types_and_shapes_are_checked_at_the_calls_of_tests(pytestconfig):
    *checked, _ = pytestconfig.getoption("--jaxtyping-packages").split(",")
    names = {f"tagseg.{module.name}" for module in pkgutil.iter_modules([str(ROOT / "src" / "tagseg")])}
    assert names - set(checked) == {"tagseg.settings", "tagseg.__main__"}

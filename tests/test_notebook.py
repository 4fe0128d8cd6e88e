"""The notebook of the documentation runs from its first cell to its last, on a machine without a network or a GPU."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

TOOL = Path(__file__).parents[1] / "tools" / "notebook.py"


def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # of the kernel: beside other tests, threads wait for each other
    pytest.importorskip("nbclient", reason="notebooks are run by nbclient, of tagseg[dev]")
    spec = importlib.util.spec_from_file_location("notebook", TOOL)
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    notebook = tool.executed(tmp_path)
    shown = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    overlays = [output for output in shown if "image/png" in output.get("data", {})]
    assert len(overlays) == 2  # before and after the correction
    assert (tmp_path / "first_masks" / "again" / "config.yaml").exists()
    assert (tmp_path / "first_masks" / "review" / "review.csv").exists()

"""Runs docs/first_masks.ipynb, in a folder of its own.

python tools/notebook.py            fails where a cell does
python tools/notebook.py --write    also keeps what the cells showed in the file
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[1] / "docs" / "first_masks.ipynb"


def executed(folder: Path) -> nbformat.NotebookNode:
    """The notebook after all its cells were run in a folder.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed.
    """
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": folder}}).execute()
    return notebook


def without_progress(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The notebook without bars, warnings and times of execution, which differ each time."""
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    return notebook


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="keep what the cells showed")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        notebook = executed(Path(folder))
    if arguments.write:
        nbformat.write(without_progress(notebook), NOTEBOOK)


if __name__ == "__main__":
    main()

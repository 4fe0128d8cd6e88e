from pathlib import Path

import pytest

from tagseg.config_file import save_config
from tagseg.exporting.export import Export, export
from tagseg.model.checkpoint import save_network

from ..conftest import tiny_config


@pytest.fixture(scope="session")
def run_folder(tiny, tagged_folder, tmp_path_factory) -> Path:
    """A run of the tiny network whose photos are there."""
    folder = tmp_path_factory.mktemp("run")
    save_network(tiny, folder / "last.safetensors")
    save_config(tiny_config(tagged_folder, folder), folder)
    return folder


@pytest.fixture(scope="session")
def exported(run_folder, tmp_path_factory) -> Export:
    """The tiny network as ONNX and as torch.export, of any size; not to be changed. Takes seconds."""
    pytest.importorskip("onnxruntime")
    return export(run_folder, tmp_path_factory.mktemp("exported"), format="onnx,torch", quiet=True)

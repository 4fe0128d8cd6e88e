from pathlib import Path

import pytest
import torch

from tagseg.config_file import save_config
from tagseg.exporting.export import Export, export
from tagseg.exporting.tracing import ANY_SIZE_SINCE
from tagseg.model.checkpoint import save_network

from ..conftest import tiny_config

any_size = pytest.mark.skipif(
    tuple(int(part) for part in torch.__version__.split(".")[:2]) < ANY_SIZE_SINCE,
    reason="this PyTorch cannot trace a graph of any size",
)


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
    if any_size.args[0]:
        pytest.skip(any_size.kwargs["reason"])
    return export(run_folder, tmp_path_factory.mktemp("exported"), format="onnx,torch", quiet=True)

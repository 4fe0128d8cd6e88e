"""A ``.pt2`` file, loaded without tagseg and timm; and what of each kind of positions is traced."""

import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch

from tagseg.errors import TagsegError
from tagseg.exporting.graph import ExportGraph
from tagseg.exporting.tracing import check_traceable, traced

from ..conftest import tiny_network
from .conftest import any_size
from .test_graph import family, images_of, logits_of

pytestmark = pytest.mark.slow

ALONE = """
import sys
sys.modules["tagseg"] = sys.modules["timm"] = None
import numpy, torch
extra = {"tagseg.json": ""}
module = torch.export.load(sys.argv[1], extra_files=extra).module()
numpy.save(sys.argv[3], module(torch.from_numpy(numpy.load(sys.argv[2]))).numpy())
print(extra["tagseg.json"])
"""


def test_it_runs_without_tagseg_and_timm(exported, tiny, tmp_path):
    images = images_of(tiny, 3, 5, batch=2)
    np.save(tmp_path / "in.npy", images.numpy())
    words = [str(exported.files["torch"][0]), str(tmp_path / "in.npy"), str(tmp_path / "out.npy")]
    ended = subprocess.run([sys.executable, "-W", "ignore", "-c", ALONE, *words], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), logits_of(tiny, images).numpy(), atol=1e-4)
    assert json.loads(ended.stdout)["classes"][0]["name"] == "background"


def test_it_names_no_file_of_this_machine(exported):
    with zipfile.ZipFile(exported.files["torch"][0]) as archive:
        content = b"".join(archive.read(name) for name in archive.namelist() if "weight" not in name)
    assert b"site-packages" not in content
    assert b"graph.py" not in content


@any_size
@pytest.mark.parametrize(
    "name",
    ["vit_small_patch14_reg4_dinov2", "eva02_tiny_patch14_224", "vit_small_patch16_rope_mixed_224",
     "vit_small_patch16_dinov3"],
)  # fmt: skip
def test_positions_follow_the_size_of_the_input(name):
    network = family(name)
    module = traced(ExportGraph(network)).module()
    for rows, columns, batch in ((3, 5, 1), (6, 2, 3)):
        images = images_of(network, rows, columns, batch)
        torch.testing.assert_close(module(images), logits_of(network, images), rtol=1e-4, atol=1e-4)


@any_size
def test_an_encoder_that_cannot_be_traced():
    network = tiny_network()

    class Odd(torch.nn.Module):
        def forward(self, tokens):
            return tokens * float(tokens.sum() > 0)

    network.encoder.blocks[0] = Odd()
    with pytest.raises(
        TagsegError, match=r"vit_tiny_patch16_224 cannot be traced by torch.export \(.*\): try --size N, a fixed size,"
    ):
        traced(ExportGraph(network))


def test_an_old_pytorch_is_refused_for_any_size_alone(tiny, monkeypatch):
    monkeypatch.setattr(torch, "__version__", "2.7.0")
    with pytest.raises(TagsegError, match=r"any size needs PyTorch 2\.11 or newer, and this is 2\.7\.0: give --size N"):
        traced(ExportGraph(tiny))
    check_traceable(32)

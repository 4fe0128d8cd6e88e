"""The Python of docs/export.md runs as it stands, without tagseg and PyTorch, and its mask is that of ``predict``."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tagseg

PAGE = (Path(__file__).parents[2] / "docs" / "export.md").read_text("utf-8")
(EXAMPLE,) = (code for code in re.findall(r"```python\n(.+?)```", PAGE, re.DOTALL) if "InferenceSession" in code)
ALONE = 'import sys; sys.modules["tagseg"] = sys.modules["torch"] = None\n'


def test_the_example_is_short():
    lines = [line for line in EXAMPLE.splitlines() if line.strip() and not line.startswith(("import", "from"))]
    assert len(lines) <= 20


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(61, 90), (9, 1300)])
def test_its_mask_equals_that_of_the_network(exported, tiny, tmp_path, shape):
    rng = np.random.default_rng(0)
    blobs = Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8))
    blobs.resize(shape[::-1], Image.Resampling.BICUBIC).save(tmp_path / "photo.jpg")
    shutil.copytree(exported.folder, tmp_path / "export")
    ended = subprocess.run([sys.executable, "-c", ALONE + EXAMPLE], cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    mask = Image.open(tmp_path / "mask.png")
    labels = np.asarray(mask)
    assert mask.mode == "P"
    assert (mask.getpalette() or [])[:6] == [*tiny.colours[0], *tiny.colours[1]]
    assert len(np.unique(labels)) > 1
    if min(shape) > 16:  # of narrower photos predict makes one patch, an exported network two
        network = tagseg.load(tiny, scales=(1.0,), mirror=False, device="cpu")
        assert np.array_equal(labels, network(tmp_path / "photo.jpg").mask)

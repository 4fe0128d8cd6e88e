"""JPEG files are whole or not there, also where the disk takes less of them than it is given."""

import subprocess
import sys
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from tagseg.data.jpeg_files import save_jpeg

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8))


def encoded(**options):
    content = BytesIO()
    PICTURE.save(content, format="JPEG", **options)
    return content.getvalue()


@pytest.mark.parametrize("options", [{"quality": 90}, {"quality": 95, "subsampling": 0}])
def test_the_file_is_pillows(tmp_path, options):
    save_jpeg(tmp_path / "a.jpg", PICTURE, **options)
    assert (tmp_path / "a.jpg").read_bytes() == encoded(**options)


LIMITED = """
import resource, signal, sys
from pathlib import Path

from PIL import Image

from tagseg.data.jpeg_files import save_jpeg

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
picture, path, most = Image.open(sys.argv[1]).convert("RGB"), Path(sys.argv[2]), int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
save_jpeg(path, picture, quality=90)
"""


@pytest.mark.processes
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of a file")
@pytest.mark.parametrize("missing", [0, 1, 5, 5_000])
def test_a_file_that_was_not_taken_whole_is_an_error(tmp_path, missing):
    """As on a full disk: the system takes what there is room for and says how much that was."""
    PICTURE.save(tmp_path / "photo.png")
    most = len(encoded(quality=90)) - missing
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, tmp_path / "photo.png", tmp_path / "out" / "a.jpg", str(most)],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    if missing == 0:
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "out" / "a.jpg").stat().st_size == most
    else:
        assert "TagsegError: cannot write" in done.stderr
        assert not list((tmp_path / "out").iterdir())

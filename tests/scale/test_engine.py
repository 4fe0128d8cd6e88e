import importlib.util
import logging
import sys
from typing import Any

import pytest

from tagseg.cli import main
from tagseg.errors import TagsegError
from tagseg.inference.predict import predict
from tagseg.scale import engine
from tagseg.scale import predict as predict_file
from tagseg.scale.engine import Engine, check_engine
from tagseg.scale.predict import predict_on_ray

from .conftest import files_of

HAS_RAY = importlib.util.find_spec("ray") is not None and importlib.util.find_spec("pyarrow") is not None


def test_without_ray_one_line_says_what_to_install(monkeypatch, capsys, run, photos):
    monkeypatch.setattr(engine, "find_spec", lambda name: None if name == "ray" else object())
    assert main(["predict", str(run), str(photos), "--engine", "ray"]) == 2
    assert 'expected it for the engine ray: pip install "tagseg[ray]"' in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(("workers", "device", "line"), [(-1, "cpu", "workers is -1"), (2, "cuda:1", "'cuda:1'")])
def test_what_it_cannot_do_is_refused(monkeypatch, workers, device, line):
    monkeypatch.setattr(engine, "find_spec", lambda name: object())
    with pytest.raises(TagsegError, match=line):
        check_engine(workers, device)


def test_workers_without_ray_are_refused(capsys, run, photos):
    assert main(["predict", str(run), str(photos), "--workers", "3"]) == 2
    assert "workers is 3, but only --engine ray reads it" in capsys.readouterr().err


def test_blocks_are_small_enough_for_all_workers_and_to_see_progress():
    blocks = [Engine(None, 2, 1, 0).block(photos) for photos in (1, 15, 32, 1_000_000)]
    assert blocks == [1, 1, 2, 16]
    assert Engine(None, 2, 1, 1).block(1_000_000) == 128


@pytest.mark.slow
@pytest.mark.processes
@pytest.mark.skipif(not HAS_RAY, reason='Ray Data is not installed: pip install "tagseg[ray]"')
def test_a_local_ray_makes_the_files_of_the_plain_path(run, photos, tmp_path, monkeypatch, caplog):
    if "ray" in sys.modules:
        pytest.skip("another test has imported Ray, which keeps the environment of its first import")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    (photos / "cut.jpg").write_bytes(b"no photo")
    fast: dict[str, Any] = {"scales": (1.0,), "mirror": False, "device": "cpu", "quiet": True}
    with pytest.raises(TagsegError) as plain:
        predict(run, photos, tmp_path / "plain", **fast)
    caplog.set_level(logging.INFO)
    with pytest.raises(TagsegError) as ours:
        predict_on_ray(run, photos, tmp_path / "out", workers=2, **fast)
    if "Ray does not start (The current node timed out" in str(ours.value):
        pytest.skip("this machine is so busy that Ray does not start within its 30 seconds, twice")
    assert str(ours.value) == str(plain.value)
    assert files_of(tmp_path / "out") == files_of(tmp_path / "plain")
    assert "2 workers of Ray" in caplog.text
    (photos / "cut.jpg").unlink()
    monkeypatch.setattr(predict_file, "started", None)
    assert predict_on_ray(run, photos, tmp_path / "out", workers=2, **fast) == 7, "all are there: no Ray is started"

"""What a run leaves of its own log."""

import pytest
from run import health_of

from tagseg.training.train import train

from ..conftest import make_folder, tiny_config

pytestmark = pytest.mark.slow


def test_the_distillation_is_read_from_the_log_at_a_few_steps(tmp_path):
    root = make_folder(tmp_path / "photos")
    train(tiny_config(root, tmp_path / "fsr", mask={"choice": "random", "block": 8}))
    health = health_of(tmp_path / "fsr", most=3)
    assert list(health) == ["1", "2", "6"]
    names = {"certain_kl", "certain_teacher_entropy", "uncertain_kl", "uncertain_teacher_entropy"}
    assert all(set(values) == names for values in health.values())
    train(tiny_config(root, tmp_path / "none", mask={"choice": "none", "block": 8}))
    assert health_of(tmp_path / "none") == {}
    train(tiny_config(root, tmp_path / "short", run={"steps": 2, "log_every": 10, "output": str(tmp_path / "short")}))
    assert health_of(tmp_path / "short") == {}

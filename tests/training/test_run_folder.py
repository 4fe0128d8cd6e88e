"""What a run's folder holds decides what may be resumed and what is never overwritten."""

import logging

import pytest
import torch

from tagseg.cli import main
from tagseg.config import Config, replace
from tagseg.config_file import save_config
from tagseg.errors import TagsegError
from tagseg.frozen.config import FrozenConfig
from tagseg.methods.config import with_method
from tagseg.training import frozen
from tagseg.training.run_folder import NETWORK, checkpoint_of, finished_network, refuse_to_overwrite
from tagseg.training.train import train

from ..conftest import tiny_config


def test_a_checkpoint_is_a_file_or_a_run_s(tmp_path):
    for name in ("last.ckpt", "kept.ckpt"):
        torch.save({}, tmp_path / name)
    assert checkpoint_of(str(tmp_path)) == tmp_path / "last.ckpt"
    assert checkpoint_of(tmp_path / "kept.ckpt") == tmp_path / "kept.ckpt"
    for absent in (tmp_path / "absent", tmp_path / "absent.ckpt"):
        with pytest.raises(TagsegError, match="no checkpoint to resume from, expected a run folder with"):
            checkpoint_of(absent)


def test_a_run_of_frozen_is_finished_when_its_network_is_there(tmp_path):
    assert NETWORK == frozen.FINISHED
    with pytest.raises(TagsegError, match=r"no training to resume, expected a run folder with config\.yaml"):
        finished_network(tmp_path)
    save_config(Config(method=FrozenConfig()), tmp_path)
    assert finished_network(tmp_path) is None
    (tmp_path / NETWORK).touch()
    assert finished_network(str(tmp_path)) == tmp_path / NETWORK
    (tmp_path / "last.ckpt").touch()
    with pytest.raises(TagsegError, match="holds a training by steps"):
        finished_network(tmp_path)


@pytest.mark.parametrize(
    ("holds", "stepwise", "resumes", "refused"),
    [
        ((), True, False, ""),
        (("config.yaml",), False, True, ""),
        (("last.ckpt", NETWORK), True, True, ""),
        (("last.ckpt", NETWORK), True, False, "resume it with --resume"),
        (("last.ckpt",), False, False, "resume it with --resume"),
        (("last.ckpt",), False, True, "resume it with --resume"),
        ((NETWORK,), False, False, "choose another --run.output, or delete it"),
        ((NETWORK,), False, True, "choose another --run.output, or delete it"),
        ((NETWORK,), True, False, "choose another --run.output, or delete it"),
        ((NETWORK,), True, True, "choose another --run.output, or delete it"),
    ],
)
def test_another_training_is_not_overwritten(tmp_path, holds, stepwise, resumes, refused):
    for name in holds:
        (tmp_path / name).touch()
    resume = tmp_path / "elsewhere.ckpt" if resumes else None
    if refused:
        with pytest.raises(TagsegError, match=rf"already holds a training: {refused}"):
            refuse_to_overwrite(tmp_path, stepwise, resume)
    else:
        refuse_to_overwrite(tmp_path, stepwise, resume)


def frozen_config(root, output):
    config = with_method(tiny_config(root, output, run={"steps": 2, "validate_every": 0.1}), "frozen")
    return replace(config, features={"size": 32}, network={"decoder": "conv"})


@pytest.mark.slow
def test_a_finished_run_of_frozen_stays_as_it_is(tagged_folder, tmp_path, caplog, capsys):
    run = tmp_path / "run"
    first = train(frozen_config(tagged_folder, run))
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in run.rglob("*") if path.is_file()}
    assert {path.name for path in before} >= {"config.yaml", NETWORK}
    caplog.clear()
    with caplog.at_level(logging.INFO, "tagseg"):
        assert main(["train", "--resume", str(run), "--run.steps", "9"]) == 0
    assert [record.message.split(":")[1] for record in caplog.records] == [
        " this training is finished and stays as it is"
    ]
    assert f"trained 2 steps: {run}" in capsys.readouterr().out
    again = train(frozen_config(tagged_folder, run), resume=run)
    assert (again.folder, again.network, again.steps) == (first.folder, first.network, 2)
    assert again.scores == pytest.approx(first.scores)
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in before} == before
    for other in (frozen_config(tagged_folder, run), tiny_config(tagged_folder, run)):
        with pytest.raises(TagsegError, match="already holds a training: choose another"):
            train(other)


@pytest.mark.slow
def test_an_unfinished_run_of_frozen_goes_on(tagged_folder, tmp_path, monkeypatch):
    config, run = frozen_config(tagged_folder, tmp_path / "run"), tmp_path / "run"

    def stopped(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(frozen, "train_decoder", stopped)
        with pytest.raises(KeyboardInterrupt):
            train(config)
    assert not (run / NETWORK).exists()
    assert main(["train", "--resume", str(run)]) == 0
    assert (run / NETWORK).is_file()

"""``progress.jsonl`` of both kinds of trainings: stages, steps, losses and scores, resumed, failed and stopped."""

import pytest

from tagseg.config import replace
from tagseg.errors import NonFiniteLoss, TagsegError
from tagseg.training import frozen as frozen_file
from tagseg.training.progress_file import NAME, read_progress
from tagseg.training.train import train

from ..conftest import tiny_config
from .conftest import At, frozen_config, logged, stop


def stages(records):
    return list(dict.fromkeys(record["stage"] for record in records))


@pytest.mark.slow
def test_a_training_by_steps_tells_everything(run):
    _, result = run
    records = read_progress(result.folder)
    assert stages(records) == ["training", "scoring"]
    first, last = records[0], records[-1]
    assert (first["step"], first["steps"], first["fraction"], first["seconds_left"]) == (0, 8, 0, None)
    assert (last["step"], last["fraction"], last["seconds_left"], last["state"]) == (8, 1, 0, "done")
    assert {"loss", "classification", "segmentation", "uncertain"} <= last["losses"].keys()
    assert set(last["rates"]) == {"encoder", "heads"}
    middle = next(record for record in records if record["step"] == 4 and record["stage"] == "training")
    assert middle["rates"]["heads"] > middle["rates"]["encoder"] > 0
    assert last["images_per_second"] > 0
    assert last["memory"]["process"] > 1e7
    assert {f"val/{name}": value for name, value in last["scores"].items()} == pytest.approx(result.scores, rel=1e-5)
    assert [record["time"] for record in records] == sorted(record["time"] for record in records)
    assert all(record["state"] == "running" for record in records[:-1])


@pytest.mark.slow
def test_scoring_has_its_own_steps_and_ends_with_the_scores(run):
    records = read_progress(run[1].folder)
    begun = [index for index, record in enumerate(records) if record["stage"] == "scoring" and not record["step"]]
    assert len(begun) == 2, "after step 4 and 8"
    for index, step in zip(begun, (4, 8), strict=True):
        after = next(record for record in records[index:] if record["stage"] == "training")
        assert after["step"] == step
        expected = logged(run[1].folder)[step - 1]["val/student/segmentation"]
        assert after["scores"]["student/segmentation"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
def test_a_resumed_training_goes_on_in_the_same_file_behind_a_torn_line(tagged_folder, tmp_path):
    config = tiny_config(tagged_folder, tmp_path, run={"steps": 4, "validate_every": 0})
    with pytest.raises(KeyboardInterrupt):
        train(config, callbacks=[At(2, stop)])
    before = (tmp_path / NAME).read_bytes()
    assert read_progress(tmp_path)[-1]["state"] == "stopped"
    (tmp_path / NAME).write_bytes(before + b'{"time": 17')
    train(config, resume=tmp_path)
    assert (tmp_path / NAME).read_bytes().startswith(before)
    steps = [(record["step"], record["state"]) for record in read_progress(tmp_path)]
    assert steps[-1] == (4, "done")
    assert (2, "running") in steps[steps.index((2, "stopped")) :], "goes on with step 2"


@pytest.mark.slow
def test_a_training_that_fails_says_why(tagged_folder, tmp_path):
    def fail(trainer, module):
        raise TagsegError("broken: mend it")

    with pytest.raises(TagsegError):
        train(tiny_config(tagged_folder, tmp_path, run={"steps": 2}), callbacks=[At(1, fail)])
    last = read_progress(tmp_path)[-1]
    assert (last["state"], last["error"]) == ("failed", "broken: mend it")


@pytest.fixture
def frozen(tagged_folder, tmp_path):
    return frozen_config(tagged_folder, tmp_path / "run", run={"validate_every": 0.1, "logger": "none"})


def test_the_frozen_mode_tells_its_stages_the_decoders_loss_and_the_scores(frozen):
    result = train(frozen)
    records = read_progress(result.folder)
    assert stages(records) == ["features", "normalised cuts", "foreground", "labels", "decoder", "scoring"]
    for stage, steps in (("features", 6), ("normalised cuts", 6), ("foreground", 4), ("labels", 6), ("decoder", 6)):
        own = [record for record in records if record["stage"] == stage]
        assert all(record["steps"] == steps for record in own)
        fractions = [record["fraction"] for record in own]
        assert fractions == sorted(fractions)
        assert (own[-1]["step"], fractions[-1], own[-1]["seconds_left"]) == (steps, 1, 0)
    decoder = [record for record in records if record["stage"] == "decoder"]
    assert decoder[0]["fraction"] == 0
    assert decoder[-1]["losses"]["loss"] > 0
    assert decoder[-1]["rates"]["decoder"] > 0
    assert decoder[-1]["images_per_second"] > 0
    last = records[-1]
    assert last["state"] == "done"
    assert {f"val/{name}": value for name, value in last["scores"].items()} == pytest.approx(result.scores, rel=1e-5)
    assert not (result.folder / "logs").exists()


def test_features_at_hand_are_no_stage_of_work(frozen, tmp_path):
    train(frozen)
    again = train(replace(frozen, run={"output": str(tmp_path / "again")}))
    features = [record for record in read_progress(again.folder) if record["stage"] == "features"]
    assert [record["step"] for record in features] == [0, 6]
    assert features[-1]["fraction"] == 1


def test_a_frozen_training_that_fails_or_is_stopped_says_so_and_the_next_start_appends(frozen, monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(frozen_file, "train_decoder", stopped)
        with pytest.raises(KeyboardInterrupt):
            train(frozen)
    real = frozen_file.standardise

    def broken(decoder, features):
        real(decoder, features)
        decoder[0].mean[0] = float("nan")

    with monkeypatch.context() as patch:
        patch.setattr(frozen_file, "standardise", broken)
        with pytest.raises(NonFiniteLoss):
            train(frozen)
    result = train(frozen)
    ends = [record for record in read_progress(result.folder) if record["state"] != "running"]
    assert [record["state"] for record in ends] == ["stopped", "failed", "done"]
    assert "step 0 of the decoder" in ends[1]["error"]
    assert ends[0]["stage"] == "decoder"

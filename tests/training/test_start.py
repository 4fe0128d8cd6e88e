"""Trainings that start from the network of another one."""

import pytest
import torch

from tagseg.config import Config, replace
from tagseg.errors import TagsegError
from tagseg.methods.config import with_method
from tagseg.model.checkpoint import load_network, read_about
from tagseg.training.train import train

from ..conftest import tiny_config
from .conftest import At, logged, stop, weights_equal

ROUND = {"labels": "network", "fit_classifiers": True, "decoder_start": 0.1}


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fsr", "classifier"])
def test_the_first_step_has_the_weights_of_the_start(run, tmp_path, method):
    """Neither a probe nor a small decoder changes them; the teacher has them too."""
    config, first = run
    theirs = load_network(first.folder / "best.safetensors").state_dict()
    seen = []

    def look(_, module):
        for network in module.method.networks.values():
            state = network.state_dict()
            seen.append(all(torch.equal(state[name], value) for name, value in theirs.items()))

    second = replace(
        with_method(config, method), network={"start": str(first.folder)},
        beyond={"fit_classifiers": True, "decoder_start": 0.1}, run={"output": str(tmp_path), "steps": 1},
    )  # fmt: skip
    train(second, callbacks=[At(0, look)])
    assert seen == [True] * (2 if method == "fsr" else 1)


@pytest.mark.slow
def test_a_second_round_on_labels_of_the_network_resumes_to_the_bit(run, tmp_path):
    config, first = run
    again = replace(
        config, network={"start": str(first.folder)}, beyond=ROUND | {"start_share": 0.25},
        losses={"segmentation_from": 0}, run={"output": str(tmp_path / "whole"), "steps": 5, "validate_every": 0},
    )  # fmt: skip
    whole = train(again)
    assert_is_average(whole.folder, first.folder, 0.25)
    assert len(list((whole.folder / "labels").glob("*.png"))) == 6
    assert "train/segmentation" in logged(whole.folder)[0]
    parts = replace(again, run={"output": str(tmp_path / "parts")})
    with pytest.raises(KeyboardInterrupt):
        train(parts, callbacks=[At(3, stop)])
    lost = tmp_path / "parts" / "labels" / "train1.png"
    content = lost.read_bytes()
    lost.unlink()
    resumed = train(parts, resume=tmp_path / "parts")
    assert lost.read_bytes() == content, "made again by the network of the start, not by the one that was resumed"
    assert weights_equal(resumed.folder, whole.folder)
    assert_is_average(resumed.folder, first.folder, 0.25)


def assert_is_average(folder, start, share):
    """The network to predict with lies between that of the start and the student, and is neither."""
    before, average = load_network(start).state_dict(), load_network(folder / "last.safetensors").state_dict()
    student = load_network(folder / "last_student.safetensors").state_dict()
    assert read_about(folder / "last.safetensors")["network"] == "average"
    for name, value in average.items():
        torch.testing.assert_close(value, share * before[name] + (1 - share) * student[name])
    assert not all(torch.equal(value, student[name]) for name, value in average.items())


@pytest.mark.slow
def test_a_resumed_training_does_not_need_its_start(run, tmp_path):
    config, first = run
    start = tmp_path / "start.safetensors"
    start.write_bytes((first.folder / "best.safetensors").read_bytes())
    again = replace(
        config, network={"start": str(start)}, run={"output": str(tmp_path / "run"), "steps": 2, "validate_every": 1}
    )
    train(again)
    start.unlink()
    assert train(replace(again, run={"steps": 3}), resume=tmp_path / "run").steps == 3


@pytest.mark.slow
def test_rates_by_family_and_heads_first_resume_to_the_bit(tagged_folder, tmp_path):
    optimiser = {"rate": 0.0, "layer_decay": 0.8, "heads_first": 3, "warmup": 1}
    config = tiny_config(tagged_folder, tmp_path / "whole", optimiser=optimiser)
    encoders: list[torch.Tensor] = []
    look = [
        At(s, lambda _, m: encoders.append(m.method.student.encoder.norm.weight.detach().clone())) for s in (0, 3, 5)
    ]
    whole = train(config, callbacks=look)
    assert torch.equal(encoders[0], encoders[1]), "only the heads learned"
    assert not torch.equal(encoders[1], encoders[2])
    parts = replace(config, run={"output": str(tmp_path / "parts")})
    with pytest.raises(KeyboardInterrupt):
        train(parts, callbacks=[At(2, stop)])
    assert weights_equal(train(parts, resume=tmp_path / "parts").folder, whole.folder)
    with pytest.raises(TagsegError, match=r"optimiser\.layer_decay is 1\.0, expected the resumed run's"):
        train(replace(parts, optimiser={"layer_decay": 1.0}, run={"steps": 9}), resume=tmp_path / "parts")


@pytest.mark.slow
def test_a_start_of_another_network_is_one_line(run, tmp_path):
    config, first = run
    other = replace(config, network={"start": str(first.folder), "prototypes": 16}, run={"output": str(tmp_path)})
    with pytest.raises(TagsegError, match=r"network\.prototypes is 32, here 16") as caught:
        train(other)
    assert "\n" not in str(caught.value)


def test_labels_of_a_network_need_one():
    with pytest.raises(TagsegError, match=r"network\.start is '', expected the network that makes the labels"):
        replace(Config(), beyond={"labels": "network"})

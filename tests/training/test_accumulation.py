"""A batch in parts gives the losses, gradients, centres and weights of the whole batch."""

import pytest
import torch

from tagseg.config import replace
from tagseg.errors import TagsegError
from tagseg.methods.build import build_method
from tagseg.methods.classifier import Classifier
from tagseg.methods.config import with_method
from tagseg.methods.fsr import FSR
from tagseg.training.accumulation import share_losses
from tagseg.training.train import train
from tagseg.training.trainer import check_shares

from ..conftest import CLASSES, tiny_config
from ..steps import EVERY, LATE, batch_of, sharpened
from .conftest import logged, stop, weights_equal

TAGS = [[1, 0, 1], [0, 0, 0], [0, 1, 0], [1, 1, 1]]
"""Parts differ: in one an image has no tag, so there is hardly any foreground."""


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """Every loss, with drop path."""
    config = tiny_config(tmp_path_factory.mktemp("none"), tmp_path_factory.mktemp("none"))
    return replace(config, network={"drop_path": 0.5}, energy={"scale": 1e-3})


def step_of(config, count, *, local=0, label=False):
    """Losses, gradients and centres after one step in so many parts."""
    module = sharpened(config)
    if config.speed.step == "plain":
        module = module.double()
    batch = batch_of(TAGS, local=local, label=label)
    losses = share_losses(module, batch, LATE, count, torch.Tensor.backward, watched=True)
    losses.rest.backward()
    module.after_step(LATE)
    gradients = {name: p.grad for name, p in module.student.named_parameters() if p.grad is not None}
    values = {"total": losses.total} | losses.terms | losses.health
    values |= {name: sign for name, sign in losses.signs.items() if name != "ranked"}  # of pairs within a part
    return values, gradients, dict(module.centres.named_buffers())


def assert_equal(ours, whole, tolerance):
    assert ours.keys() == whole.keys()
    largest = max(value.abs().max() for value in whole.values())
    for name, value in whole.items():
        assert (ours[name] - value).abs().max() <= tolerance * (value.abs().max() + 1e-3 * largest), name


VARIANTS = {
    "plain": ({"speed": {"step": "plain"}}, {}),
    "fast": ({}, {}),
    "local crops": ({"speed": {"step": "plain"}}, {"local": 2}),
    "labels": ({}, {"label": True}),
    "sharper targets": ({"speed": {"step": "plain"}, "beyond": {"teacher_sharpness": 2.0}}, {}),
    "random masks": ({"mask": {"choice": "random"}}, {}),
}


@pytest.mark.parametrize(("changes", "given"), VARIANTS.values(), ids=VARIANTS)
def test_losses_gradients_and_centres_of_parts_are_those_of_the_whole_batch(config, changes, given):
    config = replace(config, **changes)
    tolerance = 1e-10 if config.speed.step == "plain" else 1e-4  # in float64, in float32
    whole = step_of(config, 1, **given)
    assert whole[0].keys() > EVERY
    for ours, theirs in zip(step_of(config, 4 if "speed" in changes else 2, **given), whole, strict=True):
        assert_equal(ours, theirs, tolerance)


def test_counts_of_a_part_alone_would_be_wrong(config, monkeypatch):
    """What the tests above can see."""
    whole, _, _ = step_of(config, 1)
    together = FSR.before_losses

    def apart(self, parts, step):
        return [one for part in parts for one in together(self, [part], step)]

    monkeypatch.setattr(FSR, "before_losses", apart)
    parts, _, _ = step_of(config, 2)
    for name in ("segmentation", "affinity"):
        assert abs(parts[name] - whole[name]) > 1e-3 * whole[name]


def test_the_classifier_in_parts(config):
    results = []
    for count in (1, 2):
        torch.manual_seed(0)
        method = build_method(with_method(config, "classifier"), CLASSES).train()
        assert isinstance(method, Classifier)
        losses = share_losses(method, batch_of(TAGS), 0, count, torch.Tensor.backward, watched=False)
        losses.rest.backward()
        gradients = {name: p.grad for name, p in method.named_parameters() if p.grad is not None}
        results.append((losses.terms, gradients))
        assert not losses.signs
    for ours, whole in zip(results[1], results[0], strict=True):
        assert_equal(ours, whole, 1e-4)


def test_no_two_parts_lie_in_memory_at_once(config):
    order = []

    def backward(loss):
        loss.backward()
        order.append("backward")

    module = sharpened(config)
    module.student.decoder.register_forward_hook(lambda *_: order.append("student"))
    share_losses(module, batch_of(TAGS), LATE, 4, backward, watched=False).rest.backward()
    assert order == ["student", "backward"] * 3 + ["student"]


def test_an_interrupted_step_has_moved_nothing(config):
    module = sharpened(config)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    with pytest.raises(KeyboardInterrupt):
        share_losses(module, batch_of(TAGS), LATE, 2, stop, watched=False)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


@pytest.mark.slow
def test_a_training_in_parts_is_that_of_whole_batches(tagged_folder, tmp_path):
    """Through Lightning, with augmentation on the device, which parts a batch before it is whole."""
    config = tiny_config(
        tagged_folder, tmp_path / "1", mask={"random_until": 0}, losses={"segmentation_from": 0},
        run={"steps": 3, "batch": 4, "validate_every": 3}, views={"augment": "device"},
        optimiser={"rate": 1e-4, "warmup": 0}, distillation={"teacher_momentum": (0.5, 0.5)},
    )  # fmt: skip
    whole = train(config)
    parts = train(replace(config, run={"output": str(tmp_path / "2"), "accumulate": 2}))
    assert parts.steps == whole.steps == 3
    ours, theirs = logged(tmp_path / "2"), logged(tmp_path / "1")
    assert ours.keys() == theirs.keys(), "losses are logged once a step"
    for step, values in theirs.items():
        assert ours[step] == pytest.approx(values, rel=1e-4, abs=1e-7), step
    assert parts.scores == pytest.approx(whole.scores, abs=0.01)
    states = [torch.load(tmp_path / name / "last.ckpt", weights_only=True)["state_dict"] for name in "21"]
    apart = {name: (states[0][name] - value).abs().max() for name, value in states[1].items() if "centres" in name}
    assert len(apart) == 2
    assert max(apart.values()) < 1e-5


@pytest.mark.slow
def test_a_run_stopped_between_two_parts_resumes_where_it_was(tagged_folder, tmp_path, monkeypatch):
    options = {"steps": 4, "batch": 2, "accumulate": 2, "validate_every": 1}
    whole = train(tiny_config(tagged_folder, tmp_path / "whole", run=options))
    config = tiny_config(tagged_folder, tmp_path / "parts", run=options)
    losses, calls = FSR.losses, []

    def interrupted(self, batch, step):
        calls.append(step)
        if calls.count(2) == 2:
            raise KeyboardInterrupt
        return losses(self, batch, step)

    with monkeypatch.context() as patch:
        patch.setattr(FSR, "losses", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(config)
    assert train(config, resume=tmp_path / "parts").steps == 4
    assert weights_equal(tmp_path / "parts", whole.folder)
    assert weights_equal(tmp_path / "parts", whole.folder, "last_teacher.safetensors")


def test_parts_need_a_strategy_that_can_wait_with_its_exchange(config):
    check_shares(replace(config, run={"batch": 4, "accumulate": 2, "strategy": "ddp"}).run, 2)
    with pytest.raises(TagsegError, match=r"run\.strategy is fsdp.*--run\.accumulate"):
        check_shares(replace(config, run={"batch": 4, "accumulate": 2, "strategy": "fsdp"}).run, 2)

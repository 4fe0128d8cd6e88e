"""The fast table gives what the plain one gives: terms, health, centres, masks, labels and every gradient."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tagseg.config import replace
from tagseg.fast.ops import FAST
from tagseg.fast.present_classes import present_classes
from tagseg.fast.pseudo_labels import pseudo_label
from tagseg.fsr import pseudo_labels as plain
from tagseg.fsr.cam import all_classes, multi_scale_cam
from tagseg.fsr.step import PLAIN, State, mask_view2, training_step
from tagseg.training.optimiser import make_optimiser

from ..conftest import TINY, tiny_config
from ..steps import LATE, MIXED, assert_close, assert_gradients_agree, batch_of, sharpened

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """The energy weighs as much as other terms: at its published scale nobody would see it fail on so small a view."""
    config = tiny_config(tmp_path_factory.mktemp("none"), tmp_path_factory.mktemp("none"))
    return replace(config, energy={"scale": 1e-3})


def result_of(config, form, batch, step, seed=0):
    """Losses, gradients and centres of one step, whose table the setting chooses."""
    module = sharpened(replace(config, speed={"step": form}), seed)
    assert (module.ops.cams is PLAIN.cams) == (form == "plain")
    losses = module.losses(batch, step)
    losses.total.backward()
    gradients = {name: p.grad for name, p in module.student.named_parameters() if p.grad is not None}
    return losses, gradients, dict(module.centres.named_buffers())


def assert_agree(config, batch, step, seed=0):
    fast, plain = (result_of(config, form, batch, step, seed) for form in ("fast", "plain"))
    assert_close(fast[0].terms, plain[0].terms)
    assert_close(fast[0].health, plain[0].health)
    assert_close({"total": fast[0].total}, {"total": plain[0].total})
    assert_close(fast[2], plain[2])
    assert_gradients_agree(fast[1], plain[1])
    return fast[0]


VARIANTS = {
    "as published": {},
    "no masks": {"mask": {"choice": "none"}},
    "random masks": {"mask": {"choice": "random"}},
    "nothing masked": {"mask": {"ratio": 0.0}},
    "everything masked": {"mask": {"ratio": 1.0}},
    "edges": {"partition": {"rule": "edge"}},
    "thresholds alone": {"labels": {"refine": False}},
    "much drop path": {"network": {"drop_path": 0.6}},
    "average token": {"network": {"aggregation": "average"}},
    "max token": {"network": {"aggregation": "max"}},
    "auxiliary map of the last block": {"network": {"aux_layer": -1}},
    "registers": {"network": {"encoder_options": {**TINY.encoder_options, "reg_tokens": 2}}},
    "true masks": {"beyond": {"labels": "masks"}},
    "true masks alone": {"beyond": {"labels": "masks"}, "losses": {"affinity": 0.0}, "mask": {"choice": "none"}},
    "exact energy": {"energy": {"method": "exact"}},
    "one scale": {"cam": {"scales": (0.5,)}},
    "distillation alone": {"losses": {"affinity": 0.0, "segmentation": 0.0, "energy": 0.0}},
    "no distillation": {"losses": {"certain": 0.0, "uncertain": 0.0}},
    "sharpened teacher": {"beyond": {"teacher_sharpness": 2.5}},
    "sharpened teacher, nothing masked": {"beyond": {"teacher_sharpness": 2.5}, "mask": {"ratio": 0.0}},
    "pooled shares": {"beyond": {"pool": 0.3}},
    "no energy": {"losses": {"energy": 0.0, "affinity": 0.0}},
}


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
def test_the_fast_step_agrees_with_the_plain_one(config, changes):
    config = replace(config, **changes)
    label = config.beyond.labels == "masks"
    assert_agree(config, batch_of([[1, 0, 1], [0, 1, 0], [0, 0, 0]], label=label), LATE)


@pytest.mark.parametrize("tags", [[[0, 0, 0], [0, 0, 0]], [[1, 1, 1], [1, 1, 1]], [[0, 1, 0]], [[0, 0, 0]], MIXED])
@pytest.mark.parametrize("step", [0, 1, LATE])
def test_they_agree_on_every_kind_of_batch_early_and_late(config, tags, step):
    losses = assert_agree(config, batch_of(tags, seed=step), step)
    assert ("segmentation" in losses.terms) == (step > 0), "L_seg starts after a tenth"


@pytest.mark.parametrize("crops", [1, 3])
def test_they_agree_with_local_crops(config, crops):
    assert_agree(replace(config, network={"drop_path": 0.5}), batch_of(MIXED, local=crops), LATE)


@settings(deadline=None, max_examples=8, derandomize=True)
@given(
    seed=st.integers(0, 1000),
    tags=st.lists(st.lists(st.integers(0, 1), min_size=3, max_size=3), min_size=1, max_size=4),
    size=st.sampled_from([16, 32, 48]),
    step=st.integers(0, LATE),
)
def test_they_agree_on_random_batches(config, seed, tags, size, step):
    assert_agree(config, batch_of(tags, size=size, seed=seed), step, seed)


def test_they_agree_with_two_threads(config, threads):
    """Parts of the batch then run at the same time."""
    threads(2)
    assert_agree(config, batch_of([[1, 0, 1], [0, 1, 0], [0, 0, 0], [1, 1, 1]], size=48), LATE)
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("count", [1, 2])
def test_both_tables_as_they_are_agree(config, threads, count):
    """Without what a method adds to them, with packed weights that no two operations share."""
    threads(count)
    results = []
    for ops in (FAST, PLAIN):
        module = sharpened(config)
        state = State(module.student, module.teacher, module.centres)
        batch = batch_of([[1, 0, 1], [0, 1, 0], [0, 0, 0], [1, 1, 1]])
        losses = training_step(state, batch, LATE, config.run.steps, config.fsr, ops)
        losses.total.backward()
        gradients = {name: p.grad for name, p in module.student.named_parameters() if p.grad is not None}
        results.append((losses.terms | losses.health, gradients, dict(module.centres.named_buffers())))
    (ours, our_gradients, our_centres), (theirs, their_gradients, their_centres) = results
    assert_close(ours, theirs)
    assert_close(our_centres, their_centres)
    assert_gradients_agree(our_gradients, their_gradients)


def masks_of(module, batch, choice="uncertain"):
    """By the fast and by the plain table."""
    x2, config = module.student.normalise(batch.view2), module.settings
    return [
        mask_view2(module.student, x2, batch, ops.cam_classes(batch.tags), choice, config, ops) for ops in (FAST, PLAIN)
    ]


@pytest.mark.parametrize("rule", ["cam", "edge"])
def test_masks_and_labels_agree(config, rule):
    config = replace(config, partition={"rule": rule})
    module = sharpened(config)
    batch = batch_of([[1, 0, 1], [0, 0, 0], [0, 1, 0]], size=48)
    fast_mask, plain_mask = masks_of(module, batch)
    assert torch.equal(fast_mask, plain_mask)
    image, labels = batch.view2.float() / 255, config.fsr.labels
    x2 = module.student.normalise(batch.view2)
    cam = multi_scale_cam(module.student, x2, config.fsr.cam.scales, all_classes(batch.tags)).final
    expected = plain.pseudo_label(image, cam, batch.tags, labels)
    present = present_classes(batch.tags)
    for label in (
        pseudo_label(image, cam, batch.tags, labels),
        present.class_label(pseudo_label(image, present.gather(cam), present.tags, labels)),
    ):
        assert (label != expected).float().mean() < 1e-3
    assert len(expected.unique()) > 2, "background, a class and what is ignored"


def test_only_what_a_loss_reads_is_computed(config):
    """The projections of masked patches, the global tokens of one view, no map for a loss that is off."""
    module = sharpened(replace(config, losses={"affinity": 0.0, "segmentation": 0.0, "energy": 0.0}))
    rows = []
    module.student.projector.prototypes.register_forward_hook(lambda m, x, y: rows.append(y.shape[:-1].numel()))
    batch = batch_of(MIXED)
    masked = int(masks_of(module, batch, "random")[0].sum())
    module.losses(batch, 0)
    assert rows == [masked, 2]


@pytest.fixture
def half(config):
    """Fast losses in float32 and under bfloat16 autocast, with gradients of the latter."""
    batch = batch_of([[1, 0, 1], [0, 1, 0], [0, 0, 0]])
    full = sharpened(config).losses(batch, LATE)
    module = sharpened(config)
    with torch.autocast("cpu", torch.bfloat16):
        losses = module.losses(batch, LATE)
    losses.total.backward()
    return full, losses, module


def test_bfloat16_losses_are_float32_finite_and_near_those_of_float32(half):
    full, losses, module = half
    for name, value in (losses.terms | losses.health | {"total": losses.total}).items():
        assert value.dtype == torch.float32, name
        assert torch.isfinite(value), name
    for name, value in full.terms.items():
        assert losses.terms[name].item() == pytest.approx(value.item(), rel=0.05, abs=1e-3), name
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in module.student.parameters())
    assert all(c.dtype == torch.float32 for c in module.centres.buffers())


def test_they_still_agree_after_steps_of_the_optimiser(config):
    """What is laid out beforehand must follow the weights, however an optimiser changes them."""
    fast = sharpened(config)
    plain = sharpened(replace(config, speed={"step": "plain"}))
    optimiser, _ = make_optimiser(fast.student, fast.optimiser, config.run.steps)
    for group in optimiser.param_groups:
        group["lr"] = 0.02  # steps that are seen
    for step in (LATE, LATE + 1, LATE + 2):
        plain.load_state_dict(fast.state_dict())
        losses, expected = (module.losses(batch_of(MIXED, seed=step), step) for module in (fast, plain))
        assert_close(losses.terms, expected.terms, 1e-4)
        optimiser.zero_grad()
        losses.total.backward()
        optimiser.step()

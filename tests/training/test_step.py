"""The fast step gives what the plain one gives: terms, health, centres, masks, labels and every gradient."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tagseg.config import replace
from tagseg.pseudo.cam_plain import plain_multi_scale_cam
from tagseg.pseudo.labels_plain import plain_refined_label
from tagseg.pseudo.partition import partition
from tagseg.training.step import fast_losses

from ..conftest import TINY, tiny_config
from .test_module import LATE, MIXED, batch_of, module_of


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """The energy weighs as much as other terms: at its published scale nobody would see it fail on so small a view."""
    config = tiny_config(tmp_path_factory.mktemp("none"), tmp_path_factory.mktemp("none"))
    return replace(config, energy={"scale": 1e-3})


def sharpened(config, seed=0):
    """A module whose CAMs, centres, teacher and biases are not at their neutral start, so that each can be wrong."""
    module = module_of(config, seed)
    generator = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for values in (*module.student.parameters(), *module.teacher.parameters(), *module.centres.buffers()):
            values.add_(0.05 * torch.randn(values.shape, generator=generator))
    return module


def result_of(config, form, batch, step, seed=0):
    """Losses, gradients and centres of one step."""
    module = sharpened(replace(config, speed={"step": form}), seed)
    losses = module.losses(batch, step)
    losses.total.backward()
    gradients = {name: p.grad for name, p in module.student.named_parameters() if p.grad is not None}
    return losses, gradients, dict(module.centres.named_buffers())


def assert_close(fast, plain, tolerance=1e-5):
    assert set(fast) == set(plain)
    for name, value in plain.items():
        error = (fast[name] - value).abs() - tolerance * value.abs()
        assert error.max() <= 1e-6, f"{name}: {fast[name]} instead of {value}"


def assert_gradients_agree(fast, plain):
    """Each tensor relative to its norm; the bias of a key has none in theory, only rounding."""
    assert {name for name, g in fast.items() if g.any()} == {name for name, g in plain.items() if g.any()}
    largest = max(g.norm() for g in plain.values())
    for name, value in plain.items():
        ours = fast.get(name, torch.zeros_like(value))
        if name.endswith(("attn.qkv.bias", "key.bias")):
            assert (ours - value).norm() <= 1e-5 * largest, name
        else:
            assert (ours - value).norm() <= 1e-4 * value.norm() + 1e-9 * largest, name


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
    "much stochastic depth": {"network": {"drop_path": 0.6}},
    "average token": {"network": {"aggregation": "average"}},
    "max token": {"network": {"aggregation": "max"}},
    "auxiliary map of the last block": {"network": {"aux_layer": -1}},
    "registers": {"network": {"encoder_options": {**TINY.encoder_options, "reg_tokens": 2}}},
    "true masks": {"labels": {"source": "masks"}},
    "true masks alone": {"labels": {"source": "masks"}, "losses": {"affinity": 0.0}, "mask": {"choice": "none"}},
    "exact energy": {"energy": {"method": "exact"}},
    "one scale": {"cam": {"scales": (0.5,)}},
    "distillation alone": {"losses": {"affinity": 0.0, "segmentation": 0.0, "energy": 0.0}},
    "no distillation": {"losses": {"certain": 0.0, "uncertain": 0.0}},
    "sharpened teacher": {"distillation": {"teacher_sharpness": 2.5}},
    "sharpened teacher, nothing masked": {"distillation": {"teacher_sharpness": 2.5}, "mask": {"ratio": 0.0}},
    "pooled shares": {"network": {"pool": 0.3}},
    "no energy": {"losses": {"energy": 0.0, "affinity": 0.0}},
}


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
def test_the_fast_step_agrees_with_the_plain_one(config, changes):
    assert_agree(replace(config, **changes), batch_of([[1, 0, 1], [0, 1, 0], [0, 0, 0]]), LATE)


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


def test_they_agree_with_two_threads(config):
    """Parts of the batch then run at the same time."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert_agree(config, batch_of([[1, 0, 1], [0, 1, 0], [0, 0, 0], [1, 1, 1]], size=48), LATE)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("rule", ["cam", "edge"])
def test_masks_and_labels_agree(config, rule):
    config = replace(config, partition={"rule": rule})
    module = sharpened(config)
    batch = batch_of([[1, 0, 1], [0, 0, 0], [0, 1, 0]], size=48)
    x2 = module.student.normalise(batch.view2)
    cams = plain_multi_scale_cam(module.student, x2, config.cam.scales)
    regions = partition(cams.auxiliary, batch.tags, batch.view2.float() / 255, config.partition)
    assert torch.equal(module.mask_for(batch, LATE), module.draw_mask(batch, regions))
    label = module.pseudo_label(batch.view2, cams.final, batch.tags)
    plain = plain_refined_label(batch.view2.float() / 255, cams.final, batch.tags, config.labels)
    assert (label != plain).float().mean() < 1e-3
    assert len(plain.unique()) > 2, "background, a class and what is ignored"


def test_only_what_a_loss_reads_is_computed(config):
    """The projections of masked patches, the global tokens of one view, no map for a loss that is off."""
    module = sharpened(replace(config, losses={"affinity": 0.0, "segmentation": 0.0, "energy": 0.0}))
    rows = []
    module.student.projector.prototypes.register_forward_hook(lambda m, x, y: rows.append(y.shape[:-1].numel()))
    batch = batch_of(MIXED)
    masked = int(module.mask_for(batch, 0).sum())
    fast_losses(module, batch, 0)
    assert rows == [2, masked]


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
    optimiser = fast.configure_optimizers()["optimizer"]
    for group in optimiser.param_groups:
        group["lr"] = 0.02  # steps that are seen
    for step in (LATE, LATE + 1, LATE + 2):
        plain.load_state_dict(fast.state_dict())
        losses, expected = (module.losses(batch_of(MIXED, seed=step), step) for module in (fast, plain))
        assert_close(losses.terms, expected.terms, 1e-4)
        optimiser.zero_grad()
        losses.total.backward()
        optimiser.step()

"""One training step: which losses it has when, and that it is finite on every kind of batch."""

import pytest
import torch

from tagseg.config import replace
from tagseg.data.batch import Batch
from tagseg.errors import TagsegError

from ..conftest import tiny_config
from ..steps import EVERY, LATE, MIXED, batch_of, module_of

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return tiny_config(tmp_path_factory.mktemp("none"), tmp_path_factory.mktemp("none"))


def test_all_losses_are_on_late_and_their_weighted_sum_is_the_total(config):
    losses = module_of(config).losses(batch_of(MIXED), LATE)
    assert set(losses.terms) == EVERY
    weights = {
        "classification": 1,
        "uncertain": 0.1,
        "certain": 0.1,
        "affinity": 0.2,
        "segmentation": 0.1,
        "energy": 0.05,
    }
    expected = sum(weights[name] * value for name, value in losses.terms.items())
    torch.testing.assert_close(losses.total, expected)
    assert set(losses.health) == {
        f"{name}_{what}" for name in ("uncertain", "certain") for what in ("teacher_entropy", "kl")
    }


def test_terms_that_have_not_started_are_not_computed(config):
    config = replace(config, losses={"affinity_from": 3, "segmentation_from": 4})
    module = module_of(config)
    first = {"uncertain", "certain", "classification"}
    assert set(module.losses(batch_of(MIXED), 0).terms) == first
    assert set(module.losses(batch_of(MIXED), 3).terms) == first | {"affinity"}
    assert set(module.losses(batch_of(MIXED), 4).terms) == EVERY


def test_without_masks_there_is_no_distillation_and_no_second_view(config):
    module = module_of(replace(config, mask={"choice": "none"}))
    sizes = []
    module.student.encoder.patch_embed.register_forward_hook(lambda m, x, y: sizes.append(len(x[0])))
    assert set(module.losses(batch_of(MIXED), 0).terms) == {"classification", "affinity"}
    assert sizes[-1] == 2, "the student comes after the CAMs"


KINDS = {
    "no tags at all": [[0, 0, 0], [0, 0, 0]],
    "all tags": [[1, 1, 1], [1, 1, 1]],
    "one image": [[0, 1, 0]],
    "one image without tags": [[0, 0, 0]],
    "mixed": MIXED,
}


@pytest.mark.parametrize("tags", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("ratio", [0.0, 0.4, 1.0])
def test_every_kind_of_batch_has_finite_losses_and_gradients(config, tags, ratio):
    module = module_of(replace(config, mask={"ratio": ratio}))
    losses = module.losses(batch_of(tags), LATE)
    losses.total.backward()
    assert all(torch.isfinite(value) for value in (losses.total, *losses.terms.values(), *losses.health.values()))
    assert all(torch.isfinite(p.grad).all() for p in module.student.parameters() if p.grad is not None)


@pytest.mark.parametrize("value", [0, 255])
def test_images_of_one_colour_have_finite_losses(config, value):
    batch = batch_of(MIXED)
    batch.view1.fill_(value)
    batch.view2.fill_(value)
    losses = module_of(config).losses(batch, LATE)
    assert all(torch.isfinite(term) for term in losses.terms.values())


LABELS = {
    "everything ignored": {"high": 1.0, "low": 0.0, "refine": False},
    "everything background": {"high": 1.0, "low": 0.99999, "refine": False},
    "not refined": {"refine": False},
}


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_pseudo_labels_of_one_kind_have_finite_losses(config, labels):
    losses = module_of(replace(config, labels=labels)).losses(batch_of([[1, 0, 0], [0, 1, 0]]), LATE)
    assert all(torch.isfinite(term) for term in losses.terms.values())


VARIANTS = {
    "edges": {"partition": {"rule": "edge"}},
    "random masks": {"mask": {"choice": "random"}},
    "average token": {"network": {"aggregation": "average"}},
    "max token": {"network": {"aggregation": "max"}},
    "one scale": {"cam": {"scales": (1.0,)}},
}


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
def test_variants_of_the_paper_have_all_losses(config, changes):
    losses = module_of(replace(config, **changes)).losses(batch_of(MIXED), LATE)
    assert set(losses.terms) == EVERY
    assert torch.isfinite(losses.total)


def test_local_crops_enter_the_certain_loss_alone(config):
    def losses(local):
        module = module_of(replace(config, network={"drop_path": 0.0}))
        batch = batch_of(MIXED, local=2)
        return module.losses(batch if local else Batch(**{**vars(batch), "local": batch.local[:, :0]}), LATE).terms

    without, with_local = losses(False), losses(True)
    changed = {name for name in EVERY if not torch.equal(without[name], with_local[name])}
    assert changed == {"certain"}


def test_every_parameter_of_the_student_learns_and_none_of_the_teacher(config):
    module = module_of(config)
    # At the start CAMs may be 0 everywhere and labels all background; that is enough for each head to learn.
    module.losses(batch_of(MIXED), LATE).total.backward()
    without = [name for name, p in module.student.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []
    assert all(p.grad is None for p in module.teacher.parameters())


def test_the_teacher_stays_in_evaluation_mode(config):
    module = module_of(config)
    assert module.student.training
    assert not any(m.training for m in module.teacher.modules())


def test_a_step_does_not_change_weights_or_mode(config):
    module = module_of(config)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    module.losses(batch_of(MIXED), LATE)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    module.settings = replace(config, distillation={"teacher_momentum": (1.0, 1.0)}).fsr
    module.after_step(LATE)
    changed = {name for name, value in module.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"centres.token", "centres.patch"}
    assert module.student.training


def test_an_exact_energy_too_large_for_a_cpu_is_refused_before_the_first_step(config):
    large = replace(config, views={"size": 448}, energy={"method": "exact"})
    with pytest.raises(TagsegError, match=r"50,176 points.*use method lattice"):
        module_of(large).on_device(CPU)
    module_of(replace(large, energy={"method": "lattice"})).on_device(CPU)
    module_of(replace(large, losses={"energy": 0.0})).on_device(CPU)

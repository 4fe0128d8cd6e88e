"""The fast step on a GPU: losses and gradients of the plain step on a CPU, in every pass; nothing is waited for."""

import pytest
import torch

from tagseg.fast.cuda_graphs import RECORDED_AT
from tagseg.fast.engine import Engine
from tagseg.fast.ops import fast_ops, sharing_weights
from tagseg.fsr.step import PLAIN, State, training_step
from tagseg.model.teacher import update_teacher

from ..conftest import tiny_config
from ..steps import LATE, batch_of, module_of

pytestmark = pytest.mark.gpu

TAGS = [[1, 0, 0], [0, 1, 1], [0, 0, 1]]


@pytest.fixture
def config(tmp_path):
    return tiny_config(tmp_path, tmp_path)


def results(module, config, batch, ops, autocast=False):
    """Losses, and all gradients in one row on the CPU."""
    module.zero_grad()
    module.centres.token.zero_()
    module.centres.patch.zero_()
    state = State(module.student, module.teacher, module.centres)
    with torch.autocast("cuda", torch.bfloat16, enabled=autocast):
        losses = training_step(state, batch, LATE, config.run.steps, config.fsr, ops)
    losses.total.backward()
    gradients = [p.grad.flatten() for p in module.student.parameters() if p.grad is not None]
    return {name: value.item() for name, value in losses.terms.items()}, torch.cat(gradients).float().cpu()


@pytest.mark.parametrize("recompute", [False, True], ids=["kept", "recomputed"])
@pytest.mark.parametrize(
    ("autocast", "near", "alike"), [(False, 1e-3, 0.9999), (True, 5e-2, 0.98)], ids=["float32", "bfloat16"]
)
def test_losses_and_gradients_are_those_of_the_plain_step_in_every_pass(config, autocast, near, alike, recompute):
    module = module_of(config)
    batch = batch_of(TAGS).to("cpu")
    expected, gradient = results(module, config, batch, PLAIN)
    module, there, engine = module.cuda(), batch.to("cuda"), Engine(recompute=recompute)
    for _ in range(RECORDED_AT + 2):  # launched, recorded, repeated
        ops = sharing_weights(fast_ops(engine), module.student, engine)
        ours, our_gradient = results(module, config, there, ops, autocast)
        assert ours == pytest.approx(expected, rel=near, abs=near)
        assert torch.cosine_similarity(our_gradient, gradient, dim=0) >= alike


@pytest.mark.parametrize("autocast", [False, True], ids=["float32", "bfloat16"])
def test_a_whole_step_waits_for_nothing(config, autocast):
    module, engine = module_of(config).cuda(), Engine()
    batches = [batch_of(TAGS, seed=seed).to("cpu").pin_memory() for seed in range(2)]
    optimiser = torch.optim.AdamW(module.student.parameters(), 1e-5, fused=True)

    def step(batch):
        ops = sharing_weights(fast_ops(engine), module.student, engine)
        state = State(module.student, module.teacher, module.centres)
        with torch.autocast("cuda", torch.bfloat16, enabled=autocast):
            total = training_step(state, batch.to("cuda"), LATE, config.run.steps, config.fsr, ops).total
        total.backward()
        optimiser.step()
        optimiser.zero_grad()
        update_teacher(module.teacher, module.student, 0.99)

    for index in range(RECORDED_AT + 2):
        step(batches[index % 2])
    torch.cuda.set_sync_debug_mode("error")
    try:
        step(batches[0])
    finally:
        torch.cuda.set_sync_debug_mode("default")

"""The fast step as a GPU would run it, up to the losses: nothing waits for the GPU, nothing is on the wrong device."""

import pytest
import timm
import torch

from tagseg.config import replace
from tagseg.fast.engine import Engine
from tagseg.fast.ops import fast_ops, sharing_weights
from tagseg.fsr.step import PLAIN, State, training_step

from ..conftest import tiny_config
from ..fake_gpu import Launches, autocast_on_gpu, batch_to_gpu, fake_gpu, to_gpu
from ..steps import LATE, batch_of, module_of

pytest.importorskip("triton", reason="Triton is not installed: its kernels cannot be replaced")


@pytest.fixture
def state_and_config(tmp_path):
    config = tiny_config(tmp_path, tmp_path)
    module = module_of(config)
    return module, config


def losses_on_gpu(module, config, batch, monkeypatch, ops_of, autocast=False):
    """The losses of a late step, and what it launches; the step before made what is kept."""
    with fake_gpu(monkeypatch) as mode:
        to_gpu(module, mode)
        there = batch_to_gpu(batch, mode)
        state, ops = State(module.student, module.teacher, module.centres), ops_of(module.student)
        for _ in range(2):
            with Launches() as launches, autocast_on_gpu(autocast):
                losses = training_step(state, there, LATE, config.run.steps, config.fsr, ops)
    return losses, launches


def fast(student):
    engine = Engine()
    return sharing_weights(fast_ops(engine), student, engine)


@pytest.mark.parametrize("autocast", [False, True], ids=["float32", "bfloat16"])
def test_no_operation_of_a_step_waits_for_the_gpu(state_and_config, monkeypatch, autocast):
    module, config = state_and_config
    batch = batch_of([[1, 0, 0], [0, 1, 1]]).to("cpu")
    losses, launches = losses_on_gpu(module, config, batch, monkeypatch, fast, autocast)
    assert not launches.waited
    assert set(losses.terms) == {"uncertain", "certain", "classification", "affinity", "segmentation", "energy"}
    assert {value.device.type for value in losses.terms.values()} == {"cuda"}
    assert {value.dtype for value in losses.terms.values()} == {torch.float32}


LOCAL = {"views": {"local_crops": 2, "local_size": 16}}
EDGES = {"partition": {"rule": "edge"}}


@pytest.mark.parametrize(
    ("encoder", "changes", "local"),
    [
        ("", EDGES, 0),
        ("", LOCAL, 2),
        ("eva02_tiny_patch14_224", {}, 0),
        ("vit_small_patch16_dinov3", {}, 0),
        ("vit_small_patch16_dinov3", LOCAL, 2),
    ],
    ids=["edges", "local crops", "rotary", "DINOv3", "DINOv3 and local crops"],
)
def test_nor_does_one_beyond_the_defaults(tmp_path, monkeypatch, encoder, changes, local):
    if encoder and not timm.is_model(encoder):
        pytest.skip(f"timm {timm.__version__} has no {encoder}")
    options = {"img_size": 32, "patch_size": 8, "embed_dim": 48, "depth": 4, "num_heads": 3}
    rotary = {"network": {"encoder": encoder, "encoder_options": options, "drop_path": 0.5}} if encoder else {}
    config = replace(tiny_config(tmp_path, tmp_path, **changes), **rotary)
    batch = batch_of([[1, 0, 0], [0, 1, 1]], local=local).to("cpu")
    _, launches = losses_on_gpu(module_of(config), config, batch, monkeypatch, fast)
    assert not launches.waited


def test_what_asks_a_gpu_for_a_value_is_found(state_and_config, monkeypatch):
    """The plain step counts each image's tags, and the fast one does where the loader has not."""
    module, config = state_and_config
    with pytest.raises(Exception, match=r"local_scalar_dense|nonzero"):
        losses_on_gpu(module, config, batch_of([[1, 0, 0]]).to("cpu"), monkeypatch, lambda student: PLAIN)

"""Encoders with rotary positions, which depend on the patch grid: every fast form gives what the plain one gives."""

import pytest
import timm
import torch

from tagseg.config import replace
from tagseg.fast import cam as fast_cam
from tagseg.fast.onednn import pack_weights
from tagseg.fast.packed_tokens import encode_packed
from tagseg.fast.student_forward import encode_student
from tagseg.fast.teacher_forward import project_teacher
from tagseg.fast.threads import Cores
from tagseg.fsr import cam, distillation
from tagseg.fsr import step as plain
from tagseg.fsr.cam import all_classes
from tagseg.fsr.config import MaskConfig
from tagseg.fsr.masking import masked_places
from tagseg.model.network import evaluating

from ..conftest import tiny_config
from ..steps import LATE, assert_close, assert_gradients_agree, batch_of, sharpened

OPTIONS = {"img_size": 32, "patch_size": 8, "embed_dim": 48, "depth": 4, "num_heads": 3}
NAMES = [
    "eva02_tiny_patch14_224",
    "vit_medium_patch16_rope_reg1_gap_256",
    "vit_pe_core_tiny_patch16_384",
    "vit_small_patch16_dinov3",
    "vit_small_patch16_rope_mixed_224",
]
SIZES = [(32, 32), (16, 48), (8, 8), (40, 24)]


@pytest.fixture(params=NAMES)
def config(request, tmp_path):
    if not timm.is_model(request.param):
        pytest.skip(f"timm {timm.__version__} has no {request.param}")
    network = {"encoder": request.param, "encoder_options": OPTIONS, "drop_path": 0.5}
    return replace(tiny_config(tmp_path, tmp_path), network=network, energy={"scale": 1e-3})


@pytest.fixture
def module(config):
    """Student and teacher, nothing at its neutral start."""
    return sharpened(config)


@pytest.mark.parametrize("final", [True, False])
@torch.no_grad()
def test_packed_inputs_give_what_they_give_alone(module, final):
    encoder = module.student.encoder.eval()
    inputs = [torch.randn(count, 3, *size) for count, size in zip((2, 1, 3, 2), SIZES, strict=True)]
    weights = pack_weights(encoder.blocks, Cores())
    assert not weights, "nothing is packed"
    for group, images in zip(encode_packed(encoder, inputs, weights, final=final), inputs, strict=True):
        features = encoder(images)
        assert group.grid == tuple(features.patches.shape[-2:])
        torch.testing.assert_close(group.auxiliary, features.auxiliary.flatten(2).mT, rtol=1e-4, atol=1e-4)
        if final:
            torch.testing.assert_close(group.tokens, features.tokens, rtol=1e-4, atol=1e-4)


def test_the_teacher_and_its_cams(module):
    x1, x2 = torch.randn(2, 3, 3, 24, 40)
    masked, classes = masked_places(torch.rand(3, 3, 5) < 0.4, (24, 40), 8, MaskConfig()), all_classes(torch.ones(3, 3))
    with torch.no_grad(), evaluating(module.teacher):
        encoder = module.teacher.encoder
        theirs = distillation.project_teacher(module.teacher, x1, x2, masked)
        assert_close(vars(project_teacher(module.teacher, x1, x2, masked)), vars(theirs), 1e-4)
        assert encoder.rotary is not None
        scales = (1.0, 0.5, 1.5)
        ours, expected = (form.multi_scale_cam(module.teacher, x1, scales, classes) for form in (fast_cam, cam))
        torch.testing.assert_close(ours.final, expected.final, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(ours.auxiliary, expected.auxiliary, rtol=1e-4, atol=1e-4)


def test_the_student_takes_the_plain_form(module, monkeypatch):
    monkeypatch.setattr(Cores, "map_with_gradient", None)
    images, seeds = torch.randn(2, 3, 24, 40), [1, 2]
    ours = encode_student(module.student, images, None, seeds)
    theirs = plain.encode_student(module.student, images, None, seeds)
    assert torch.equal(ours.patches, theirs.patches)
    assert module.student.encoder.drop_paths[-1], "drop path is at work"


@pytest.mark.slow
@pytest.mark.parametrize("recompute", [False, True])
def test_a_whole_fast_step_agrees_with_the_plain_one(config, recompute):
    results = []
    for speed in ({"step": "fast", "checkpoint": recompute}, {"step": "plain"}):
        module = sharpened(replace(config, speed=speed))
        losses = module.losses(batch_of([[1, 0, 1], [0, 1, 0], [0, 0, 0]]), LATE)
        losses.total.backward()
        gradients = {name: p.grad for name, p in module.student.named_parameters() if p.grad is not None}
        results.append((losses, gradients, dict(module.centres.named_buffers())))
    (fast, fast_gradients, fast_centres), (theirs, gradients, centres) = results
    assert_close(fast.terms, theirs.terms)
    assert_close(fast.health, theirs.health)
    assert_close(fast_centres, centres)
    assert_gradients_agree(fast_gradients, gradients)
    trained = {name.split(".")[2] for name, g in gradients.items() if name.startswith("encoder.blocks.") and g.any()}
    assert trained == {"0", "1", "2", "3"}

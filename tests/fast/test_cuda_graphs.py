"""Recorded passes give what the passes give, with the weights of the moment; on a GPU alone."""

import pytest
import torch

from tagseg.fast.cam import multi_scale_cam
from tagseg.fast.cuda_graphs import MOST, RECORDED_AT, CudaGraphs
from tagseg.fast.engine import Engine
from tagseg.fast.present_classes import present_classes
from tagseg.fast.teacher_forward import encode
from tagseg.fsr import cam as plain

from .conftest import network_of

pytestmark = pytest.mark.gpu


def images_of(seed, count=2, size=(32, 48)):
    return torch.randn(count, 3, *size, generator=torch.Generator().manual_seed(seed)).cuda()


def test_a_recording_reads_new_images_and_new_weights():
    layer, graphs = torch.nn.Conv2d(3, 4, 3).cuda(), CudaGraphs()

    def work(images):
        return (layer(images),)

    with torch.no_grad():
        for seed in range(RECORDED_AT + 3):
            layer.weight.add_(0.1)
            images = images_of(seed)
            (ours,) = graphs.run("layer", layer, work, images)
            torch.testing.assert_close(ours, layer(images))
        assert len(graphs._recordings[layer]) == 1


def test_no_more_recordings_than_memory_is_for():
    layer, graphs = torch.nn.Conv2d(3, 4, 1).cuda(), CudaGraphs()
    with torch.no_grad():
        for width in range(1, MOST + 4):
            for seed in range(RECORDED_AT + 1):
                images = images_of(seed, size=(2, width))
                (ours,) = graphs.run("layer", layer, lambda given: (layer(given),), images)
                torch.testing.assert_close(ours, layer(images))


@torch.no_grad()
def test_a_pass_that_waits_leaves_no_trace(caplog):
    layer, graphs, stream = torch.nn.Conv2d(3, 4, 1).cuda(), CudaGraphs(), torch.cuda.current_stream()

    def waiting(images):
        return (layer(images) * float(images.sum()),)

    for seed in range(RECORDED_AT + 2):
        images = images_of(seed)
        (ours,) = graphs.run("waiting", layer, waiting, images)
        torch.testing.assert_close(ours, waiting(images)[0])
    (line,) = (record.getMessage() for record in caplog.records)
    assert "an operation in it waits for the GPU" in line
    assert torch.cuda.current_stream() == stream
    assert torch.cuda.get_sync_debug_mode() == 0
    torch.cuda.empty_cache()
    torch.rand(1, device="cuda")
    for seed in range(RECORDED_AT + 2):
        images = images_of(seed)
        (ours,) = graphs.run("layer", layer, lambda given: (layer(given),), images)
        torch.testing.assert_close(ours, layer(images))
    assert any(not isinstance(one, int) for one in graphs._recordings[layer].values())


@pytest.mark.parametrize("autocast", [False, True])
def test_cams_and_teacher_are_the_same_in_every_pass(autocast):
    network, engine = network_of().cuda(), Engine()
    classes = present_classes(torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 1.0]]).cuda())
    near = 0.08 if autocast else 1e-3
    for seed in range(RECORDED_AT + 2):
        images = images_of(seed)
        with torch.autocast("cuda", torch.bfloat16, enabled=autocast):
            ours = multi_scale_cam(network, images, (1.0, 0.5), classes, engine)
            tokens = encode(network.encoder, images, engine)
        theirs = plain.multi_scale_cam(network, images, (1.0, 0.5), classes)
        with torch.no_grad():
            expected = network.encoder(images).tokens
        assert (ours.final - theirs.final).abs().mean() <= near
        assert (ours.auxiliary - theirs.auxiliary).abs().mean() <= near
        assert (tokens.float() - expected).norm() <= near * expected.norm()
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.mul_(1.01)

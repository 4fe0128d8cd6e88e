"""What is recorded, and when; with recordings that compute anew, as there is no GPU here."""

import gc
from contextlib import contextmanager

import pytest
import torch

from tagseg.fast import cuda_graphs
from tagseg.fast.cuda_graphs import MOST, RECORDED_AT, CudaGraphs, Recording


@pytest.fixture
def recorded(monkeypatch):
    """The passes that are recorded, in order."""
    passes = []

    def record(work, images, pool):
        passes.append(tuple(images.shape))
        still = images.clone()
        results = work(still)

        def again():
            """In place of a CUDA graph: from where the input lies to where the results lie."""
            for place, value in zip(results, work(still), strict=True):
                place.copy_(value)

        return Recording(again, still, results)

    monkeypatch.setattr(cuda_graphs, "record", record)
    return passes


@torch.no_grad()
def run(graphs, layer, width=4, name="pass", seed=0):
    images = torch.randn(2, 3, 5, width, generator=torch.Generator().manual_seed(seed))
    (ours,) = graphs.run(name, layer, lambda given: (layer(given),), images)
    torch.testing.assert_close(ours, layer(images))


@torch.no_grad()
def test_a_pass_is_recorded_once_and_reads_new_images_and_weights(recorded):
    graphs, layer = CudaGraphs(), torch.nn.Conv2d(3, 4, 1)
    for seed in range(RECORDED_AT + 4):
        layer.weight.add_(0.1)
        run(graphs, layer, seed=seed)
        assert len(recorded) == (seed + 1 >= RECORDED_AT)


def test_sizes_names_and_networks_have_recordings_of_their_own(recorded):
    graphs, layers = CudaGraphs(), [torch.nn.Conv2d(3, 4, 1) for _ in range(2)]
    for seed in range(RECORDED_AT):
        for layer in layers:
            for name in ("one", "two"):
                for width in (4, 6):
                    run(graphs, layer, width, name, seed)
    assert len(recorded) == 8


@torch.no_grad()
def test_weights_that_have_moved_are_recorded_anew(recorded):
    graphs, layer = CudaGraphs(), torch.nn.Conv2d(3, 4, 1)
    for seed in range(RECORDED_AT):
        run(graphs, layer, seed=seed)
    layer.weight.data = torch.randn_like(layer.weight)
    for seed in range(RECORDED_AT):
        run(graphs, layer, seed=seed)
    assert len(recorded) == 2


def test_there_is_a_limit_for_each_network(recorded):
    graphs, layer = CudaGraphs(), torch.nn.Conv2d(3, 4, 1)
    for width in range(1, MOST + 5):
        for seed in range(RECORDED_AT + 1):
            run(graphs, layer, width, seed=seed)
    assert len(recorded) == MOST


def test_what_cannot_be_recorded_is_said_once_and_runs_as_before(monkeypatch, caplog):
    def fail(work, images, pool):
        raise RuntimeError("operation not permitted when stream is capturing\nmore of it")

    monkeypatch.setattr(cuda_graphs, "record", fail)
    graphs, layer = CudaGraphs(), torch.nn.Conv2d(3, 4, 1)
    for seed in range(RECORDED_AT + 5):
        run(graphs, layer, seed=seed)
    run(graphs, torch.nn.Conv2d(3, 4, 1), name="another")
    (line,) = (record.getMessage() for record in caplog.records)
    assert line == (
        "the pass pass is launched anew each time: recording it failed, so no other is recorded (operation not "
        "permitted when stream is capturing)"
    )


def test_a_pass_that_waits_is_not_recorded_and_others_are(recorded, monkeypatch, caplog):
    def refuse(device):
        @contextmanager
        def error():
            yield
            if waits:
                raise RuntimeError("called a synchronizing CUDA operation")

        return error()

    monkeypatch.setattr(cuda_graphs, "nothing_waits", refuse)
    graphs, layer = CudaGraphs(), torch.nn.Conv2d(3, 4, 1)
    for waits in (True, False):
        for seed in range(RECORDED_AT + 2):
            run(graphs, layer, name=f"waits: {waits}", seed=seed)
    assert len(recorded) == 1
    (line,) = (record.getMessage() for record in caplog.records)
    assert "the pass waits: True is launched anew each time: an operation in it waits for the GPU (called a" in line


def test_a_network_that_is_gone_takes_its_recordings_along(recorded):
    graphs, layer = CudaGraphs(), torch.nn.Conv2d(3, 4, 1)
    run(graphs, layer)
    assert len(graphs._recordings) == 1
    del layer
    gc.collect()
    assert len(graphs._recordings) == 0

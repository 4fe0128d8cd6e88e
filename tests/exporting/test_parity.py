import numpy as np
import pytest
import torch

from tagseg.exporting.graph import ExportGraph
from tagseg.exporting.parity import Parity, Tolerance, check
from tagseg.exporting.photos import RandomImages

from ..conftest import assert_refused

PHOTOS = RandomImages(((40, 48), (17, 90)))


@pytest.fixture(scope="module")
def graph(tiny):
    return ExportGraph(tiny)


def run_of(graph, change=lambda logits: logits):
    return lambda image: change(graph(torch.from_numpy(image)).numpy())


def test_the_same_network(graph, tiny):
    parity = check(run_of(graph), graph, PHOTOS, tiny, real=False)
    assert parity.photos == 2
    assert parity.max_difference < 1e-4 < parity.largest_logit
    assert parity.equal_labels == 1
    assert parity.within(Tolerance())
    assert "parity on 2 random images: " in parity.summary()


def test_differences_are_measured(graph, tiny):
    parity = check(run_of(graph, lambda logits: logits + np.float32(0.25)), graph, PHOTOS, tiny)
    assert parity.max_difference == pytest.approx(0.25, abs=1e-4)
    assert parity.mean_difference == pytest.approx(0.25, abs=1e-4)
    assert parity.equal_labels == 1, "the same for each class"
    assert not parity.within(Tolerance())
    assert parity.within(Tolerance(max_difference=0.3))


def test_other_labels_are_counted(graph, tiny):
    def swapped(logits):
        return logits[:, ::-1].copy()

    parity = check(run_of(graph, swapped), graph, PHOTOS, tiny)
    assert parity.equal_labels < 0.9
    assert not parity.within(Tolerance(max_difference=np.inf))


def test_values_that_are_no_numbers_never_pass(graph, tiny):
    parity = check(run_of(graph, lambda logits: logits * np.nan), graph, PHOTOS, tiny)
    assert not parity.within(Tolerance())
    assert not Parity(1, float("nan"), 0.0, 1.0, 1.0).within(Tolerance(max_difference=np.inf))


def test_what_cannot_be_compared(graph, tiny):
    def fails(image):
        raise RuntimeError("Reshape\nof 4 lines")

    assert_refused(lambda: check(fails, graph, PHOTOS, tiny), "fails at an input of (1, 40, 48, 3) (Reshape)")
    assert_refused(lambda: check(run_of(graph, lambda x: x[..., :1]), graph, PHOTOS, tiny), "logits of", "expected")
    assert_refused(lambda: check(run_of(graph), graph, (), tiny), "no photo")

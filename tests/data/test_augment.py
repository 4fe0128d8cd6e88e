"""The looks of a batch against the same looks applied one view at a time."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tagseg.config import ViewConfig
from tagseg.data.augment import Looks, augment
from tagseg.data.looks import Look, LookDraws, apply_look
from tagseg.data.seeds import seeded


def random_views(count, side=24, seed=0):
    """Smooth in one half, noise in the other, with grey, black and white parts: where hue and clipping are delicate."""
    generator = torch.Generator().manual_seed(seed)
    views = torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8, generator=generator)
    views[..., : side // 2] = torch.linspace(0, 255, side).to(torch.uint8)[:, None]
    views[:, 1, :, : side // 4] //= 2
    views[:, :, 0], views[:, :, 1] = 0, 255
    return views


def worst(views: Tensor, looks: list[Look]) -> int:
    """Greatest difference in levels between the batch's form and the one by one."""
    expected = torch.stack([apply_look(view, look) for view, look in zip(views, looks, strict=True)])
    found = augment(views, Looks.of(looks))
    assert found.shape == expected.shape
    assert found.dtype == torch.uint8
    return int((found.int() - expected.int()).abs().max())


@pytest.mark.parametrize("number", range(4))
def test_each_operation_of_the_jitter(number):
    values = (-0.5, -0.1, -0.03, 0.0, 0.1, 0.5) if number == 3 else (0.0, 0.6, 0.9, 1.0, 1.1, 1.4)
    looks = []
    for value in values:
        factors = [1.0, 1.0, 1.0, 0.0]
        factors[number] = value
        looks.append(Look(order=(number,), factors=tuple(factors)))
    assert worst(random_views(6), looks) <= 1


@pytest.mark.parametrize(
    "looks",
    [
        [Look(), Look(flip=True)],
        [Look(blur=0.1), Look(blur=1.1), Look(), Look(blur=2.0)],
        [Look(), Look(solarise=True)],
    ],
)
def test_flip_blur_and_solarise(looks):
    assert worst(random_views(len(looks)), looks) <= (1 if any(look.blur for look in looks) else 0)


@given(st.integers(0, 2**31))
@settings(deadline=None, max_examples=60)
def test_any_look_that_is_drawn(seed):
    """Operations follow each other in every order. A level of difference before may be a few after them."""
    draws = LookDraws(
        ViewConfig(jitter=(0.4, 0.4, 0.2, 0.1), jitter_probability=0.8, blur_probability=0.3, solarise_probability=0.3)
    )
    with seeded(seed):
        looks = [draws.draw() for _ in range(6)]
    views = random_views(6, seed=seed)
    before = views.clone()
    assert worst(views, looks) <= 3
    assert torch.equal(views, before)


def test_a_view_does_not_depend_on_its_neighbours():
    draws = LookDraws(ViewConfig(jitter_probability=1.0, blur_probability=0.5))
    with seeded(0):
        looks = Looks.of([draws.draw() for _ in range(5)])
    views = random_views(5)
    together = augment(views, looks)
    for i in range(5):
        assert torch.equal(augment(views[i : i + 1], looks.part(i, i + 1))[0], together[i])


def test_mixed_precision_changes_nothing():
    """In bfloat16 a level of 255 would be rounded to even numbers."""
    looks = Looks.of([Look(order=(2, 3, 1, 0), factors=(1.2, 0.8, 1.1, 0.05), blur=1.5)])
    plain = augment(random_views(1), looks)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(augment(random_views(1), looks), plain)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu():
    draws = LookDraws(ViewConfig(jitter_probability=0.8, blur_probability=0.5, solarise_probability=0.3))
    with seeded(0):
        looks = Looks.of([draws.draw() for _ in range(16)])
    views = random_views(16)
    torch.cuda.set_sync_debug_mode("error")
    try:
        found = augment(views.cuda(), looks)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert (found.cpu().int() - augment(views, looks).int()).abs().max() <= 3

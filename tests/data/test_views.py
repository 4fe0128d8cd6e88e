import torch

from tagseg.config import ViewConfig
from tagseg.data.views import Views

IMAGE = torch.randint(0, 256, (3, 50, 70), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
PLAIN = {"flip": 0.0, "jitter_probability": 0.0}


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_two_views_and_local_crops_of_the_given_sizes():
    first, second, local = Views(ViewConfig(size=32, local_crops=3, local_size=16))(IMAGE, 0, 0, 0)
    assert first.shape == second.shape == (3, 32, 32)
    assert local.shape == (3, 3, 16, 16)
    assert first.dtype == local.dtype == torch.uint8
    assert not torch.equal(first, second)
    assert not torch.equal(local[0], local[1])


def test_no_local_crops_by_default():
    assert Views(ViewConfig(size=32))(IMAGE, 0)[2].shape == (0, 3, 96, 96)


def test_the_same_keys_give_the_same_views_and_others_other_ones():
    views = Views(ViewConfig(size=32, local_crops=1, blur_probability=0.5, solarise_probability=0.5))
    first = views(IMAGE, 0, 1, 2)
    torch.manual_seed(123)
    assert same(views(IMAGE, 0, 1, 2), first)
    for keys in ((1, 1, 2), (0, 2, 2), (0, 1, 3)):
        assert not same(views(IMAGE, *keys), first)


def test_drawing_views_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    Views(ViewConfig(size=32))(IMAGE, 0)
    assert torch.equal(torch.get_rng_state(), before)


def test_local_crops_do_not_change_the_two_views():
    without, with_local = (Views(ViewConfig(size=32, local_crops=n, local_size=16)) for n in (0, 2))
    assert same(without(IMAGE, 4)[:2], with_local(IMAGE, 4)[:2])


def test_a_crop_covers_the_given_share_of_the_image():
    """On a ramp from left to right, the range of values that a crop spans is its width in the image."""
    ramp = (torch.arange(200) * 1.25).to(torch.uint8).expand(3, 200, 200)
    views = Views(ViewConfig(size=64, scale=(0.25, 0.25), **PLAIN))
    spans = [(view.max().int() - view.min().int()).item() / 250 for key in range(20) for view in views(ramp, key)[:2]]
    assert min(spans) > 0.5 * (3 / 4) ** 0.5 - 0.05
    assert max(spans) < 0.5 * (4 / 3) ** 0.5 + 0.05


def test_flips_happen_as_often_as_asked():
    ramp = (torch.arange(64) * 4).to(torch.uint8).expand(3, 64, 64)
    for flip, share in ((0.0, 0), (1.0, 1)):
        views = Views(ViewConfig(size=32, flip=flip, jitter_probability=0.0))
        flipped = [bool(view[0, 0, 0] > view[0, 0, -1]) for key in range(10) for view in views(ramp, key)[:2]]
        assert sum(flipped) == share * 20


def test_jitter_changes_colours_only_when_drawn():
    grey = torch.full((3, 40, 40), 120, dtype=torch.uint8)
    off, on = (Views(ViewConfig(size=32, jitter_probability=p)) for p in (0.0, 1.0))
    assert torch.equal(off(grey, 0)[0], torch.full((3, 32, 32), 120, dtype=torch.uint8))
    assert not torch.equal(on(grey, 0)[0], off(grey, 0)[0])


def test_images_smaller_than_a_view_are_enlarged():
    assert Views(ViewConfig(size=32))(IMAGE[:, :2, :1], 0)[0].shape == (3, 32, 32)

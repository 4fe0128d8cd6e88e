"""Which images a step sees, and how they look, is a pure function of the seed and the step."""

from itertools import islice

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tagseg.data import sources
from tagseg.data.loaders import StepKeys, score_loader, training_loader

from ..conftest import tiny_config


def steps(count, *arguments, **options):
    return list(islice(StepKeys(*arguments, **options), count))


def flat(batches):
    return [key for batch in batches for key in batch]


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 20), st.integers(1, 12), st.integers(0, 3))
def test_every_epoch_is_a_permutation(samples, batch, seed):
    keys = flat(steps(5 * samples, samples, batch, seed))
    for epoch in range(4):
        seen = [index for e, index in keys if e == epoch]
        assert sorted(seen) == list(range(samples))
    assert [epoch for epoch, _ in keys] == sorted(epoch for epoch, _ in keys)


def test_epochs_and_seeds_have_different_orders():
    keys = flat(steps(4, 50, 50, 0))
    orders = [tuple(i for e, i in keys if e == epoch) for epoch in range(4)]
    assert len(set(orders)) == 4
    assert steps(1, 50, 50, 1) != steps(1, 50, 50, 0)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 20), st.integers(1, 8), st.integers(0, 15))
def test_beginning_at_a_step_equals_the_tail(samples, batch, first):
    assert steps(5, samples, batch, 0, first=first) == steps(first + 5, samples, batch, 0)[first:]


@pytest.mark.parametrize("world", [2, 4])
def test_the_parts_of_all_processes_are_the_whole_batch(world):
    whole = steps(6, 11, 8, 0)
    parts = [steps(6, 11, 8, 0, part=(rank, world)) for rank in range(world)]
    assert [flat(own) for own in zip(*parts, strict=True)] == whole


@pytest.mark.parametrize("accumulate", [1, 2, 4])
def test_accumulated_parts_are_the_whole_batch(accumulate):
    parts = steps(6 * accumulate, 11, 8, 0, accumulate=accumulate)
    assert {len(part) for part in parts} == {8 // accumulate}
    assert flat(parts) == flat(steps(6, 11, 8, 0))
    assert steps(3, 11, 8, 0, first=3, accumulate=accumulate) == parts[3 * accumulate :][:3]


@pytest.fixture(scope="module")
def images(tagged_folder, tmp_path_factory):
    return sources.load(tiny_config(tagged_folder, tmp_path_factory.mktemp("run")).data, "train", masks=False)


def batches(images, config, count=4, **options):
    loader = training_loader(images, config, **options)
    iterator = iter(loader)
    found = [next(iterator) for _ in range(count)]
    del iterator, loader
    return found


def equal(a, b):
    return all(
        torch.equal(getattr(a, name), getattr(b, name)) for name in ("view1", "view2", "local", "tags", "mask_seeds")
    )


def config_with(tagged_folder, tmp_path, **run):
    return tiny_config(tagged_folder, tmp_path, views={"local_crops": 1, "local_size": 16}, run=run)


def test_a_batch(images, tagged_folder, tmp_path):
    (batch,) = batches(images, config_with(tagged_folder, tmp_path, batch=3), 1)
    assert batch.view1.shape == batch.view2.shape == (3, 3, 32, 32)
    assert batch.local.shape == (3, 1, 3, 16, 16)
    assert batch.view1.dtype == torch.uint8
    ((*keys,),) = steps(1, len(images), 3, 0)
    assert batch.tags.tolist() == [images.tag_matrix()[index].tolist() for _, index in keys]
    assert len(set(batch.mask_seeds.tolist())) == 3


@pytest.mark.parametrize("workers", [1, 2])
def test_the_number_of_workers_changes_nothing(images, tagged_folder, tmp_path, workers):
    alone = batches(images, config_with(tagged_folder, tmp_path, workers=0))
    helped = batches(images, config_with(tagged_folder, tmp_path, workers=workers))
    assert all(equal(a, b) for a, b in zip(alone, helped, strict=True))


def test_an_image_looks_different_in_the_next_epoch(images, tagged_folder, tmp_path):
    config = config_with(tagged_folder, tmp_path, batch=6)
    first, second = batches(images, config, 2)
    order = [[index for _, index in keys] for keys in steps(2, 6, 6, 0)]
    for index in range(6):
        a, b = order[0].index(index), order[1].index(index)
        assert not torch.equal(first.view1[a], second.view1[b])
        assert torch.equal(first.tags[a], second.tags[b])
        assert first.mask_seeds[a] != second.mask_seeds[b]


def test_a_loader_that_begins_later_sees_the_same(images, tagged_folder, tmp_path):
    config = config_with(tagged_folder, tmp_path)
    assert equal(batches(images, config, 1, first_step=3)[0], batches(images, config, 4)[3])


def test_another_seed_draws_other_views(images, tagged_folder, tmp_path):
    one, other = (batches(images, config_with(tagged_folder, tmp_path, seed=seed, batch=6), 1)[0] for seed in (0, 1))
    assert sorted(one.tags.tolist()) == sorted(other.tags.tolist())
    assert not set(one.mask_seeds.tolist()) & set(other.mask_seeds.tolist())


def test_scored_images_are_resized_and_their_masks_are_not(tagged_folder, tmp_path):
    config = tiny_config(tagged_folder, tmp_path, run={"val_batch": 2})
    (batch,) = score_loader(sources.load(config.data, "val"), config)
    assert batch.images.shape == (2, 3, 32, 32)
    assert batch.images.dtype == torch.float32
    assert batch.images.max() > 100, "0 to 255"
    assert [tuple(mask.shape) for mask in batch.masks] == [(40, 48), (40, 48)]
    assert batch.tags.tolist() == [[1, 0, 0], [0, 0, 0]]


def test_processes_share_the_scored_images_and_a_limit_holds_for_all(tagged_folder, tmp_path):
    config = tiny_config(tagged_folder, tmp_path, run={"val_batch": 1, "val_limit": 3})
    data = sources.load(config.data, "train")
    shares = [[batch.tags[0].tolist() for batch in score_loader(data, config, (rank, 2))] for rank in range(2)]
    assert [len(share) for share in shares] == [2, 1]
    assert [shares[0][0], shares[1][0], shares[0][1]] == data.tag_matrix()[:3].tolist()

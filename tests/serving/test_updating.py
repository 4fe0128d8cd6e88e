"""An update: masks follow, the same corrections give the same masks, and an interrupted one leaves what there was."""

import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch

from tagseg.inference.predictor import Predictor
from tagseg.model.checkpoint import load_network, read_about
from tagseg.serving import updating
from tagseg.serving.collection import Collection

from ..conftest import assert_refused, full_disk
from .conftest import rows_of


def masks_of(collection):
    return {name: collection.mask(row.id) for name, row in rows_of(collection).items()}


def equal(first, second):
    return first.keys() == second.keys() and all(np.array_equal(first[name], second[name]) for name in first)


def test_an_update_is_shown_saved_and_there_again(run):
    with Collection.open(run) as collection:
        rows, stages = rows_of(collection), []
        own = (run / "last.safetensors").read_bytes()
        collection.set_tags(rows["train0"].id, [2])
        before = collection.version
        collection.update(lambda stage, fraction: stages.append((stage, fraction)))
        assert [stage for stage, _ in dict.fromkeys((stage, 0) for stage, _ in stages)] == [
            "foreground", "labels", "tags", "decoder", "masks", "saving"
        ]  # fmt: skip
        fractions = [fraction for _, fraction in stages]
        assert fractions == sorted(fractions)
        assert all(0 <= fraction <= 1 for fraction in fractions)
        assert collection.pending == 0
        assert collection.version > before
        after = rows_of(collection)
        assert all(after[name].version > rows[name].version for name in rows)
        masks = masks_of(collection)
        assert set(np.unique(masks["train0"])) == {0, 2}
        assert collection.network == run / "corrected.safetensors"
    assert (run / "last.safetensors").read_bytes() == own, "the run's own network stays"
    about = read_about(run / "corrected.safetensors")
    assert about == {"network": "frozen", "update": 1, "corrected": 1, "accepted": 0, "rejected": 0}
    with Collection.open(run) as again:
        assert equal(masks_of(again), masks)
        assert rows_of(again) == after
        assert again.pending == 0


def test_the_network_is_an_ordinary_one(run):
    with Collection.open(run) as collection:
        collection.set_tags(rows_of(collection)["train0"].id, [2])
        collection.update()
        photo = collection.image_path(rows_of(collection)["train1"].id)
    first, second = Predictor(run / "last.safetensors"), Predictor(run / "corrected.safetensors")
    assert second.classes == first.classes
    assert second(photo).mask.shape == (40, 48)
    encoders = [load_network(run / name).encoder.state_dict() for name in ("last.safetensors", "corrected.safetensors")]
    assert all(torch.equal(value, encoders[1][name]) for name, value in encoders[0].items())


@pytest.mark.slow
def test_the_same_corrections_give_the_same_masks_whatever_the_way_to_them(run, tmp_path):
    other = tmp_path / "other" / "run"
    shutil.copytree(run.parent, other.parent)
    os.rename(other.parent / run.name, other)
    with Collection.open(run) as collection:
        rows = rows_of(collection)
        collection.set_tags(rows["train0"].id, [2])
        collection.set_tags(rows["train1"].id, [3])
        collection.update()
        first = masks_of(collection), rows_of(collection)
    with Collection.open(other) as collection:
        collection.set_tags(rows["train1"].id, [1])
        collection.update()
        collection.set_tags(rows["train1"].id, [3])
        collection.set_tags(rows["train0"].id, [2])
        collection.update()
        assert equal(masks_of(collection), first[0])
        found = {name: row.iou for name, row in rows_of(collection).items()}
        assert found == {name: row.iou for name, row in first[1].items()}
    heads = [load_network(folder / "corrected.safetensors").state_dict() for folder in (run, other)]
    assert all(torch.equal(value, heads[1][name]) for name, value in heads[0].items())


def test_an_accepted_mask_stays_whatever_comes(collection):
    rows = rows_of(collection)
    id = rows["train0"].id
    accepted = collection.mask(id)
    collection.set_state(id, "accepted")
    for index in (1, 2, 3, 4):
        collection.set_tags(rows[f"train{index}"].id, [3])
    collection.set_share(0.6)
    collection.update()
    assert np.array_equal(collection.mask(id), accepted)
    assert np.array_equal(next(iter(collection.results())).mask, accepted)
    collection.set_state(id, "open")
    assert not np.array_equal(collection.mask(id), accepted), "the network's own is another one by now"
    collection.undo()
    assert np.array_equal(collection.mask(id), accepted)


class Stop(BaseException):
    """What ends a thread: no handler of errors catches it."""


@pytest.mark.parametrize(
    ("stage", "error"),
    [("foreground", Stop), ("decoder", KeyboardInterrupt), ("masks", KeyboardInterrupt), ("saving", Stop)],
)
def test_an_interrupted_update_leaves_what_there_was(collection, run, stage, error):
    collection.set_tags(rows_of(collection)["train0"].id, [2])
    before = masks_of(collection), rows_of(collection), collection.pending, sorted(os.listdir(run))

    def stop(now, fraction):
        if now == stage:
            raise error

    with pytest.raises(error):
        collection.update(stop)
    assert equal(masks_of(collection), before[0])
    assert (rows_of(collection), collection.pending, sorted(os.listdir(run))) == before[1:]


def test_a_full_disk_leaves_what_there_was(collection, run):
    collection.set_tags(rows_of(collection)["train0"].id, [2])
    before = masks_of(collection), rows_of(collection)
    with full_disk(20_000):
        assert_refused(collection.update, "could not be saved")
    assert equal(masks_of(collection), before[0])
    assert rows_of(collection) == before[1]
    assert not [name for name in os.listdir(run) if "corrected" in name]
    collection.update()
    assert collection.pending == 0


def test_a_network_that_an_interrupt_kept_from_its_place_is_written_later(run, monkeypatch):
    with Collection.open(run) as collection:
        collection.set_tags(rows_of(collection)["train0"].id, [2])
        with monkeypatch.context() as patched:
            patched.setattr(updating, "_put_in_place", lambda waiting: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                collection.update()
    assert not (run / "corrected.safetensors").exists()
    with Collection.open(run) as again:
        assert read_about(run / "corrected.safetensors")["update"] == 1
        assert again.pending == 0, "the update counts"


def test_a_run_that_was_trained_again_begins_anew_with_its_corrections(run):
    with Collection.open(run) as collection:
        collection.set_tags(rows_of(collection)["train0"].id, [2])
        collection.update()
    shutil.copy(run / "corrected.safetensors", run / "last.safetensors")  # another network
    with Collection.open(run) as again:
        assert again.network == run / "last.safetensors"
        assert again.pending == 1
        assert rows_of(again)["train0"].tags == (2,)
        again.update()
        assert again.pending == 0


KILLED = """
import sys
from tagseg.serving.collection import Collection
collection = Collection.open(sys.argv[1])
first = collection.photos("name")[1][0]
for number in range(1_000):
    collection.set_tags(first.id, [number % 3 + 1])
    print("set", number, flush=True)
    collection.update(lambda stage, fraction: print(stage, flush=True))
    print("updated", number, flush=True)
"""


@pytest.mark.slow
@pytest.mark.processes
def test_a_process_killed_within_an_update_loses_nothing(run):
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(run)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if line == "updated 0\n":
            break
    while process.stdout.readline() != "decoder\n":
        pass
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    with Collection.open(run) as collection:
        row = collection.photos("name")[1][0]
        assert row.tags == (2,), "set before the update that was killed"
        assert collection.pending == 1
        assert read_about(run / "corrected.safetensors")["update"] == 1
        assert set(np.unique(collection.mask(row.id))) <= {0, 2}
        collection.update()
        assert collection.pending == 0

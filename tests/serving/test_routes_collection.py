import io
import threading
import time
import zipfile

import numpy as np
import pytest
from PIL import Image

from tagseg.errors import TagsegError
from tagseg.serving.collection import Collection

from .served import assert_told, encoded, labels_in, photo_array, predicted_mask, running, segmented, serving_of


@pytest.fixture
def served(run):
    collection = Collection.open(run)
    with running(serving_of(collection.network, collection)) as client:
        yield client


def named(client):
    """The photos by name."""
    answer = client.get("/api/photos", params={"order": "name"}).json()
    return {photo["name"]: photo for photo in answer["photos"]}


def updated(client, seconds=120):
    """The progress of an update at its end."""
    deadline = time.monotonic() + seconds
    while (progress := client.get("/api/update").json())["state"] == "running" and time.monotonic() < deadline:
        time.sleep(0.05)
    return progress


@pytest.mark.slow
def test_tags_are_corrected_trained_on_and_undone(served, tmp_path):
    client = served
    assert client.get("/api/info").json()["collection"] is True
    photos = named(client)
    assert len(photos) == 6
    first = photos["train0"]
    assert first["tags"] == [1]
    assert set(first) == {"id", "name", "width", "height", "tags", "state", "iou", "why", "version"}
    path = f"/api/photos/{first['id']}"
    assert client.get(path).json() == first
    for kind in ("thumb.jpg", "photo.jpg"):
        with Image.open(io.BytesIO(client.get(f"{path}/{kind}").content)) as shown:
            assert (shown.width, shown.height) == (first["width"], first["height"])
    mask = client.get(f"{path}/mask.png", params={"v": first["version"]})
    assert set(np.unique(labels_in(mask.content))) <= {0, 1}
    assert "immutable" in mask.headers["cache-control"]
    assert client.get(f"{path}/mask.png", params={"v": "old"}).headers["cache-control"] == "no-store"

    changed = client.put(f"{path}/tags", json={"tags": [2]}).json()
    assert (changed["tags"], client.get("/api/update").json()["pending"]) == ([2], 1)
    assert changed["version"] != first["version"]
    assert set(np.unique(labels_in(client.get(f"{path}/mask.png").content))) <= {0, 2}
    assert client.get("/api/photos", params={"label": 1}).json()["total"] == 1
    assert client.put("/api/share", json={"share": 0.3}).json() == {"share": 0.3}

    started = client.post("/api/update")
    assert (started.status_code, started.json()["state"]) == (202, "running")
    again = client.post("/api/update")
    assert again.status_code in (202, 409)  # the first may be done by now
    end = updated(client)
    assert (end["state"], end["error"], end["fraction"], end["pending"]) == ("done", None, 1.0, 0)

    (tmp_path / "new.png").write_bytes(content := encoded(photo_array()))
    found = segmented(client, content)
    network = client.serving.collection.network
    expected = predicted_mask(network, tmp_path / "new.png", tmp_path / "out")
    assert client.get(f"/api/results/{found['id']}/mask.png").content == expected

    assert "30 %" in client.post("/api/undo").json()["done"]
    assert "circle → square" in client.post("/api/undo").json()["done"]
    assert client.post("/api/undo").json() == {"done": None}
    assert client.get(path).json()["tags"] == [1]
    assert "circle → square" in client.post("/api/redo").json()["done"]
    entries = client.get("/api/history").json()["entries"]
    assert [entry["undone"] for entry in entries] == [False, True]


def test_accepted_masks_are_exported(served, tmp_path):
    client = served
    assert_told(client.post("/api/photos/zip", json={"formats": ["png"]}), 422, "no mask is accepted yet")
    photos = named(client)
    masks = {}
    for name in ("train1", "train2"):
        path = f"/api/photos/{photos[name]['id']}"
        assert client.put(f"{path}/state", json={"state": "accepted"}).json()["state"] == "accepted"
        masks[name] = client.get(f"{path}/mask.png").content
    answer = client.post("/api/photos/zip", json={"formats": ["png", "coco"]})
    assert answer.status_code == 200, answer.text
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert {name: archive.read(f"masks/{name}.png") for name in masks} == masks
        assert set(archive.namelist()) == {
            "masks/train1.png", "masks/train2.png", "coco.json", "classes.csv", "predictions.csv",
        }  # fmt: skip
    assert_told(client.post("/api/photos/zip", json={"formats": ["npz"]}), 422, "leave it out")
    assert client.get("/api/photos", params={"state": "accepted"}).json()["total"] == 2
    old = photos["train1"]
    stale = client.put(f"/api/photos/{old['id']}/state", json={"state": "rejected", "version": old["version"]})
    assert_told(stale, 409, "has changed in the meantime")


def test_what_is_wrong_is_told(served):
    client = served
    id = named(client)["train0"]["id"]
    for path in ("", "/thumb.jpg", "/photo.jpg", "/mask.png"):
        assert_told(client.get(f"/api/photos/nothing{path}"), 404, "")
    assert_told(client.put("/api/photos/nothing/tags", json={"tags": []}), 404, "")
    for tags in ([0], [4], ["dog"], "dog", [1.5], None):
        assert_told(client.put(f"/api/photos/{id}/tags", json={"tags": tags}), 422, "")
    assert_told(client.put(f"/api/photos/{id}/tags", json={}), 422, "tags")
    assert_told(client.put(f"/api/photos/{id}/state", json={"state": "gone"}), 422, "state")
    for share in (0, 1, "half", -1):
        assert_told(client.put("/api/share", json={"share": share}), 422, "share")
    for query in ({"order": "best"}, {"label": 9}, {"state": "x"}, {"offset": -1}, {"limit": 0}, {"limit": 10_000}):
        assert_told(client.get("/api/photos", params=query), 422, "")
    assert client.get("/api/history").json() == {"entries": []}


def test_one_update_runs_at_a_time_and_a_failed_one_is_told(served):
    client = served
    proceed = threading.Event()

    def slow(note):
        note("features", 0.5)
        proceed.wait(20)
        raise TagsegError("the disk is full: make room")

    client.serving.update._update = slow
    assert client.post("/api/update").status_code == 202
    assert_told(client.post("/api/update"), 409, "an update is running")
    progress = client.get("/api/update").json()
    assert (progress["state"], progress["stage"], progress["fraction"]) == ("running", "features", 0.5)
    assert progress["seconds_left"] >= 0
    assert len(named(client)) == 6  # others are served meanwhile
    proceed.set()
    end = updated(client)
    assert (end["state"], end["error"]) == ("failed", "the disk is full: make room")


def test_a_photo_that_is_gone_is_told(served):
    client = served
    id = named(client)["train0"]["id"]
    collection = client.serving.collection
    collection.image_path = lambda id: collection._run.folder / "gone.jpg"
    assert_told(client.get(f"/api/photos/{id}/photo.jpg"), 422, "does not exist")
    assert_told(client.get(f"/api/photos/{id}/thumb.jpg"), 422, "does not exist")

"""The view Try in a real browser, on a real server with a tiny network."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tagseg.inference.predictor import Predictor
from tagseg.serving.limits import Limits

from .on_page import REFUSED, drawn, files_of, ready, until, upload
from .served import SCALES, encoded, labels_in, photo_array, running, serving_of

if TYPE_CHECKING:
    from playwright.sync_api import FileChooser

pytestmark = pytest.mark.slow


def test_a_photo_is_drawn_with_the_mask_of_predict(trying, tiny, open_page):
    page = ready(open_page(trying))
    assert page.locator("#views").is_hidden(), "there is no collection"
    photo = photo_array()
    with page.expect_response(lambda answer: answer.url.endswith("/mask.png")) as answer:
        upload(page, ("photo.png", photo))
    mask = labels_in(answer.value.body())
    expected = Predictor(tiny, scales=SCALES)(photo)
    np.testing.assert_array_equal(mask, expected.mask)
    overlay = drawn(page)
    np.testing.assert_array_equal(overlay[..., 3] > 0, mask > 0)
    inner = inside(mask)
    assert inner.any(), "else colours are not compared"
    np.testing.assert_array_equal(overlay[inner][:, :3], np.array(expected.colours)[mask[inner]])
    assert page.locator("#photo-name").inner_text() == "photo.png"
    found = [label for label in np.unique(mask) if label]
    assert page.locator("#classes li").count() == len(found)
    page.locator("#classes input").first.uncheck()
    until(lambda: (drawn(page)[..., 3] > 0).sum() < (mask > 0).sum())


def inside(mask):
    """Foreground pixels whose four neighbours have the same label."""
    padded = np.pad(mask, 1, mode="edge")
    around = (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
    return (mask > 0) & np.logical_and.reduce([each == mask for each in around])


def test_all_of_try_by_keyboard(trying, open_page):
    page = ready(open_page(trying))
    choosers: list[FileChooser] = []
    page.on("filechooser", lambda chooser: choosers.append(chooser))  # early: to listen takes the browser a moment
    page.locator("#drop").wait_for()
    page.keyboard.press("o")
    until(lambda: page.title() and choosers)
    photos = [("one.png", photo_array()), ("two.png", photo_array(48, 40, seed=1))]
    choosers[0].set_files(files_of(photos))
    page.locator("#strip img").nth(1).wait_for()
    name = page.locator("#photo-name")
    until(lambda: name.inner_text() == "one.png")
    page.keyboard.press("j")
    until(lambda: name.inner_text() == "two.png")
    page.keyboard.press("k")
    until(lambda: name.inner_text() == "one.png")
    with page.expect_response(lambda answer: answer.url.endswith("/partition.png")) as answer:
        page.keyboard.press("p")
    expected = labels_in(answer.value.body())
    until(lambda: np.array_equal(drawn(page)[..., 3] > 0, expected > 0))
    assert page.locator("#partition-key").is_visible()
    page.keyboard.press("v")
    page.locator("#viewer-try canvas").wait_for(state="hidden")
    page.keyboard.press("m")
    page.locator("#viewer-try canvas").wait_for()
    page.keyboard.press("[")
    assert page.locator("#opacity").input_value() == "45"
    with page.expect_response(lambda answer: "/probability" in answer.url) as answer:
        page.keyboard.press("f")
        page.keyboard.press("ArrowRight")
    assert answer.value.url.endswith("?x=29&y=20"), "one pixel right of the middle of 56 × 40"
    best = answer.value.json()["probabilities"][0]
    until(lambda: page.locator("#spoken").inner_text().startswith(f"29, 20: {best['name']} "))
    page.keyboard.press("c")
    until(lambda: "with CRF" in page.locator("#photo-size").inner_text())
    page.keyboard.press("d")
    page.locator("#formats input").nth(1).focus()
    page.keyboard.press("Space")
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    with zipfile.ZipFile(download.value.path()) as archive:
        assert sum(each.endswith(("one.png", "two.png")) for each in archive.namelist()) >= 2
    page.locator("#download-dialog").wait_for(state="hidden")
    page.keyboard.press("?")
    assert "cross-hair" in page.locator("#shortcuts").inner_text()
    page.keyboard.press("Escape")
    page.locator("#help-dialog").wait_for(state="hidden")
    for _ in photos:
        page.keyboard.press("Delete")
    page.locator("#drop").wait_for()


def test_errors_are_shown_as_the_line_they_are(tiny, open_page):
    with running(serving_of(tiny, limits=Limits(bytes=100_000))) as client:
        page = ready(open_page(str(client.base_url), allow=(REFUSED, "ERR_FAILED")))
        page.locator("#drop").wait_for()
        told = client.post("/api/segment", files={"photo": ("text.jpg", b"not a photo")}).json()["error"]
        page.set_input_files("#files", {"name": "text.jpg", "mimeType": "image/jpeg", "buffer": b"not a photo"})
        page.get_by_text(told, exact=False).wait_for()
        page.locator("#errors button").click()
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        page.set_input_files("#files", {"name": "big.jpg", "mimeType": "image/jpeg", "buffer": bytes(200_000)})
        page.get_by_text("big.jpg has 0.2 MB, expected at most 0.1 MB: make it smaller").wait_for()
        assert not asked
        page.route("**/api/segment", lambda route: route.abort())
        page.set_input_files("#files", {"name": "a.png", "mimeType": "image/png", "buffer": encoded(photo_array())})
        page.get_by_text("the server does not answer: is tagseg serve still running?").wait_for()
        assert page.locator("#drop").is_visible(), "ready for the next one"

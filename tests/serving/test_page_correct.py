"""The view Correct in a real browser, on a real server of a tiny run."""

import io
import json
import zipfile

import numpy as np
import pytest
from PIL import Image

from .conftest import rows_of
from .on_page import HTML, REFUSED, drawn, ready, until
from .served import encoded, labels_in, photo_array

pytestmark = pytest.mark.slow


def test_a_tag_is_corrected_and_the_mask_drawn_anew_by_keyboard(correcting, collection, open_page):
    before = rows_of(collection)["train0"]
    old = collection.mask(before.id)
    page = ready(open_page(correcting))
    page.locator(".tile").nth(5).wait_for()
    for _ in range(12):
        page.keyboard.press("j")
        if page.evaluate("document.activeElement.dataset.id") == before.id:
            break
    page.keyboard.press("Enter")
    until(lambda: page.locator("#opened-name").inner_text().startswith("train0"))
    assert before.tags == (1,)
    page.keyboard.press("1")
    until(lambda: collection.photo(before.id).tags == ())
    page.keyboard.press("2")
    until(lambda: collection.photo(before.id).tags == (2,))
    page.get_by_text("1 change not yet trained").wait_for()
    page.keyboard.press("u")
    until(lambda: collection.photo(before.id).tags == ())
    page.keyboard.press("Control+Shift+Z")
    until(lambda: collection.photo(before.id).tags == (2,))
    page.locator("#stale").get_by_text("Update trains the network with them").wait_for()
    page.keyboard.press("Control+Enter")
    page.get_by_text("masks are redrawn").wait_for(timeout=60_000)
    now = collection.mask(before.id)
    assert not np.array_equal(now, old)
    until(lambda: np.array_equal(drawn(page, "#viewer-correct")[..., 3] > 0, now > 0))
    assert page.locator("#pending").inner_text() == "no changes to train"
    page.keyboard.press("h")
    page.locator("#entries li").nth(1).wait_for()
    page.keyboard.press("Escape")


def test_masks_are_accepted_rejected_and_exported_by_keyboard(correcting, collection, open_page):
    page = ready(open_page(correcting, allow=(REFUSED,)))
    page.locator(".tile").nth(5).wait_for()
    page.keyboard.press("e")
    page.keyboard.press("Enter")
    page.locator("#download-error").get_by_text("no mask is accepted yet").wait_for()
    page.keyboard.press("Escape")
    first, second = (row.id for row in collection.photos(limit=2)[1])
    page.keyboard.press("j")
    page.keyboard.press("a")
    until(lambda: collection.photo(first).state == "accepted")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("x")
    until(lambda: collection.photo(second).state == "rejected")
    page.locator(".tile[data-state=rejected]").wait_for()
    page.keyboard.press("Enter")
    page.locator("#photo-view").wait_for()
    until(lambda: page.locator("#opened-state").inner_text() == "rejected")
    page.keyboard.press("a")
    until(lambda: collection.photo(second).state == "accepted")
    third = collection.photos(limit=3)[1][2]
    until(lambda: page.locator("#opened-name").inner_text() == third.name)
    page.keyboard.press("Escape")
    page.locator("#wall").wait_for()
    until(lambda: page.evaluate("document.activeElement.dataset.id") == third.id)
    page.keyboard.press("e")
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    with zipfile.ZipFile(download.value.path()) as archive:
        masks = [each for each in archive.namelist() if each.endswith(".png")]
        assert len(masks) >= 2
        assert labels_in(archive.read(masks[0])).shape == (40, 48)
    page.locator("#by-state").select_option("accepted")
    until(lambda: page.locator(".tile").count() == 2)


def test_the_foreground_share_is_set_and_estimated_again(correcting, collection, open_page):
    page = ready(open_page(correcting))
    page.locator(".tile").nth(5).wait_for()
    assert page.locator("#share").is_disabled()
    page.locator("#estimated").focus()
    page.keyboard.press("Space")
    until(lambda: collection.share is not None)
    page.locator("#share:enabled").focus()
    page.keyboard.press("ArrowRight")
    shown = float(page.locator("#share").input_value()) / 100
    until(lambda: collection.share == pytest.approx(shown))
    page.locator("#estimated").focus()
    page.keyboard.press("Space")
    until(lambda: collection.share is None)


def test_a_late_answer_does_not_move_the_share_back(correcting, collection, open_page):
    page = ready(open_page(correcting))
    page.locator(".tile").nth(5).wait_for()
    held: list = []

    def late(route):
        if route.request.method == "GET" and not held:
            held.append(route)
        else:
            route.continue_()

    def came(condition):
        until(lambda: page.evaluate("true") and condition())  # while it evaluates, `late` is called

    page.route("**/api/share", late)
    page.locator("#estimated").focus()
    page.keyboard.press("Space")
    page.locator("#share:enabled").focus()
    came(lambda: held)
    first = collection.share
    page.keyboard.press("ArrowRight")
    held[0].fulfill(json={"share": first})
    came(lambda: collection.share == pytest.approx(first + 0.01))
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    came(lambda: collection.share == pytest.approx(first + 0.03))
    assert float(page.locator("#share").input_value()) / 100 == pytest.approx(first + 0.03)


def test_a_wall_of_thousands_is_a_page_at_a_time(correcting, open_page):
    def rows(route):
        query = dict(pair.split("=") for pair in route.request.url.partition("?")[2].split("&"))
        first = int(query["offset"])
        photos = [
            {"id": str(at), "name": f"{at} {HTML}", "width": 40, "height": 30, "tags": [1], "state": "open", "iou": 0.5,
             "why": HTML, "version": 1}
            for at in range(first, min(5_000, first + int(query["limit"])))
        ]  # fmt: skip
        route.fulfill(body=json.dumps({"total": 5_000, "photos": photos}), content_type="application/json")

    mask = Image.new("P", (40, 30), 1)
    mask.putpalette([0, 0, 0, 128, 0, 0])
    file = io.BytesIO()
    mask.save(file, "PNG")  # one bit a pixel
    page = open_page("about:blank")
    page.route("**/api/photos?*", rows)
    page.route("**/thumb.jpg", lambda route: route.fulfill(body=encoded(photo_array(30, 40), "JPEG")))
    page.route("**/mask.png*", lambda route: route.fulfill(body=file.getvalue()))
    page.goto(correcting)
    page.locator(".tile").nth(47).wait_for()
    assert page.locator(".tile").count() == 48
    assert page.locator("#count").inner_text() == "1–48 of 5000"
    assert HTML in page.locator(".tile").first.inner_text()
    assert page.locator("#foreign").count() == 0
    overlay = page.locator(".tile canvas").first
    until(lambda: overlay.evaluate("canvas => canvas.width") == 40)
    page.locator(".tile").nth(47).focus()
    page.keyboard.press("j")
    until(lambda: page.locator("#count").inner_text() == "49–96 of 5000")
    assert page.evaluate("document.activeElement.dataset.id") == "48"
    page.keyboard.press("k")
    until(lambda: page.evaluate("document.activeElement.dataset.id") == "47")

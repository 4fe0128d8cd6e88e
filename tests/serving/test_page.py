"""The page in a real browser, on a real server with a tiny network."""

import io
import json
import struct
import time
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

from tagseg.inference.predictor import Predictor
from tagseg.serving.limits import Limits

from ..browser import assert_accessible
from ..conftest import tiny_network
from .conftest import rows_of
from .served import SCALES, encoded, labels_in, photo_array, running, serving_of

pytestmark = pytest.mark.slow
HTML = "<b id=foreign>wow</b> & <img src=x onerror=alert(1)>"
PHONE = {"width": 360, "height": 740}
REFUSED = "Failed to load resource: the server responded with a status of 4"
"""What the console says whenever a request is refused."""


@pytest.fixture(scope="module")
def trying(tiny):
    """The address of a server without a collection."""
    with running(serving_of(tiny)) as client:
        yield str(client.base_url)


@pytest.fixture
def correcting(run, collection):
    """The address of a server of the run."""
    with running(serving_of(run, collection)) as client:
        yield str(client.base_url)


def upload(page, *photos):
    """Choose photos of (name, array) and wait until all are segmented."""
    page.set_input_files("#files", [{"name": n, "mimeType": "image/png", "buffer": encoded(a)} for n, a in photos])
    page.locator("#strip img").nth(len(photos) - 1).wait_for()
    page.locator("#viewer-try canvas:not([hidden])").wait_for()


def drawn(page, viewer="#viewer-try"):
    """RGBA of the overlay's canvas, (H, W, 4)."""
    script = """canvas => {
        const {width, height} = canvas;
        return [width, height, [...canvas.getContext("2d").getImageData(0, 0, width, height).data]];
    }"""
    width, height, values = page.locator(f"{viewer} canvas").evaluate(script)
    return np.array(values, np.uint8).reshape(height, width, 4)


def until(condition, seconds=30):
    """Wait until it is true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.05)


def test_a_photo_is_drawn_with_the_mask_of_predict(trying, tiny, open_page):
    page = open_page(trying)
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
    page = open_page(trying)
    page.locator("#drop").wait_for()
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("o")
    photos = [("one.png", photo_array()), ("two.png", photo_array(48, 40, seed=1))]
    chooser.value.set_files([{"name": n, "mimeType": "image/png", "buffer": encoded(a)} for n, a in photos])
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
        page = open_page(str(client.base_url), allow=(REFUSED, "ERR_FAILED"))
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


def test_names_with_html_in_them_stay_text(open_page):
    with running(serving_of(tiny_network((HTML, "square")))) as client:
        page = open_page(str(client.base_url))
        page.locator("#knows li").nth(1).wait_for()
        assert HTML in page.locator("#knows").inner_text()
        name = f"{HTML.replace('/', '')}.png"
        upload(page, (name, photo_array()))
        assert page.locator("#strip button").get_attribute("title") == name
        page.keyboard.press("f")
        page.keyboard.press("ArrowLeft")
        page.locator("#probabilities li").nth(2).wait_for()
        assert HTML in page.locator("#probabilities").inner_text()
        assert page.locator("#foreign").count() == 0


def test_a_tag_is_corrected_and_the_mask_drawn_anew_by_keyboard(correcting, collection, open_page):
    before = rows_of(collection)["train0"]
    old = collection.mask(before.id)
    page = open_page(correcting)
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
    page = open_page(correcting, allow=(REFUSED,))
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
    page = open_page(correcting)
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


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_both_views_are_accessible(correcting, open_page, axe, scheme):
    page = open_page(f"{correcting}/#try", color_scheme=scheme)
    page.locator("#drop").wait_for()
    assert_accessible(page, axe)
    upload(page, ("photo.png", photo_array()))
    page.keyboard.press("f")
    page.keyboard.press("ArrowLeft")
    page.locator("#probabilities li").first.wait_for()
    assert_accessible(page, axe)
    page.keyboard.press("g")
    page.locator(".tile").nth(5).wait_for()
    page.keyboard.press("j")
    page.keyboard.press("x")
    page.locator(".tile[data-state=rejected]").wait_for()
    assert_accessible(page, axe)
    page.keyboard.press("Enter")
    page.locator("#photo-view").wait_for()
    page.keyboard.press("?")
    assert_accessible(page, axe)
    page.keyboard.press("Escape")
    assert_accessible(page, axe)


def test_a_phone_needs_no_scrolling_sideways(correcting, open_page):
    page = open_page(f"{correcting}/#try", viewport=PHONE, has_touch=True)

    def fits():
        return page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]

    page.locator("#drop").wait_for()
    assert fits()
    upload(page, (f"{'long' * 40}.png", photo_array(30, 300)))
    assert fits()
    page.locator("#viewer-try .frame").tap()
    page.locator("#probabilities li").first.wait_for()
    page.locator("#to-correct").tap()
    page.locator(".tile").nth(5).wait_for()
    assert fits()
    page.locator(".tile").first.tap()
    page.locator("#photo-view").wait_for()
    assert fits()


def filtered_png(labels, kind):
    """A palette PNG all of whose rows have this filter: 0 none, 1 left, 2 up, 3 mean of both, 4 Paeth."""
    height, width = labels.shape
    padded = np.zeros((height + 1, width + 1), int)
    padded[1:, 1:] = labels
    left, up, corner = padded[1:, :-1], padded[:-1, 1:], padded[:-1, :-1]
    near = np.abs(
        np.stack([up - corner, left - corner, left + up - 2 * corner])
    )  # to left, up, corner; ties: the first
    guess = (0 * left, left, up, (left + up) // 2, np.choose(near.argmin(axis=0), (left, up, corner)))[kind]
    rows = np.hstack([np.full((height, 1), kind), (labels - guess) % 256]).astype(np.uint8)
    parts = {
        b"IHDR": struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0), b"PLTE": bytes(768),
        b"IDAT": zlib.compress(rows.tobytes()), b"IEND": b"",
    }  # fmt: skip
    chunks = (
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in parts.items()
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def test_labels_are_read_from_pngs_of_all_filters_and_depths(trying, open_page):
    labels = np.random.default_rng(0).integers(0, 256, (7, 5))
    files = [(labels, filtered_png(labels, kind)) for kind in range(5)]
    for content, file in files:
        np.testing.assert_array_equal(labels_in(file), content)
    for bits in (1, 2, 4, 8):
        few = (labels % 2**bits).astype(np.uint8)
        picture = Image.fromarray(few, "L").convert("P")
        picture.putdata(few.ravel().tolist())
        files.append((few, encoded(picture, bits=bits)))
    page = open_page(trying)
    script = """async bytes => {
        const {decodeLabels} = await import("/page/png_labels.js");
        const {width, height, labels} = await decodeLabels(new Uint8Array(bytes).buffer);
        return [width, height, [...labels]];
    }"""
    for expected, file in files:
        width, height, values = page.evaluate(script, list(file))
        np.testing.assert_array_equal(np.reshape(values, (height, width)), expected)


def test_light_and_dark_follow_the_system_and_the_switch(trying, open_page):
    def brightness():
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(int(part) for part in colour[4:-1].split(","))

    page = open_page(trying, color_scheme="dark")
    page.locator("#drop").wait_for()
    assert brightness() < 150
    page.locator("#theme").click()
    assert brightness() > 600
    page.reload()
    page.locator("#drop").wait_for()
    assert brightness() > 600, "the choice is kept"
    page.locator("#theme").click()
    assert brightness() < 150

"""The page in a real browser, on a real server with a tiny network: what concerns both views."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from ..browser import assert_accessible
from ..conftest import tiny_network
from .on_page import HTML, ready, upload
from .served import encoded, labels_in, photo_array, running, serving_of

pytestmark = pytest.mark.slow
PHONE = {"width": 360, "height": 740}


def test_names_with_html_in_them_stay_text(open_page):
    with running(serving_of(tiny_network((HTML, "square")))) as client:
        page = ready(open_page(str(client.base_url)))
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


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_both_views_are_accessible(correcting, open_page, axe, scheme):
    page = ready(open_page(f"{correcting}/#try", color_scheme=scheme))
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
    page.locator("#update:enabled").wait_for()
    assert_accessible(page, axe)
    page.keyboard.press("Enter")
    page.locator("#photo-view").wait_for()
    page.keyboard.press("?")
    assert_accessible(page, axe)
    page.keyboard.press("Escape")
    assert_accessible(page, axe)


def test_a_phone_needs_no_scrolling_sideways(correcting, open_page):
    page = ready(open_page(f"{correcting}/#try", viewport=PHONE, has_touch=True))

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
    files: list[tuple[np.ndarray, bytes]] = [(labels, filtered_png(labels, kind)) for kind in range(5)]
    for content, file in files:
        np.testing.assert_array_equal(labels_in(file), content)
    for bits in (1, 2, 4, 8):
        few = (labels % 2**bits).astype(np.uint8)
        picture = Image.fromarray(few, "L").convert("P")
        picture.putdata(few.ravel().tolist())
        files.append((few, encoded(picture, bits=bits)))
    page = ready(open_page(trying))
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

    page = ready(open_page(trying, color_scheme="dark"))
    page.locator("#drop").wait_for()
    assert brightness() < 150
    page.locator("#theme").click()
    assert brightness() > 600
    page.reload()
    page.locator("#drop").wait_for()
    assert brightness() > 600, "the choice is kept"
    page.locator("#theme").click()
    assert brightness() < 150

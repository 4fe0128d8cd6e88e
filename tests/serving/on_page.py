"""What tests do on the page."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .served import encoded

if TYPE_CHECKING:
    from playwright.sync_api import FilePayload

HTML = "<b id=foreign>wow</b> & <img src=x onerror=alert(1)>"
"""A name that a page could take for markup."""
REFUSED = "Failed to load resource: the server responded with a status of 4"
"""What the console says whenever a request is refused."""


def files_of(photos: Sequence[tuple[str, np.ndarray]]) -> list[FilePayload]:
    """PNGs as the browser would read them from a disk."""
    return [{"name": name, "mimeType": "image/png", "buffer": encoded(array)} for name, array in photos]


def ready(page):
    """The page, once it listens."""
    page.locator("#content:not([aria-busy])").wait_for(state="attached")
    return page


def upload(page, *photos):
    """Choose photos of (name, array) and wait until all are segmented."""
    page.set_input_files("#files", files_of(photos))
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

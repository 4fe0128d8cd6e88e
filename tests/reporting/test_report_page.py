"""A report in headless Chromium, which complains of console errors and of requests that leave the machine."""

import pytest

from ..browser import assert_accessible

pytestmark = pytest.mark.slow


def colour(page, what):
    return page.evaluate(f"getComputedStyle(document.body).{what}")


def brightness(rgb):
    return sum(int(value) for value in rgb.removeprefix("rgb(").removesuffix(")").split(","))


def shown(page, layer):
    return page.eval_on_selector_all(
        f"#gallery use.{layer}", "uses => uses.map(use => getComputedStyle(use).display != 'none')"
    )


def test_layers_are_switched_and_faded_by_keyboard(reported, open_page):
    page = open_page(reported.path.as_uri())
    assert all(shown(page, "mask"))
    assert not any(shown(page, "truth"))
    page.focus("#layer-mask")
    page.keyboard.press("ArrowRight")
    assert page.is_checked("#layer-truth")
    assert all(shown(page, "truth"))
    assert not any(shown(page, "mask"))
    page.keyboard.press("ArrowRight")
    assert all(shown(page, "regions"))
    assert page.is_visible(".of-regions")
    page.check("#layer-photo")
    assert not any(shown(page, layer)[0] for layer in ("mask", "truth", "regions"))
    page.check("#layer-mask")
    page.focus("#opacity")
    page.keyboard.press("Home")
    assert page.eval_on_selector("use.mask", "use => getComputedStyle(use).opacity") == "0"
    page.keyboard.press("End")
    assert page.eval_on_selector("use.mask", "use => getComputedStyle(use).opacity") == "1"


def test_photos_and_their_layers_are_drawn(reported, open_page):
    page = open_page(reported.path.as_uri())
    sizes = page.eval_on_selector_all(
        ".stack svg", "all => all.map(one => [one.querySelectorAll('use').length, one.getBBox().width])"
    )
    maps = reported.runs[0].maps
    assert len(sizes) == sum(len(names) for names in reported.runs[0].groups.values())
    assert {count for count, _ in sizes} == {4}
    assert {width for _, width in sizes} == {one.labels.shape[1] for one in maps.values()}
    loaded = """all => Promise.all(all.map(one => {
        const picture = new Image();
        picture.src = one.getAttribute("href");
        return picture.decode();
    }))"""
    page.eval_on_selector_all("image", loaded)  # rejects where one is no picture


def test_light_and_dark_follow_the_system_and_the_switch(reported, open_page):
    light = open_page(reported.path.as_uri(), color_scheme="light")
    dark = open_page(reported.path.as_uri(), color_scheme="dark")
    assert brightness(colour(light, "backgroundColor")) > 600 > 200 > brightness(colour(dark, "backgroundColor"))
    for page in (light, dark):
        before = colour(page, "backgroundColor"), colour(page, "color")
        page.click("#theme")
        after = colour(page, "backgroundColor"), colour(page, "color")
        assert brightness(after[0]) > brightness(before[0]) if page is dark else brightness(after[0]) < 200
        page.click("#theme")
        assert (colour(page, "backgroundColor"), colour(page, "color")) == before


def test_commands_are_copied(reported, open_page):
    page = open_page(reported.path.as_uri(), permissions=["clipboard-read", "clipboard-write"])
    page.click("#repeat button.copy >> nth=0")
    page.wait_for_function("document.querySelector('#repeat button.copy').textContent != 'Copy'")
    assert page.inner_text("#repeat pre >> nth=0").startswith("tagseg train --config ")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_keeps_anyone_from_reading_it(reported, open_page, axe, scheme):
    page = open_page(reported.path.as_uri(), color_scheme=scheme)
    page.eval_on_selector_all("details", "all => all.forEach(one => { one.open = true; })")
    assert_accessible(page, axe)


def test_it_fits_a_phone_and_paper(reported, open_page, tmp_path):
    page = open_page(reported.path.as_uri(), viewport={"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    pdf = page.pdf(format="A4")
    assert pdf.startswith(b"%PDF")
    assert pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page ") + pdf.count(b"/Type/Page") >= 2
    page.emulate_media(media="print", color_scheme="dark")
    assert brightness(colour(page, "backgroundColor")) == 3 * 255
    assert not page.is_visible("#theme")
    assert not page.is_visible("nav")

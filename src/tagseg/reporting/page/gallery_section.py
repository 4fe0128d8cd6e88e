"""The gallery: photos under layers (mask, truth, certain and uncertain), of one run or of several side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tagseg.data.images import read_image
from tagseg.reporting.measured_run import Maps, MeasuredRun, PhotoScore
from tagseg.reporting.page.encoded_pictures import labels_uri, photo_uri
from tagseg.reporting.page.html import Html, element, percent, section, swatch
from tagseg.reporting.pictures import REGIONS

LAYERS = {"photo": "Photo", "mask": "Mask", "truth": "Truth", "regions": "Certain and uncertain"}


class GallerySection:
    """Pictures are encoded once, however often the section is made.

    Args:
        runs: the first one chose the photos.

    Raises:
        TagsegError: a photo that cannot be read any more.
    """

    def __init__(self, runs: Sequence[MeasuredRun]) -> None:
        self.runs, self.first = runs, runs[0]
        self.numbers = {name: number for number, name in enumerate(sorted(self.first.maps))}
        self.pictures = {name: self._pictures(name) for name in self.numbers}

    def __call__(self, most: int) -> Html | None:
        """The section with at most this many photos in each group; ``None`` without any."""
        groups = {heading: names[:most] for heading, names in self.first.groups.items() if names[:most]}
        names = sorted({name for found in groups.values() for name in found})
        if not names:
            return None
        pictures = element("svg", element("defs", [self.pictures[name] for name in names]), class_="store",
                           width=0, height=0, aria_hidden="true")  # fmt: skip
        shown = [
            [element("h3", heading), element("div", [self._card(heading, name) for name in found], class_="cards")]
            for heading, found in groups.items()
        ]
        note = (
            f"Chosen on {self.first.run.name}. IoU: of the photo, over the labels that mask or ground truth have. "
            "Estimate: what tagseg review expects of it."
        )
        return section("gallery", "Gallery", element("p", note), self._controls(), self._legend(names), pictures, shown)

    def _controls(self) -> Html:
        """The switch of the layers and their opacity."""
        every = [maps for one in self.runs for maps in one.maps.values()]
        there = {
            "photo": True, "mask": True, "truth": any(maps.truth is not None for maps in every),
            "regions": any(maps.regions is not None for maps in every),
        }  # fmt: skip
        radios = [
            element("label", element("input", type="radio", name="layer", id=f"layer-{key}", value=key,
                                     checked=key == "mask"), text)
            for key, text in LAYERS.items() if there[key]
        ]  # fmt: skip
        slider = element("input", type="range", id="opacity", min=0, max=100, value=60, step=5)
        return element(
            "div",
            element("fieldset", element("legend", "Layer"), radios),
            element("label", "Opacity ", slider, for_="opacity"),
            class_="controls",
        )

    def _legend(self, names: Sequence[str]) -> Html:
        """Colours of the classes that are shown, and of the regions."""
        maps = [one.maps[name] for one in self.runs for name in names if name in one.maps]
        arrays = [array for one in maps for array in (one.labels, one.truth) if array is not None]
        labels = sorted({int(label) for array in arrays for label in np.unique(array)} - {0, 255})
        network = self.first.run.network
        entries = [(network.classes[label - 1], network.colours[label]) for label in labels]
        classes = element("ul", [element("li", swatch(rgb), " ", name) for name, rgb in entries], class_="legend")
        regions = element(
            "ul", [element("li", swatch(rgb), " ", name) for name, rgb in REGIONS.values()], class_="legend of-regions"
        )
        return element("div", classes, regions)

    def _pictures(self, name: str) -> list[Html]:
        """The photo, and the layers of each run, to be used by their ids."""
        photo = self.first.by_name[name]
        size = self.first.maps[name].labels.shape
        number = self.numbers[name]
        found = [_image(f"p{number}", photo_uri(read_image(photo.image), (size[0], size[1])), size)]
        for place, one in enumerate(self.runs):
            maps = self._maps(one, name)
            if maps is not None:
                found += [_image(f"{key}{number}-{place}", uri, size) for key, uri in _layers(one, maps).items()]
        return found

    def _maps(self, one: MeasuredRun, name: str) -> Maps | None:
        """The label maps of a run of the same photo, not of another one of that name."""
        same = name in one.maps and one.by_name[name].image.resolve() == self.first.by_name[name].image.resolve()
        return one.maps[name] if same else None

    def _card(self, heading: str, name: str) -> Html:
        photo = self.first.by_name[name]
        tags = None
        if photo.tags is not None:
            tags = ", ".join(self.first.run.network.classes[tag] for tag in photo.tags) or "no tag"
        stacks = [self._stack(place, one, name) for place, one in enumerate(self.runs)]
        caption = element("figcaption", element("strong", name), element("span", tags) if tags else None)
        return element("figure", element("div", stacks, class_="stacks"), caption, class_="photo")

    def _stack(self, place: int, one: MeasuredRun, name: str) -> Html:
        """A photo with the layers of one run, and its scores below."""
        number, several = self.numbers[name], len(self.runs) > 1
        maps = self._maps(one, name)
        height, width = self.first.maps[name].labels.shape
        title = f"{name}, {one.run.name}"
        uses = [element("use", href=f"#p{number}")]
        if maps is not None:
            uses += [element("use", href=f"#{key}{number}-{place}", class_=f"layer {key}") for key in _keys(maps)]
        picture = element("svg", element("title", title), uses, viewBox=f"0 0 {width} {height}", role="img")
        says = _says(one.by_name) if maps is None else _score(one.by_name[name])
        return element("div", picture, element("p", f"{one.run.name}: {says}" if several else says), class_="stack")


def _says(photos: Mapping[str, PhotoScore]) -> str:
    return f"not among its {len(photos)} photos"


def _score(photo: PhotoScore) -> str:
    """IoU and estimate, as far as they are known."""
    estimate = min(1.0, max(0.0, photo.estimate)) if photo.estimate == photo.estimate else None
    known = [("IoU", photo.iou if photo.iou == photo.iou else None), ("estimate", estimate)]
    return ", ".join(f"{what} {percent(value, 0)} %" for what, value in known if value is not None)


def _keys(maps: Maps) -> list[str]:
    known = {"mask": maps.labels, "truth": maps.truth, "regions": maps.regions}
    return [key for key, value in known.items() if value is not None]


def _layers(one: MeasuredRun, maps: Maps) -> dict[str, str]:
    """The layers of a photo as data URIs."""
    colours = one.run.network.colours
    found = {"mask": labels_uri(maps.labels, colours)}
    if maps.truth is not None:
        found["truth"] = labels_uri(maps.truth, colours)
    if maps.regions is not None:
        found["regions"] = labels_uri(maps.regions, [REGIONS[region][1] for region in sorted(REGIONS)], clear=None)
    return found


def _image(name: str, uri: str, size: tuple[int, ...]) -> Html:
    return element("image", id=name, href=uri, width=size[1], height=size[0], preserveAspectRatio="none")

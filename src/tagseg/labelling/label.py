"""Masks of tagged photos from their tags: ``tagseg label`` and ``tagseg.label``."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from tagseg.arguments import check_kinds, check_path, refuse
from tagseg.config import Config
from tagseg.data.config import DataConfig
from tagseg.data.dataset import TaggedImages
from tagseg.data.reading import reading_of
from tagseg.errors import TagsegError, some_failed
from tagseg.formats.settings import DEFAULT_SETTINGS, FormatSettings
from tagseg.inference.multi_scale import MultiScale
from tagseg.inference.segment import MAX_SIDE, SCALES, Sizing
from tagseg.labelling.dataset import Dataset
from tagseg.labelling.description import describe
from tagseg.labelling.image_files import Transfer
from tagseg.labelling.layout import Job, Layout, jobs_of
from tagseg.labelling.making import Making
from tagseg.labelling.on_ray import RayWorkers
from tagseg.labelling.other_formats import other_formats, write_formats
from tagseg.labelling.photos import tagged_photos
from tagseg.labelling.source import check_read, label_source
from tagseg.model.network import Network
from tagseg.pairwise.config import PUBLISHED_CRF, CrfConfig
from tagseg.presets import PRESETS
from tagseg.scale.engine import check_engine
from tagseg.stopping import told


@dataclass(frozen=True)
class LabelledPhotos:
    """The dataset that ``label`` made.

    Attributes:
        folder: of the dataset.
        images: the photos of each split in it, by the split's name.
        masks: their masks, in the same order.
        classes: names of the K foreground classes; label k+1 is ``classes[k]``.
    """

    folder: Path
    images: dict[str, list[Path]]
    masks: dict[str, list[Path]]
    classes: tuple[str, ...]

    def __len__(self) -> int:
        """Number of photos."""
        return sum(map(len, self.masks.values()))


def label(
    photos: str | Path | DataConfig | Config,
    output: str | Path = "labelled",
    model: str | Path | Network | None = None,
    *,
    crf: bool = False,
    crf_settings: CrfConfig = PUBLISHED_CRF,
    layout: Layout = "folders",
    images: Transfer = "link",
    format: str | tuple[str, ...] = "png",
    format_settings: FormatSettings = DEFAULT_SETTINGS,
    scales: tuple[float, ...] | None = None,
    max_side: int = MAX_SIDE,
    batch: int = 0,
    engine: Literal["local", "ray"] = "local",
    workers: int = -1,
    writers: int = 2,
    device: str = "auto",
    quiet: bool = False,
) -> LabelledPhotos:
    """Make masks of tagged photos from their tags, as a dataset for any trainer that wants masks (docs/label.md).

    Without a model, labels are made from features of a pretrained encoder, without training; with one, the network may
    only answer with the classes that a photo is tagged with. Photos without any tag are background; those whose tags
    are not known are left out. In a folder that an earlier call wrote, masks that were made from the same are kept.

    Args:
        photos: folder or settings of the data, or a configuration of ``frozen`` (its encoder, features, labels count).
        output: folder of the dataset; one that holds anything else is refused.
        model: run folder, ``.safetensors`` file or a network; default: none is needed.
        crf: refine the masks with a dense CRF, which aligns them with edges of the photo.
        crf_settings: the CRF's kernels.
        layout: ``folders``: ``images/train``, ``masks/train``, …, with ``data.yaml`` for Ultralytics; ``voc``:
            ``VOCdevkit/VOC2012``, which torchvision and others read.
        images: how photos come into the dataset: ``link`` (hard links where the disk allows it, else copies) or
            ``copy``. Photos that loaders might read in another way, e.g. with an EXIF rotation, are written anew.
        format: other formats beside the dataset itself, as of ``predict``, e.g. ``coco,labelstudio``.
        format_settings: what the formats leave open (docs/formats.md).
        scales: with a model: factors of the image size; default 1, 1.25, 1.5.
        max_side: longest side in pixels that network and CRF see; masks keep the native size. 0: no limit.
        batch: with a model: as in ``predict``.
        engine: ``local``: this process; with a model also ``ray``: processes of Ray (docs/scale.md).
        workers: loader workers while features are computed, or processes of the engine ``ray``; -1 chooses.
        writers: number of threads that write files in the background; 0: none.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` …
        quiet: no progress bars.

    Raises:
        TagsegError: bad settings, data or output folder, classes that the model lacks; at the end, unreadable photos.
    """
    check_kinds(locals(), crf="switch", scales="numbers?", max_side="whole", batch="whole", workers="whole",
                writers="whole", quiet="switch")  # fmt: skip
    _check_choices(output, crf_settings, layout, images, format_settings)
    ray, device = _workers_of(engine, model, workers, device)
    config, folder, formats = _config_of(photos), Path(output).expanduser(), other_formats(format)
    check_read(config, model is not None, {"scales": scales, "batch": batch or None})
    seen = MultiScale(tuple(scales or SCALES), True, Sizing(max_side=max_side))
    source = label_source(config, model, seen, batch, folder.absolute().parent / "features", workers, device)
    making = Making(source, crf_settings if crf else None, max_side, images, writers, quiet, ray)
    return _labelled(config.data, folder, making, layout, formats, format_settings)


def _labelled(
    data: DataConfig,
    folder: Path,
    making: Making,
    layout: Layout,
    formats: tuple[str, ...],
    format_settings: FormatSettings,
) -> LabelledPhotos:
    """Read the data, make photos and masks, and describe them."""
    splits = tagged_photos(data, making.source.classes)
    reading = reading_of(data, splits)
    reading.show(making.quiet)
    dataset = Dataset(folder, [sample.image for split in splits.values() for sample in split.samples])
    jobs = jobs_of(splits, layout, making.quiet)
    every = [job for several in jobs.values() for job in several]
    dataset.begin([name for job in every for name in (job.image, job.mask)])
    reading.save(folder)
    try:
        failed = making.run(folder, _as_one(splits, every), every)
    except KeyboardInterrupt as stop:
        raise told(stop, f"stopped: the masks in {folder} are kept, the same command makes the others") from stop
    done = {split: [job for job in several if job.mask not in failed] for split, several in jobs.items()}
    done = {split: several for split, several in done.items() if several}
    images = next(iter(splits.values()))
    if done:
        how = making.source.how + (", with a dense CRF" if making.crf else "")
        colours = making.source.colours or images.colours
        names = describe(folder, done, images.classes, colours, layout, how)
        names += write_formats(formats, folder, done, images.classes, colours, format_settings)
        dataset.finish([*names, *(name for job in every if job.mask not in failed for name in (job.image, job.mask))])
    if failed:
        images_of = {job.mask: str(job.sample.image) for job in every}
        raise some_failed({images_of[mask]: message for mask, message in failed.items()}, len(every), "photos")
    return LabelledPhotos(
        folder,
        {split: [folder / job.image for job in several] for split, several in done.items()},
        {split: [folder / job.mask for job in several] for split, several in done.items()},
        images.classes,
    )


def _as_one(splits: dict[str, TaggedImages], jobs: list[Job]) -> TaggedImages:
    """All photos, each named after its mask, which no other has."""
    samples = tuple(dataclasses.replace(job.sample, name=job.mask) for job in jobs)
    return dataclasses.replace(next(iter(splits.values())), samples=samples)


def _config_of(photos: object) -> Config:
    if isinstance(photos, Config):
        return photos
    if isinstance(photos, DataConfig):
        return dataclasses.replace(PRESETS["frozen"](), data=photos)
    expected = "a folder of photos (str or Path), a DataConfig (tagseg.data_of makes one of tags in memory) or a Config"
    check_path("photos", photos, expected)
    return dataclasses.replace(PRESETS["frozen"](), data=DataConfig(root=str(photos)))


def _workers_of(engine: object, model: object, workers: int, device: str) -> tuple[RayWorkers | None, str]:
    """Who makes the masks, ``None``: this process; and the device of this process.

    Raises:
        TagsegError: no such engine, Ray is not installed, or labels without a network, which are fitted to all photos.
    """
    if engine == "local":
        return None, device
    if engine != "ray":
        raise refuse("engine", engine, "'local' or 'ray'")
    if model is None:
        raise TagsegError(
            "engine is 'ray', but labels without a run are fitted to all photos together, in this process: give a run, "
            "as in tagseg label PHOTOS RUN --engine ray, or leave it out"
        )
    check_engine(max(0, workers), device)
    return RayWorkers(max(0, workers), device), "cpu"


def _check_choices(
    output: object, crf_settings: object, layout: object, images: object, format_settings: object
) -> None:
    check_path("output", output)
    if not isinstance(format_settings, FormatSettings):
        raise refuse("format_settings", format_settings, "FormatSettings of tagseg.formats.settings")
    if not isinstance(crf_settings, CrfConfig):
        raise refuse("crf_settings", crf_settings, "a CrfConfig of tagseg.pairwise.config")
    for name, value, known in (("layout", layout, get_args(Layout)), ("images", images, get_args(Transfer))):
        if value not in known:
            raise refuse(name, value, " or ".join(map(repr, known)))

"""What a report says of photos without masks: an estimate, and the gallery by it. Nothing is scored."""

from __future__ import annotations

from tempfile import TemporaryDirectory

from tagseg.data.config import DataConfig
from tagseg.data.dataset import TaggedImages
from tagseg.errors import TagsegError
from tagseg.inference.predictor import Predictor
from tagseg.progress import progress
from tagseg.reporting.certainty import regions_of
from tagseg.reporting.gallery import Gallery, small
from tagseg.reporting.measured_run import MeasuredRun, PhotoScore
from tagseg.reporting.measuring import Wanted
from tagseg.reporting.opened_run import OpenedRun
from tagseg.reviewing.review import review


def measure_estimate(
    run: OpenedRun, split: str, every: TaggedImages, data: DataConfig, wanted: Wanted, shown: frozenset[str] | None
) -> MeasuredRun:
    """Estimate IoUs as ``tagseg review --labels false`` does; arguments as of ``measure_scores``.

    Raises:
        TagsegError: a network without segmentation, or an unreadable photo.
    """
    if not run.segments:
        raise TagsegError(
            f"{every.source} has no masks and {run.folder} has a CAM alone, of which no IoU can be estimated: name a "
            "split with masks (--split)"
        )
    images = every.first(wanted.limit)
    settings = {key: value for key, value in wanted.network.items() if value is not None}
    with TemporaryDirectory(prefix="tagseg-report-") as folder:
        result = review(
            run.network, [sample.image for sample in images.samples], folder, data=data, split=split, sheet=0,
            labels=False, quiet=wanted.quiet, **settings,
        )  # fmt: skip
    expected = {photo.image: 1 - photo.score for photo in result.photos}
    photos = tuple(
        PhotoScore(sample.name, sample.image, sample.tags if sample.tags_known else None, float("nan"),
                   expected[sample.image])
        for sample in images.samples
    )  # fmt: skip
    gallery = Gallery(wanted.gallery, [photo.name for photo in photos], shown)
    _add_maps(gallery, photos, Predictor(run.network, **{**wanted.network, "scores": True}), wanted.quiet)
    return MeasuredRun(run, split, photos, gallery.maps, gallery.groups(), wanted.flags, review=result)


def _add_maps(gallery: Gallery, photos: tuple[PhotoScore, ...], predictor: Predictor, quiet: bool) -> None:
    """Label the photos that the gallery shows."""
    for photo in photos:
        gallery.offer(photo)
    labelled = [photo for photo in photos if photo.name in gallery.kept()]
    with progress(len(labelled), "label the gallery", quiet=quiet) as bar:
        for photo, found in zip(labelled, predictor([photo.image for photo in labelled]), strict=True):
            assert found.probs is not None  # asked for
            gallery.maps[photo.name] = small(found.mask, None, regions_of(found.probs))
            bar.update()

import numpy as np
import pytest
from PIL import Image

from tagseg.data.palette import colour
from tagseg.errors import TagsegError
from tagseg.reporting import pictures
from tagseg.reporting.curves import series_of, training_curves
from tagseg.reporting.pictures import GridRow, grid_picture

CLASSES = ("circle", "square")


def full_row(height: int, width: int, tags: tuple[str, ...] = ("square",)) -> GridRow:
    rng = np.random.default_rng(height)
    labels = rng.choice(np.array([0, 1, 2, 255], np.uint8), (height, width))
    return GridRow(
        image=rng.integers(0, 256, (height, width, 3), np.uint8),
        tags=tags,
        cam=rng.random((height, width), np.float32),
        regions=rng.integers(0, 3, (height, width), np.uint8),
        masked=rng.random((4, 4)) < 0.4,
        pseudo_label=labels,
        prediction=np.where(labels == 255, 0, labels).astype(np.uint8),
        truth=labels,
    )


def test_grid_has_a_row_per_image_and_a_column_per_step():
    one = grid_picture([full_row(40, 60)], CLASSES, cell=96)
    two = grid_picture([full_row(40, 60), full_row(1, 1)], CLASSES, cell=96)
    assert one.width == two.width
    assert one.width > 7 * 96
    assert two.height - one.height == 96 + 8
    fewer = grid_picture([GridRow(full_row(30, 30).image, ())], CLASSES, cell=96)
    assert fewer.width < 2 * 96, "columns that no row has are left out"


def test_a_row_may_lack_what_others_have():
    complete, bare = full_row(40, 60), GridRow(full_row(30, 30).image, ("circle",))
    assert grid_picture([complete, bare], CLASSES).size[0] == grid_picture([complete], CLASSES).size[0]


def test_many_and_long_tags_stay_in_their_box():
    row = full_row(40, 60, tuple(f"a very long name of class {k}" for k in range(40)))
    assert grid_picture([row], CLASSES, cell=96).size == grid_picture([full_row(40, 60)], CLASSES, cell=96).size


def test_cells_show_what_they_say():
    row = full_row(64, 64)
    assert row.masked is not None
    masked = pictures.draw_masked(row.image, row.masked)
    hidden = np.kron(row.masked, np.ones((16, 16), bool))
    assert (masked[hidden] == 128).all()
    np.testing.assert_array_equal(masked[~hidden], row.image[~hidden])

    dark = np.zeros((64, 64, 3), np.uint8)
    labels = np.zeros((64, 64), np.uint8)
    labels[:, 32:] = 255
    labels[:16] = 2
    drawn = pictures.draw_labels(dark, labels)
    assert drawn[20:, 32:].min() >= 225
    assert drawn[20:, :32].max() == 0
    np.testing.assert_allclose(drawn[8, 8], 0.75 * np.array(colour(2)), atol=1)

    cam = np.linspace(0, 1, 64, dtype=np.float32)[None].repeat(64, 0)
    brightness = pictures.draw_heat(dark, cam).sum(axis=(0, 2))
    assert brightness[-1] > brightness[32] > brightness[0]

    regions = np.repeat(np.array([[0, 1, 2]], np.uint8), 3, axis=0)
    drawn = pictures.draw_regions(np.zeros((3, 3, 3), np.uint8), regions)
    for region, (_, fill) in pictures.REGIONS.items():
        np.testing.assert_allclose(drawn[0, region], 0.6 * np.array(fill), atol=1)


def test_series_leave_out_what_was_not_logged():
    nan = float("nan")
    records: list[dict[str, float | None]] = [
        {"step": 2, "a": 1.0, "b": nan},
        {"step": 1, "a": 3.0, "b": None},
        {"a": 9.0},
        {"step": 3, "b": 5.0},
    ]
    assert series_of(records, "step") == {"a": [(1, 3.0), (2, 1.0)], "b": [(3, 5.0)]}


def test_curves(tmp_path):
    records = [{"step": k, "loss/total": 1 / (k + 1), "loss/cls": 0.5, "student/cam": k / 9} for k in range(9)]
    training_curves(records, tmp_path / "new" / "curves.png")
    with Image.open(tmp_path / "new" / "curves.png") as both:
        two_panels = both.size
    training_curves(records, tmp_path / "one.png", panels={"losses": ["loss/total", "absent"], "none": ["absent"]})
    with Image.open(tmp_path / "one.png") as one:
        assert one.width < two_panels[0]
    with pytest.raises(TagsegError, match="no curve to draw in 1 log records"):
        training_curves([{"step": 1}], tmp_path / "none.png")

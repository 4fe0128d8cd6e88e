import numpy as np
import pytest
from PIL import Image

from tagseg.data.masks import save_mask
from tagseg.data.palette import colour, label_names, palette
from tagseg.errors import TagsegError
from tagseg.files import replacing
from tagseg.inference import export

from .conftest import photo


def test_palette_is_vocs():
    assert [colour(label) for label in (0, 1, 2, 8, 15, 20)] == [
        (0, 0, 0),
        (128, 0, 0),
        (0, 128, 0),
        (64, 0, 0),
        (192, 128, 128),
        (0, 64, 128),
    ]
    assert colour(255) == (224, 224, 192)
    assert len(np.unique(palette(), axis=0)) == 256
    assert label_names(("a", "b")) == ("background", "a", "b")


def test_masks_keep_all_labels(tmp_path):
    labels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    save_mask(tmp_path / "new" / "mask.png", labels)
    np.testing.assert_array_equal(np.array(Image.open(tmp_path / "new" / "mask.png")), labels)


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), replacing(path) as temporary:  # noqa: PT012
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    assert path.read_text() == "old"
    with replacing(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"


def test_a_full_disk_is_one_line(tmp_path):
    with pytest.raises(TagsegError, match=r"cannot write .*: No space left"), replacing(tmp_path / "a"):
        raise OSError(28, "No space left on device")


def test_blend_leaves_background_and_outlines_the_rest():
    image = photo(20, 20)
    labels = np.zeros((20, 20), np.uint8)
    labels[5:15, 5:15] = 3
    blended = export.blend(image, labels)
    np.testing.assert_array_equal(blended[labels == 0], image[labels == 0])
    assert tuple(blended[5, 9]) == colour(3)
    np.testing.assert_allclose(blended[10, 10], (image[10, 10].astype(float) + colour(3)) / 2, atol=0.5)
    np.testing.assert_array_equal(export.blend(image, np.zeros_like(labels)), image)


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (300, 200), (2000, 1800)])
def test_overlays_of_every_size(size):
    labels = np.zeros(size, np.uint8)
    labels[: size[0] // 2 + 1] = 2
    overlay = export.draw_overlay(photo(*size), labels, ("first", "second with a long name"))
    assert max(overlay.size) <= export.OVERLAY_SIDE + 100
    assert overlay.height > min(size[0], export.OVERLAY_SIDE), "the legend is below the image"


def test_legend_breaks_lines():
    entries = [(f"class number {k}", colour(k)) for k in range(9)]
    narrow, wide = export.draw_legend(entries, 150), export.draw_legend(entries, 2000)
    assert narrow.height > 4 * wide.height
    assert wide.width == 2000

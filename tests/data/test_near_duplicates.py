import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy import ndarray
from PIL import Image, ImageEnhance

from tagseg.data.near_duplicates import DISTANCE, hamming, image_hash, image_hashes, near_duplicates
from tagseg.errors import TagsegError

PHOTOS = Path(os.environ.get("TAGSEG_DATA", Path(__file__).parents[3] / "shared" / "data"))


def photo(seed: int, height: int = 180, width: int = 240) -> ndarray:
    """Blobs of random colours of all sizes, the larger the stronger, as photos have them."""
    rng = np.random.default_rng(seed)
    image = np.full((height, width, 3), 128.0)
    for side in (2, 4, 8, 16, 32):
        blobs = Image.fromarray(rng.integers(0, 256, (side, side, 3), np.uint8))
        image += (np.array(blobs.resize((width, height), Image.Resampling.BICUBIC)) - 128.0) / side**0.5
    return np.clip(image, 0, 255).astype(np.uint8)


def differ(a: np.uint64, b: np.uint64) -> int:
    return int(hamming(np.array([a]), np.array([b]))[0])


def groups_by_hand(hashes: list[int], distance: int) -> list[list[int]]:
    """Each index with all that are reached from it."""
    left, groups = list(range(len(hashes))), []
    while left:
        group = [left.pop(0)]
        for member in group:
            near = [other for other in left if bin(hashes[member] ^ hashes[other]).count("1") <= distance]
            group += near
            left = [other for other in left if other not in near]
        groups.append(sorted(group))
    return [group for group in groups if len(group) > 1]


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_hamming_counts_bits(a, b):
    assert differ(np.uint64(a), np.uint64(b)) == bin(a ^ b).count("1")


@given(
    st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=6),
    st.lists(st.tuples(st.integers(0, 5), st.sets(st.integers(0, 63), max_size=14)), max_size=30),
    st.sampled_from([0, 1, 5, DISTANCE, 11, 12, 30, 64]),
)
def test_groups_equal_those_found_one_by_one(originals, copies, distance):
    hashes = [originals[which % len(originals)] ^ sum(1 << bit for bit in bits) for which, bits in copies] + originals
    assert near_duplicates(np.array(hashes, np.uint64), distance) == groups_by_hand(hashes, distance)


def test_groups_of_many_photos_are_found_in_seconds():
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2**64, 20_000, np.uint64)
    hashes[-3:] = hashes[:3] ^ np.uint64(0b111 << 30 | 0b101)
    assert near_duplicates(hashes) == [[0, 19_997], [1, 19_998], [2, 19_999]]
    assert near_duplicates(np.zeros(20_000, np.uint64)) == [list(range(20_000))]


def test_no_photo_has_no_groups():
    assert near_duplicates(np.zeros(0, np.uint64)) == []
    assert near_duplicates(np.zeros(1, np.uint64)) == []


@pytest.mark.parametrize("distance", [-1, 65])
def test_a_distance_out_of_range_is_refused(distance):
    with pytest.raises(TagsegError, match="expected 0 to 64 bits"):
        near_duplicates(np.zeros(2, np.uint64), distance)


@pytest.mark.parametrize("seed", range(4))
def test_copies_are_near_and_others_are_not(tmp_path, seed):
    original = Image.fromarray(photo(seed))
    copies = {
        "saved again": original,
        "half": original.resize((120, 90)),
        "stretched": original.resize((400, 200)),
        "grey": original.convert("L"),
        "darker": ImageEnhance.Brightness(original).enhance(0.75),
        "cut by 2 %": original.crop((2, 2, 237, 178)),
    }
    own = image_hash(photo(seed))
    for name, copy in copies.items():
        copy.save(tmp_path / "copy.jpg", quality=40)
        assert differ(own, image_hash(tmp_path / "copy.jpg")) <= DISTANCE, name
    others = [differ(own, image_hash(photo(other))) for other in range(100, 130)]
    assert min(others) > 2 * DISTANCE


def test_a_photo_with_its_rotation_in_exif_is_a_copy_of_the_upright_one(tmp_path):
    turned = Image.fromarray(photo(0)).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[274] = 6
    turned.save(tmp_path / "turned.jpg", exif=exif)
    assert differ(image_hash(photo(0)), image_hash(tmp_path / "turned.jpg")) <= DISTANCE


def test_blank_pictures_are_copies_only_where_they_are_equal(tmp_path):
    white, black = np.full((50, 60, 3), 255, np.uint8), np.zeros((50, 60, 3), np.uint8)
    noisy = np.clip(np.random.default_rng(0).normal(255, 2, white.shape), 0, 255).astype(np.uint8)
    hashes = np.array([image_hash(white), image_hash(black), image_hash(noisy), image_hash(white[:40])])
    assert near_duplicates(hashes) == [[0, 3]]


@pytest.mark.parametrize("mode", ["L", "P", "1", "CMYK", "RGBA", "LA", "I;16"])
def test_files_of_every_mode_have_a_hash(tmp_path, mode):
    path = tmp_path / ("image.tif" if mode in ("CMYK", "I;16") else "image.png")
    grey = Image.fromarray(photo(1)).convert("L")
    wide = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    (wide if mode == "I;16" else grey.convert("RGB").convert(mode)).save(path)
    assert differ(image_hash(path), image_hash(np.asarray(grey))) <= (DISTANCE if mode != "1" else 16)


def test_files_that_cannot_be_read_are_marked(tmp_path):
    Image.fromarray(photo(0)).save(tmp_path / "good.jpg")
    (tmp_path / "bad.jpg").write_bytes(b"no image")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "good.jpg").read_bytes()[:900])
    files = [tmp_path / name for name in ("good.jpg", "bad.jpg", "cut.jpg", "absent.jpg")]
    hashes, readable = image_hashes(files, threads=2, quiet=True)
    assert readable.tolist() == [True, False, False, False]
    assert hashes[0] == image_hash(files[0])
    with pytest.raises(TagsegError, match=r"absent\.jpg does not exist"):
        image_hash(files[3])


@pytest.mark.slow
def test_real_photos_have_no_false_copies():
    """Two pairs of photos of voc20mix are copies, as a person sees; of 500 others none are."""
    mix, animals = PHOTOS / "voc20mix/JPEGImages", sorted((PHOTOS / "voc12_animals/images").glob("*.jpg"))[:500]
    if not mix.is_dir() or not animals:
        pytest.skip(f"no voc20mix and voc12_animals in {PHOTOS}: set TAGSEG_DATA to their folder")
    copies = [mix / name for name in ("msrc_1_26.jpg", "msrc_9_10.jpg", "msrc_4_2.jpg", "msrc_4_3.jpg")]
    hashes, readable = image_hashes([*copies, *animals], quiet=True)
    assert readable.all()
    assert near_duplicates(hashes) == [[0, 1], [2, 3]]


def test_a_file_with_several_names_is_decoded_once(tmp_path, monkeypatch):
    for seed in range(2):
        Image.fromarray(photo(seed)).save(tmp_path / f"{seed}.png")
    (tmp_path / "2.png").write_bytes(b"no image")
    names = [tmp_path / f"{number}-{seed}.png" for number in range(5) for seed in range(3)]
    for name in names:
        name.hardlink_to(tmp_path / f"{name.stem[-1]}.png")
    plain = image_hashes([tmp_path / f"{name.stem[-1]}.png" for name in names], quiet=True)
    decoded = []
    monkeypatch.setattr("tagseg.data.near_duplicates.image_hash", lambda path: decoded.append(path) or image_hash(path))
    hashes, readable = image_hashes(names, quiet=True)
    np.testing.assert_array_equal(hashes, plain[0])
    assert readable.tolist() == [True, True, False] * 5
    assert len(decoded) == 3

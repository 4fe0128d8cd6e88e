"""Reading goes on after each error, so that one check shows all."""

import pytest
from PIL import Image

from tagseg.check.loading import load_all
from tagseg.data.config import DataConfig

from ..conftest import assert_refused


def loaded(photos, **settings):
    photos.write()
    return load_all(DataConfig(root=str(photos.root), **settings))


def codes(some):
    return [finding.code for finding in some.findings]


def test_all_unknown_tags_are_found_and_the_photos_kept_with_their_known_ones(photos):
    photos.rows |= {
        "p00.jpg": (["hrose", "cat"], "train"),
        "p01.jpg": (["hrose"], "train"),
        "p30.jpg": (["sheep"], "val"),
    }
    some = loaded(photos)
    assert codes(some) == ["unknown_tags"]
    assert some.findings[0].examples == ("'hrose' (2, like 'horse')", "'sheep' (1)")
    assert {name: len(images) for name, images in some.splits.items()} == {"train": 27, "val": 6}
    assert some.splits["train"].classes == ("cat", "dog", "horse")
    assert [sample.tags for sample in some.splits["train"].samples[:2]] == [(0,), ()]


def test_unknown_tags_beside_a_class_map(photos):
    photos.rows["p00.jpg"] = (["hrose", "cat"], "train")
    (photos.root / "class_map.yaml").write_text("classes:\n  pet: [cat, dog]\n  horse: [horse]\n")
    some = loaded(photos)
    assert "unknown_tags" in codes(some)
    assert some.splits["train"].classes == ("pet", "horse")
    assert some.splits["train"].samples[0].tags == (0,)


def test_an_unknown_tag_makes_no_note_on_the_class_list(photos):
    photos.rows["p00.jpg"] = (["ignore"], "train")
    some = loaded(photos)
    assert codes(some) == ["unknown_tags"]
    assert not [note for note in some.notes if note.warning]


def test_missing_images_that_are_accepted_are_a_warning(photos):
    (photos.root / "images" / "p03.jpg").unlink()
    [strict] = loaded(photos, masks="none").findings
    [accepted] = loaded(photos, masks="none", skip_missing=True).findings
    assert (strict.severity, accepted.severity) == ("error", "warning")


def test_masks_that_are_refused_do_not_hide_the_rest(photos):
    for path in (photos.root / "masks").iterdir():
        Image.new("RGB", (112, 96), (200, 30, 77)).save(path)
    photos.rows["p00.jpg"] = (["hrose"], "train")
    some = loaded(photos)
    assert set(codes(some)) == {"masks_refused", "unknown_tags"}
    assert set(some.splits) == {"train", "val"}


def test_a_split_that_does_not_exist_does_not_hide_the_other(photos):
    some = loaded(photos, val_split="test")
    assert codes(some) == ["data_refused"]
    assert "no image in split 'test'" in some.findings[0].examples[0]
    assert set(some.splits) == {"train"}


def test_without_tags_the_photos_are_still_there(photos):
    photos.write()
    (photos.root / "labels.csv").unlink()
    some = load_all(DataConfig(root=str(photos.root)))
    assert codes(some) == ["data_refused"]
    assert "has no tag file" in some.findings[0].examples[0]
    assert [len(images) for images in some.splits.values()] == [33]


def test_where_nothing_can_be_read_masks_are_no_photos(photos):
    for path in (photos.root / "images").iterdir():
        path.rename(photos.root / path.name)
    (photos.root / "images").rmdir()
    some = load_all(DataConfig(root=str(photos.root)))
    assert codes(some) == ["data_refused"]
    assert [len(images) for images in some.splits.values()] == [33]


def test_a_malformed_tag_file_is_a_finding(photos):
    photos.write()
    (photos.root / "labels.csv").write_text("image,labels\na.jpg,cat,dog,horse\n")
    some = load_all(DataConfig(root=str(photos.root)))
    assert "data_refused" in codes(some)


def test_photos_that_nothing_can_score_are_said_and_are_no_finding(photos):
    photos.rows = {name: (tags, "") for name, (tags, _) in photos.rows.items()}
    photos.write()
    lines = (photos.root / "labels.csv").read_text().splitlines()
    (photos.root / "labels.csv").write_text("\n".join(line.rpartition(",")[0] for line in lines))
    some = load_all(DataConfig(root=str(photos.root), masks="none"))
    assert some.findings == ()
    assert some.not_scored
    assert set(some.splits) == {"train"}


@pytest.mark.parametrize(
    ("settings", "part"),
    [({"root": "none"}, "does not exist"), ({"source": "spreadsheet"}, "--data.source is 'spreadsheet'"),
     ({"tags": "other.csv"}, "--data.tags is 'other.csv'"), ({"masks": "truth"}, "--data.masks is 'truth'")],
)  # fmt: skip
def test_settings_that_name_nothing_are_the_users_error(photos, settings, part):
    photos.write()
    assert_refused(lambda: load_all(DataConfig(**{"root": str(photos.root), **settings})), part)


def test_a_folder_of_nothing_is_the_users_error(tmp_path):
    assert_refused(lambda: load_all(DataConfig(root=str(tmp_path))), str(tmp_path))

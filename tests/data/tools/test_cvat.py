"""CVAT for images 1.1: tags, shapes, images without annotation, projects, and what is no such file."""

import zipfile

import pytest

from tagseg.data.config import DataConfig
from tagseg.data.sources import load
from tagseg.data.tools.cvat import is_cvat, read_cvat
from tagseg.data.tools.export import entries_of
from tagseg.errors import TagsegError

from .exports import cvat_box, cvat_image, cvat_tag, cvat_xml, loaded, photos, said, tags_of

MASK = '<mask label="dog" source="semi-auto" occluded="0" rle="2, 4" left="0" top="0" width="2" height="3" z_order="0">'
SKELETON = (
    '<skeleton label="dog" source="manual" z_order="0">\n'
    '      <points label="nose" source="manual" outside="0" occluded="0" points="1.0,1.0">\n      </points>\n'
    "    </skeleton>"
)


def write(path, *images, labels=("cat", "dog")):
    path.write_text(cvat_xml("\n  ".join(images), labels), "utf-8")
    return path


def test_tags_of_images(tmp_path):
    path = write(
        tmp_path / "annotations.xml",
        cvat_image(0, "a.jpg", cvat_tag("cat"), cvat_tag("dog"), cvat_tag("cat")),
        cvat_image(1, "sub/b &amp; c.jpg", cvat_tag("Dog &amp; co")),
        cvat_image(2, "c.jpg"),
        labels=("cat", "dog", "Dog &amp; co", "fox"),
    )
    export = read_cvat(path)
    assert tags_of(export) == {"a.jpg": ("cat", "dog"), "sub/b & c.jpg": ("Dog & co",)}
    assert "1 images without any annotation, left out (tag those of no class 'background'): c.jpg" in said(export)
    assert "1 labels of annotations.xml that no image has: no classes: fox" in said(export)


def test_shapes_are_tags_where_there_are_none(tmp_path):
    images = [cvat_image(0, "a.jpg", cvat_box("cat"), cvat_box("cat")), cvat_image(1, "b.jpg", f"{MASK}\n    </mask>")]
    export = read_cvat(write(tmp_path / "annotations.xml", *images, cvat_image(2, "c.jpg", SKELETON)))
    assert tags_of(export) == {"a.jpg": ("cat",), "b.jpg": ("dog",), "c.jpg": ("dog",)}
    assert "those of its regions are the tags, shapes (dog, cat)" in said(entries_of(export))


def test_tags_about_something_else_than_the_shapes_stop(tmp_path):
    image = cvat_image(0, "a.jpg", cvat_box("cat"), cvat_tag("good_frame"))
    export = read_cvat(write(tmp_path / "annotations.xml", image))
    with pytest.raises(TagsegError, match=r"tag \(good_frame\).* shapes \(cat\).* --data\.column tag or .* shapes"):
        entries_of(export)
    assert tags_of(export, "shapes") == {"a.jpg": ("cat",)}


def test_a_folder_is_found_by_its_file_and_background_is_no_class(tmp_path):
    photos(tmp_path / "images", "a.jpg", "b.jpg", "c.jpg")
    images = [cvat_image(0, "a.jpg", cvat_tag("cat")), cvat_image(1, "b.jpg", cvat_tag("Background"))]
    write(tmp_path / "annotations.xml", *images, cvat_image(2, "c.jpg"))
    read = load(DataConfig(root=str(tmp_path), val_split=""), "train")
    assert (read.classes, loaded(read)) == (("cat",), {"a": ("cat",), "b": ()})
    assert read.layout == "an export of CVAT (annotations.xml)"
    assert read.tags_from == "annotations.xml"


def test_the_subsets_of_a_project_are_splits_in_folders(tmp_path):
    photos(tmp_path / "images", "Train/a.jpg", "Validation/a.jpg")
    images = [
        cvat_image(0, "a.jpg", cvat_tag("cat"), attributes='subset="Train" task_id="1"'),
        cvat_image(1, "a.jpg", cvat_tag("dog"), attributes='subset="Validation" task_id="2"'),
    ]
    write(tmp_path / "annotations.xml", *images)
    config = DataConfig(root=str(tmp_path))
    assert loaded(load(config, "train", masks=False)) == {"Train/a": ("cat",)}
    assert loaded(load(config, "val", masks=False)) == {"Validation/a": ("dog",)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("<annotations><version>1.1</version>", "is no XML"),
        ("<annotation><object/></annotation>", "holds <annotation>, expected <annotations>"),
        (cvat_xml('<track id="0" label="car" source="manual"></track>'), "is 'CVAT for video'"),
        (cvat_xml('<image id="0" width="4" height="3"></image>'), "image 1 has no name"),
        (cvat_xml(cvat_image(0, "a.jpg", '<tag source="manual"></tag>')), "has a <tag> without label in a.jpg"),
        (cvat_xml(""), "has no annotated image"),
    ],
)
def test_anything_else_is_refused_in_one_line(tmp_path, text, message):
    path = tmp_path / "annotations.xml"
    path.write_text(text)
    with pytest.raises(TagsegError, match=message) as caught:
        entries_of(read_cvat(path))
    assert "\n" not in str(caught.value)
    assert "annotations.xml" in str(caught.value)


def test_an_archive_is_to_be_unpacked(tmp_path):
    photos(tmp_path / "images", "a.jpg")
    with zipfile.ZipFile(tmp_path / "task.zip", "w") as archive:
        archive.writestr("annotations.xml", cvat_xml(cvat_image(0, "a.jpg", cvat_tag("cat"))))
    with pytest.raises(TagsegError, match=r"task\.zip is a zip archive: unpack it, expected CVAT's annotations\.xml"):
        load(DataConfig(source="cvat", root=str(tmp_path), tags="task.zip"), "train")
    with pytest.raises(TagsegError, match=r"task\.zip is a zip archive: unpack it"):
        load(DataConfig(root=str(tmp_path)), "train", masks=False)


def test_what_it_begins_with_tells_it_from_other_xml(tmp_path):
    assert is_cvat(write(tmp_path / "a.xml"))
    for number, text in enumerate(("<annotation><filename>a.jpg</filename></annotation>", "<annotations/>", "{}", "")):
        path = tmp_path / f"{number}.xml"
        path.write_text(text)
        assert not is_cvat(path)

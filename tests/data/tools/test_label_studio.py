"""Label Studio's JSON: choices, taxonomies, several annotators, what is skipped, and what is no export."""

import json

import pytest

from tagseg.data.config import DataConfig
from tagseg.data.sources import load
from tagseg.data.tools.export import entries_of
from tagseg.data.tools.label_studio import is_label_studio, read_label_studio
from tagseg.errors import TagsegError

from .exports import (
    annotation,
    brush,
    choices,
    loaded,
    minimal,
    photos,
    rectangle,
    said,
    tags_of,
    task,
    taxonomy,
    write,
)


def read(tmp_path, *tasks):
    return read_label_studio(write(tmp_path / "export.json", list(tasks)))


def test_one_choice_and_several(tmp_path):
    export = read(
        tmp_path,
        task(1, "/data/upload/1/abcd1234-a.jpg", annotation(choices("cat"))),
        task(2, "/data/upload/1/0b0b1234-b.jpg", annotation(choices("cat", "dog"))),
        task(3, "/data/upload/1/0b0b1235-c.jpg", annotation()),
    )
    assert tags_of(export) == {
        "/data/upload/1/abcd1234-a.jpg": ("cat",),
        "/data/upload/1/0b0b1234-b.jpg": ("cat", "dog"),
        "/data/upload/1/0b0b1235-c.jpg": (),
    }
    assert [row.place for row in entries_of(export).rows] == [1, 2, 3]


def test_what_nobody_annotated_is_left_out_not_of_no_class(tmp_path):
    predicted = {"result": [choices("dog")], "score": 0.99, "model_version": "v1"}
    export = read(
        tmp_path,
        task(1, "a.jpg", annotation(choices("cat"))),
        task(2, "b.jpg", annotation(choices("dog"), was_cancelled=True)),
        task(3, "c.jpg", predictions=[predicted]),
        task(4, "d.jpg"),
    )
    assert tags_of(export) == {"a.jpg": ("cat",)}
    notes = said(export)
    assert "1 tasks that were skipped, left out: b.jpg" in notes
    assert "1 tasks with predictions alone, which are no annotations, left out: c.jpg" in notes
    assert "1 tasks that nobody annotated, left out: d.jpg" in notes


def test_a_label_counts_if_half_of_the_annotators_gave_it(tmp_path):
    cat, dog, both = annotation(choices("cat")), annotation(choices("dog")), annotation(choices("cat", "dog"))
    skipped = annotation(choices("fox"), was_cancelled=True)
    truth = annotation(choices("dog"), ground_truth=True)
    export = read(
        tmp_path,
        task(1, "same.jpg", cat, cat),
        task(2, "two.jpg", cat, dog, skipped),
        task(3, "three.jpg", both, cat, cat),
        task(4, "truth.jpg", cat, cat, truth),
        task(5, "nobody.jpg", annotation(), annotation(), cat),
        task(6, "none.jpg", cat, dog, annotation(choices("fox"))),
    )
    assert tags_of(export) == {
        "same.jpg": ("cat",),
        "two.jpg": ("cat", "dog"),
        "three.jpg": ("cat",),
        "truth.jpg": ("dog",),
        "nobody.jpg": (),
    }
    notes = said(export)
    assert "!3 images whose annotators disagree" in notes
    assert "!1 images whose annotators agree on no label, left out: none.jpg" in notes


def test_a_taxonomy_is_named_by_its_leaf_unless_two_are_alike(tmp_path):
    animals = [["Animal", "Cat"], ["Animal", "Dog"]]
    export = read(
        tmp_path,
        task(1, "a.jpg", annotation(taxonomy(["Animal"], *animals))),
        task(2, "b.jpg", annotation(taxonomy(["Animal"]))),
    )
    assert tags_of(export) == {"a.jpg": ("Cat", "Dog"), "b.jpg": ("Animal",)}
    assert "choices of a taxonomy, named by their leaf: Animal/Cat → Cat" in said(export)
    alike = read(tmp_path, task(1, "a.jpg", annotation(taxonomy(["Bird", "Other"], ["Fish", "Other"]))))
    assert tags_of(alike) == {"a.jpg": ("Bird/Other", "Fish/Other")}
    assert "named by their whole path, as leaves of one name are below several" in said(alike)


def test_regions_are_tags_where_there_are_no_choices(tmp_path):
    export = read(
        tmp_path,
        task(
            1, "a.jpg", annotation(rectangle("cat"), brush("dog"), {"from_id": "x", "to_id": "y", "type": "relation"})
        ),
        task(2, "b.jpg", annotation(rectangle("dog"))),
    )
    assert tags_of(export) == {"a.jpg": ("cat", "dog"), "b.jpg": ("dog",)}
    assert "those of its regions are the tags, label (cat, dog), tag (dog)" in said(entries_of(export))


def test_texts_and_ratings_are_no_labels(tmp_path):
    text = {"value": {"text": ["a fine day"]}, "from_name": "comment", "to_name": "image", "type": "textarea"}
    rating = {"value": {"rating": 4}, "from_name": "stars", "to_name": "image", "type": "rating"}
    assert tags_of(read(tmp_path, task(1, "a.jpg", annotation(choices("cat"), text, rating)))) == {"a.jpg": ("cat",)}


def test_completions_of_old_versions_are_annotations(tmp_path):
    old = task(1, "a.jpg")
    del old["annotations"]
    old["completions"] = [
        {"id": 1001, "result": [choices("cat")]},
        {"id": 2, "result": [choices("dog")], "skipped": True},
    ]
    assert tags_of(read(tmp_path, old)) == {"a.jpg": ("cat",)}


def test_json_min(tmp_path):
    export = read(
        tmp_path,
        minimal(1, "/data/upload/1/abcd1234-a.jpg", choice="cat"),
        minimal(2, "b.jpg", choice={"choices": ["cat", "dog"]}),
        minimal(3, "c.jpg"),
        minimal(4, "d.jpg") | {"annotation_id": None, "annotator": ""},
    )
    assert tags_of(export) == {"/data/upload/1/abcd1234-a.jpg": ("cat",), "b.jpg": ("cat", "dog"), "c.jpg": ()}
    assert "1 tasks that nobody annotated, left out: d.jpg" in said(export)


def test_json_min_with_a_taxonomy_regions_and_data_of_the_task(tmp_path):
    value = {"x": 1.5, "y": 2, "width": 3, "height": 4, "rotation": 0, "original_width": 4, "original_height": 3}
    boxes = [{**value, "rectanglelabels": ["cat"]}, {**value, "rectanglelabels": ["dog"]}]
    assert tags_of(read(tmp_path, {"camera": "north"} | minimal(1, "a.jpg", label=boxes))) == {"a.jpg": ("cat", "dog")}
    export = read(tmp_path, minimal(1, "a.jpg", kind=[{"taxonomy": [["Animal", "Cat"]]}]))
    assert tags_of(export) == {"a.jpg": ("Cat",)}


def test_json_min_of_several_annotators_is_joined(tmp_path):
    export = read(
        tmp_path,
        *(minimal(1, "a.jpg", who, choice=name) for who, name in enumerate(("cat", "cat", "dog"))),
        *(minimal(2, "b.jpg", who, choice=name) for who, name in enumerate(("cat", "dog"))),
    )
    assert tags_of(export) == {"a.jpg": ("cat",), "b.jpg": ("cat", "dog")}
    assert "!2 images whose annotators disagree" in said(export)


@pytest.mark.parametrize(
    "name",
    [
        "/data/upload/1/abcd1234-photo_1.jpg",
        "/data/local-files/?d=dir/photo%201.jpg",
        "http://localhost:8080/data/upload/3/abcd1234-photo_1.jpg",
        "https://bucket.s3.amazonaws.com/photos/photo%201.jpg?X-Amz-Signature=0f&X-Amz-Expires=60",
        "s3://bucket/photos/photo 1.jpg",
        "photo 1.jpg",
    ],
)
def test_images_are_found_however_label_studio_names_them(tmp_path, name):
    photos(tmp_path / "images", "photo 1.jpg")
    write(tmp_path / "project-1-at-2026-11-20-10-00-0a3c.json", [task(1, name, annotation(choices("cat")))])
    images = load(DataConfig(root=str(tmp_path), val_split=""), "train")
    assert loaded(images) == {"photo 1": ("cat",)}
    assert images.layout == "an export of Label Studio (project-1-at-2026-11-20-10-00-0a3c.json)"


def test_the_file_may_be_named(tmp_path):
    photos(tmp_path, "a.jpg")
    write(tmp_path / "one.json", [task(1, "a.jpg", annotation(choices("cat")))])
    write(tmp_path / "two.json", [task(1, "a.jpg", annotation(choices("dog")))])
    config = DataConfig(source="label_studio", root=str(tmp_path), val_split="")
    with pytest.raises(
        TagsegError, match=r"several exports, one\.json, two\.json, .*choose with --data\.tags one\.json"
    ):
        load(config, "train")
    named = DataConfig(source="label_studio", root=str(tmp_path), val_split="", tags="two.json")
    assert loaded(load(named, "train")) == {"a": ("dog",)}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("[{", "line 1 is no JSON"),
        ("3", "entry 1 is no JSON object"),
        ("[]", "has no annotated image"),
        ('[{"id": 1}]', "entry 1 has no 'data'"),
        (json.dumps([{"id": 1, "data": {"text": "hello"}}]), r"has no images in its tasks \('text': 'hello'\)"),
        (json.dumps([task(1, "data:image/png;base64,iVBOR", annotation())]), "entry 1 has its image within the file"),
        (json.dumps([task(1, "a.jpg"), task(2, "")]), "entry 2 has '' for 'image', expected the name of its image"),
        (json.dumps([task(1, "a.jpg", data={"left": "a.jpg", "right": "b.jpg"})]), "images in 'left' and 'right'"),
        (json.dumps([task(1, "a.jpg") | {"annotations": [1]}]), "entry 1 has an annotation without 'result'"),
        (json.dumps([task(1, "a.jpg", annotation() | {"result": [3]})]), "task 1 has a result that is no object"),
    ],
)
def test_anything_else_is_refused_in_one_line(tmp_path, content, message):
    path = tmp_path / "export.json"
    path.write_text(content)
    with pytest.raises(TagsegError, match=message) as caught:
        entries_of(read_label_studio(path))
    assert "\n" not in str(caught.value)
    assert "export.json" in str(caught.value)


def test_what_it_begins_with_tells_an_export_from_other_json(tmp_path):
    assert is_label_studio(write(tmp_path / "a.json", [task(1, "a.jpg")]))
    assert is_label_studio(write(tmp_path / "b.json", [minimal(1, "a.jpg", choice="cat")]))
    assert not is_label_studio(write(tmp_path / "c.json", [{"image": "a.jpg", "labels": ["cat"]}]))
    assert not is_label_studio(write(tmp_path / "d.json", {"images": [], "annotations": [], "info": {"data": 1}}))
    assert not is_label_studio(tmp_path / "absent.json")

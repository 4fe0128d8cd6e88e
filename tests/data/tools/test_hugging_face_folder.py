"""Hugging Face image folders: CSV, JSON lines and Parquet, names of class ids, splits, and what is no such folder."""

import json
import sys

import pytest

from tagseg.data.config import DataConfig
from tagseg.data.sources import load
from tagseg.data.tools.hugging_face_folder import is_metadata, metadata_files, read_hugging_face
from tagseg.errors import TagsegError

from .exports import loaded, photos, said

CARD = """---
license: mit
dataset_info:
  features:
  - name: image
    dtype: image
  - name: label
    dtype:
      class_label:
        names:
          '0': cat
          '1': no
  splits:
  - name: train
    num_examples: 2
---
# Pets
"""


def csv(root, text, name="metadata.csv"):
    root.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text, "utf-8")
    return root


def lines(root, *rows):
    return csv(root, "\n".join(map(json.dumps, rows)) + "\n", "metadata.jsonl")


def read(root, column="auto"):
    table, entries = read_hugging_face(root, metadata_files(root), (), column)
    return {row.image: (*row.cells, *row.tags) for row in entries.rows}, said(entries) + "".join(map(str, table.notes))


def test_csv_with_names(tmp_path):
    photos(tmp_path / "images", "a.jpg", "b.jpg", "c.jpg")
    csv(tmp_path, "file_name,label,additional_feature\nimages/a.jpg,cat,x\nimages/b.jpg,cat;dog,y\n")
    images = load(DataConfig(root=str(tmp_path), val_split=""), "train")
    assert loaded(images) == {"images/a": ("cat",), "images/b": ("cat", "dog")}
    assert images.layout == "a Hugging Face image folder (metadata.csv)"
    assert "1 photos of" in said(images)
    assert "images/c.jpg" in said(images)


def test_json_lines_with_text_lists_and_objects(tmp_path):
    boxes = {"bbox": [[0, 0, 2, 2]], "categories": ["cat"]}
    lines(tmp_path, {"file_name": "a.jpg", "labels": ["cat", "dog"]}, {"file_name": "b.jpg", "labels": []})
    assert read(tmp_path)[0] == {"a.jpg": ("cat", "dog"), "b.jpg": ()}
    lines(tmp_path, {"file_name": "a.jpg", "objects": boxes}, {"file_name": "b.jpg", "objects": boxes})
    assert read(tmp_path)[0] == {"a.jpg": ("cat",), "b.jpg": ("cat",)}


@pytest.mark.parametrize("how", ["card", "infos", "info"])
def test_class_ids_get_the_names_of_the_data_set(tmp_path, how):
    features = {"image": {"_type": "Image"}, "label": {"names": ["cat", "no"], "_type": "ClassLabel"}}
    if how == "card":
        (tmp_path / "README.md").write_text(CARD)
    elif how == "infos":
        (tmp_path / "dataset_infos.json").write_text(json.dumps({"default": {"features": features}}))
    else:
        (tmp_path / "dataset_info.json").write_text(json.dumps({"features": features}))
    csv(tmp_path, "file_name,label\na.jpg,1\nb.jpg,0\nc.jpg,-1\n")
    tags, notes = read(tmp_path)
    assert tags == {"a.jpg": ("no",), "b.jpg": ("cat",)}
    assert "1 columns of class ids, read as the names of their classes: label (" in notes
    assert "1 rows of metadata.csv with the class id -1, which stands for no label: left out" in notes
    lines(tmp_path, {"file_name": "a.jpg", "label": [0, 1]})
    (tmp_path / "metadata.csv").unlink()
    assert read(tmp_path)[0] == {"a.jpg": ("cat", "no")}
    lines(tmp_path, {"file_name": "a.jpg", "label": 2})
    with pytest.raises(
        TagsegError, match=r"metadata\.jsonl line 1, column 'label', has the class id 2, expected 0 to 1.*cat, no"
    ):
        read(tmp_path)


def test_ids_without_names_are_names_with_a_warning(tmp_path):
    photos(tmp_path, "a.jpg", "b.jpg")
    lines(tmp_path, {"file_name": "a.jpg", "label": 0}, {"file_name": "b.jpg", "label": 1})
    images = load(DataConfig(root=str(tmp_path), val_split=""), "train")
    assert loaded(images) == {"a": ("0",), "b": ("1",)}
    assert "!all tags are numbers" in said(images)


def test_a_file_a_split_or_one_for_all(tmp_path):
    for root in (tmp_path / "each", tmp_path / "one"):
        photos(root, "train/a.jpg", "validation/a.jpg", "test/a.jpg")
    for split, tag in (("train", "cat"), ("validation", "dog"), ("test", "cat")):
        csv(tmp_path / "each" / split, f"file_name,label\na.jpg,{tag}\n")
    csv(tmp_path / "one", "file_name,label\ntrain/a.jpg,cat\nvalidation/a.jpg,dog\ntest/a.jpg,cat\n")
    for root in (tmp_path / "each", tmp_path / "one"):
        config = DataConfig(root=str(root))
        assert loaded(load(config, "train", masks=False)) == {"train/a": ("cat",)}
        assert loaded(load(config, "val", masks=False)) == {"validation/a": ("dog",)}


def test_other_columns_that_could_name_the_image_do_not(tmp_path):
    csv(tmp_path, "image,path,id,file_name,label\nx,y,3,a.jpg,cat\n")
    assert read(tmp_path)[0] == {"a.jpg": ("cat",)}


def test_folders_that_are_no_splits_do_not_divide(tmp_path):
    csv(tmp_path, "file_name,label\ntrain/a.jpg,cat\nb.jpg,dog\n")
    _, entries = read_hugging_face(tmp_path, metadata_files(tmp_path), (), "auto")
    assert (entries.has_splits, [row.split for row in entries.rows]) == (False, ["", ""])


def test_the_column_may_be_named(tmp_path):
    csv(tmp_path, "file_name,text,animal\na.jpg,a cat on a mat,cat\n")
    with pytest.raises(TagsegError, match=r"has the columns file_name, text, animal, expected image and labels"):
        read(tmp_path)
    assert read(tmp_path, "animal")[0] == {"a.jpg": ("cat",)}
    with pytest.raises(TagsegError, match=r"--data\.column is 'x', expected a column of .*'text', 'animal'"):
        read(tmp_path, "x")


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "is empty"), ("file_name,label\na.jpg\n", "line 2 has 1 fields"), ('file_name,label\n"a', "is no CSV")],
)
def test_damaged_files_are_refused_in_one_line(tmp_path, text, message):
    csv(tmp_path, text)
    with pytest.raises(TagsegError, match=message) as caught:
        read(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_damaged_card_is_refused(tmp_path):
    csv(tmp_path, "file_name,label\na.jpg,0\n")
    (tmp_path / "README.md").write_text("---\ndataset_info: [\n---\n")
    with pytest.raises(TagsegError, match=r"README\.md has a damaged head"):
        read(tmp_path)
    (tmp_path / "README.md").write_text(CARD.replace("'1': no", "'7': no"))
    with pytest.raises(TagsegError, match=r"gives classes the ids 0, 7, expected 0 to 1"):
        read(tmp_path)
    (tmp_path / "README.md").write_text("# Pets, without a head\n")
    assert read(tmp_path)[0] == {"a.jpg": ("0",)}


def test_a_csv_without_the_column_is_no_such_folder(tmp_path):
    assert is_metadata(csv(tmp_path, "file_name,label\n") / "metadata.csv")
    assert not is_metadata(csv(tmp_path, "camera,date\n1,2\n") / "metadata.csv")


def test_parquet_without_a_library_is_named(tmp_path, monkeypatch):
    (tmp_path / "metadata.parquet").write_bytes(b"PAR1\0\0\0\0PAR1")
    for name in ("pyarrow", "pyarrow.parquet", "polars", "pandas"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(TagsegError, match=r"needs pyarrow, polars or pandas to be read: pip install pyarrow"):
        read(tmp_path)


def test_parquet_with_the_names_of_its_schema(tmp_path):
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    info = {"info": {"features": {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}}
    table = pyarrow.table({"file_name": ["a.jpg", "b.jpg"], "label": [[0, 1], [1]]})
    table = table.replace_schema_metadata({"huggingface": json.dumps(info)})
    parquet.write_table(table, tmp_path / "metadata.parquet")
    assert read(tmp_path)[0] == {"a.jpg": ("cat", "dog"), "b.jpg": ("dog",)}
    (tmp_path / "metadata.parquet").write_bytes(b"PAR1\0\0\0\0PAR1")
    with pytest.raises(TagsegError, match=r"metadata\.parquet cannot be read"):
        read(tmp_path)


def test_a_named_file_may_be_elsewhere(tmp_path):
    photos(tmp_path / "set" / "images", "a.jpg")
    for place in (tmp_path / "meta", tmp_path / "set" / "meta"):
        csv(place, "file_name,label\na.jpg,cat\n")
        config = DataConfig(
            source="hugging_face", root=str(tmp_path / "set"), val_split="", tags=str(place / "metadata.csv")
        )
        assert loaded(load(config, "train")) == {"images/a": ("cat",)}


def test_files_with_other_columns_of_tags_are_refused(tmp_path):
    for split, column in (("train", "label"), ("test", "species")):
        csv(tmp_path / split, f"file_name,{column}\na.jpg,cat\n")
    with pytest.raises(TagsegError, match=r"other columns of tags \(.*species.*label\), expected one"):
        read(tmp_path)


def test_two_files_in_one_folder_are_refused(tmp_path):
    lines(csv(tmp_path, "file_name,label\na.jpg,cat\n"), {"file_name": "a.jpg", "label": "dog"})
    with pytest.raises(TagsegError, match=r"several files of metadata, .*--data\.tags metadata\.csv"):
        read(tmp_path)

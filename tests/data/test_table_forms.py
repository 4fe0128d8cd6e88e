"""Tables in the forms that people have: each is read as the same tags."""

import json

import pytest
from PIL import Image

from tagseg.data.config import DataConfig
from tagseg.data.sources import load
from tagseg.errors import TagsegError

TAGS = {"a": ("Bär", "dog"), "b": ("dog",), "c": ()}
ROWS = "a.jpg,Bär;dog\nb.jpg,dog\nc.jpg,\n"


def rows(header: str, separator: str = ";", fields: str = ",", end: str = "\n") -> str:
    lines = [header, *ROWS.splitlines()]
    return "".join(line.replace(";", separator).replace(",", fields) + end for line in lines)


FORMS = {
    "tags separated by ;": rows("image,labels"),
    "tags separated by ,": 'image,labels\na.jpg,"Bär,dog"\nb.jpg,dog\nc.jpg,\nd.jpg,Bär\n',
    "tags separated by |": rows("image,labels", "|"),
    "tags separated by spaces": "image,labels\na.jpg,Bär dog\nb.jpg,dog\nc.jpg,\nd.jpg,Bär\n",
    "a column a class": "image,Bär,dog\na.jpg,1,1\nb.jpg,0,1\nc.jpg,0,0\n",
    "a column a class, with words": "filename;Bär;dog\na.jpg;TRUE;TRUE\nb.jpg;FALSE;TRUE\nc.jpg;FALSE;FALSE\n",
    "a row a tag": "image,label\na.jpg,Bär\na.jpg,dog\nb.jpg,dog\nc.jpg,\n",
    **{
        f"columns {header}": rows(header)
        for header in (
            *("filename,labels", "file_name,tags", "path,label", "image_path,class", "Filename,Tags"),
            *("File Name,class", "image,tags"),
        )
    },
    "Excel, fields separated by ;": rows("image,labels", "|", ";", "\r\n"),
    "Excel, with sep=": "sep=;\r\n" + rows("image,labels", "|", ";", "\r\n"),
    "Excel, empty columns at the end": "image;labels;;\r\na.jpg;Bär|dog;;\r\nb.jpg;dog;;\r\nc.jpg;;;\r\n;;;\r\n",
    "Excel, all in quotes": '"image","labels"\r\n"a.jpg","Bär;dog"\r\n"b.jpg","dog"\r\n"c.jpg",""\r\n',
    "Label Studio's CSV": (
        "choice,id,image,lead_time,annotator,annotation_id,created_at,updated_at\n"
        '"{""choices"": [""Bär"", ""dog""]}",1,/data/upload/1/0a1b2c3d-a.jpg,2.1,1,1,2026-11-20T10:00:00Z,2026-11-20\n'
        "dog,2,/data/upload/1/0a1b2c3e-b.jpg,2.1,1,2,2026-11-20T10:00:00Z,2026-11-20\n"
        ",3,/data/upload/1/0a1b2c3f-c.jpg,2.1,1,3,2026-11-20T10:00:00Z,2026-11-20\n"
    ),
}
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252")


def read(root, content, **settings):
    for name in "abcd":
        Image.new("RGB", (4, 3)).save(root / f"{name}.jpg")
    (root / "labels.csv").write_bytes(content)
    images = load(DataConfig(root=str(root), val_split="", **settings), "train")
    return {s.name: tuple(images.classes[tag] for tag in s.tags) for s in images.samples if s.name != "d"}


@pytest.mark.parametrize("form", FORMS)
def test_each_form_is_read_as_the_same_tags(tmp_path, form):
    assert read(tmp_path, FORMS[form].encode()) == TAGS


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("form", ["tags separated by ;", "Excel, with sep=", "Excel, empty columns at the end"])
def test_in_each_encoding(tmp_path, form, encoding):
    assert read(tmp_path, FORMS[form].encode(encoding)) == TAGS


def test_a_column_is_chosen_where_two_could_hold_the_tags(tmp_path):
    text = b"image,label,category\na.jpg,dog,pet\nb.jpg,cat,pet\n"
    with pytest.raises(TagsegError, match=r"columns label and category.*choose with --data\.column label"):
        read(tmp_path, text)
    assert read(tmp_path, text, column="category") == {"a": ("pet",), "b": ("pet",)}
    assert read(tmp_path, text, column="label,category") == {"a": ("dog", "pet"), "b": ("cat", "pet")}
    with pytest.raises(TagsegError, match=r"--data\.column is 'kind', expected a column of .*'image', 'label'"):
        read(tmp_path, text, column="kind")


def test_a_column_of_any_name_may_be_named(tmp_path):
    text = json.dumps([{"image": "a.jpg", "Befund": ["Bär"]}, {"image": "b.jpg", "Befund": []}]).encode()
    with pytest.raises(TagsegError, match=r"the columns image, Befund, .*--data\.column"):
        read(tmp_path, text)
    assert read(tmp_path, text, column="Befund") == {"a": ("Bär",), "b": ()}


def test_columns_of_zeros_and_ones_may_be_named(tmp_path):
    text = b"image,cat,dog,indoors\na.jpg,1,1,1\nb.jpg,0,1,0\n"
    assert read(tmp_path, text, column="cat,dog") == {"a": ("cat", "dog"), "b": ("dog",)}
    assert read(tmp_path, text) == {"a": ("cat", "dog", "indoors"), "b": ("dog",)}


def test_rows_of_label_studio_that_nobody_annotated_are_left_out(tmp_path):
    """Its CSV has a row for each task, whose other columns are then blank."""
    text = (
        '"annotation_id","annotator","choice","created_at","id","image","lead_time","updated_at"\n'
        '7,"1","cat","2026-11-20T10:00:00.000000Z",1,"a.jpg",9.1,"2026-11-20T10:00:09.000000Z"\n'
        '"","","","",2,"b.jpg","",""\n'
        '8,"1","","2026-11-20T10:00:00.000000Z",3,"c.jpg",9.1,"2026-11-20T10:00:09.000000Z"\n'
    )
    assert read(tmp_path, text.encode()) == {"a": ("cat",), "c": ()}

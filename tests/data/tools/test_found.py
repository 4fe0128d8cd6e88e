"""Which folder is taken for which tool's, what is ambiguous, and what is no tool's."""

import pytest

from tagseg.data.config import DataConfig
from tagseg.data.recognised import recognise
from tagseg.data.sources import load, load_for_network
from tagseg.errors import TagsegError

from .exports import annotation, choices, cvat_image, cvat_tag, cvat_xml, labelme_json, loaded, photos, task, write


def label_studio(root):
    write(root / "project-1.json", [task(1, "a.jpg", annotation(choices("cat")))])


def cvat(root):
    (root / "annotations.xml").write_text(cvat_xml(cvat_image(0, "a.jpg", cvat_tag("cat"))))


def hugging_face(root):
    (root / "metadata.csv").write_text("file_name,label\na.jpg,cat\n")


def labelme(root):
    write(root / "a.json", labelme_json("a.jpg", {"cat": True}))


def fiftyone(root):
    write(root / "labels.json", {"classes": ["cat"], "labels": {"a": 0}})


TOOLS = [label_studio, cvat, hugging_face, labelme, fiftyone]


@pytest.mark.parametrize("tool", TOOLS)
def test_each_tool_is_found_and_its_classes_may_be_those_of_a_network(tmp_path, tool):
    photos(tmp_path, "a.jpg")
    tool(tmp_path)
    config = DataConfig(root=str(tmp_path), val_split="")
    assert recognise(config)[0].source == tool.__name__
    assert loaded(load(config, "train")) == {"a": ("cat",)}
    assert load_for_network(config, "train", ("dog", "cat"), tags=False).samples[0].tags == (1,)


@pytest.mark.parametrize("tool", TOOLS)
def test_an_own_tag_file_beside_an_export_is_ambiguous(tmp_path, tool):
    photos(tmp_path, "a.jpg")
    tool(tmp_path)
    (tmp_path / "tags.csv").write_text("image,labels\na.jpg,dog\n")
    with pytest.raises(TagsegError, match=rf"--data\.source {tool.__name__}.* --data\.tags tags\.csv$") as caught:
        load(DataConfig(root=str(tmp_path), val_split=""), "train")
    assert "\n" not in str(caught.value)
    assert loaded(load(DataConfig(root=str(tmp_path), val_split="", tags="tags.csv"), "train")) == {"a": ("dog",)}
    chosen = DataConfig(root=str(tmp_path), val_split="", source=tool.__name__)
    assert loaded(load(chosen, "train")) == {"a": ("cat",)}


@pytest.mark.parametrize("tool", [label_studio, cvat, fiftyone])
def test_a_named_file_is_told_by_its_content(tmp_path, tool):
    photos(tmp_path / "photos", "a.jpg")
    (tmp_path / "exports").mkdir()
    tool(tmp_path / "exports")
    (path,) = (tmp_path / "exports").iterdir()
    config = DataConfig(root=str(tmp_path / "photos"), val_split="", tags=str(path))
    assert loaded(load(config, "train")) == {"a": ("cat",)}
    assert recognise(config)[0].source == tool.__name__


@pytest.mark.parametrize("source", ["label_studio", "cvat", "hugging_face", "labelme", "fiftyone"])
def test_a_folder_without_export_is_refused_in_one_line(tmp_path, source):
    photos(tmp_path, "a.jpg")
    with pytest.raises(TagsegError, match="expected") as caught:
        load(DataConfig(root=str(tmp_path), source=source), "train")
    assert "\n" not in str(caught.value)
    with pytest.raises(TagsegError, match=r"--data\.tags is 'none\.json', "):
        load(DataConfig(root=str(tmp_path), source=source, tags="none.json"), "train")


def test_a_folder_of_few_files_of_labelme_is_not_its_folder(tmp_path):
    photos(tmp_path, "a.jpg")
    labelme(tmp_path)
    for name in "xyz":
        write(tmp_path / f"{name}.json", {"name": name})
    assert recognise(DataConfig(root=str(tmp_path)))[0].source != "labelme"


@pytest.mark.parametrize("name", ["data/train-00000-of-00001.parquet", "train/data-00000-of-00002.arrow"])
def test_a_data_set_with_photos_within_tables_is_to_be_loaded_in_python(tmp_path, name):
    (tmp_path / name).parent.mkdir()
    (tmp_path / name).write_bytes(b"PAR1")
    with pytest.raises(TagsegError, match=rf"has photos within {name}, .*photos=\.\.\.\) in Python$"):
        load(DataConfig(root=str(tmp_path)), "train")
    photos(tmp_path, "a.jpg")
    (tmp_path / "labels.csv").write_text("image,labels\na.jpg,cat\n")
    assert loaded(load(DataConfig(root=str(tmp_path), val_split=""), "train")) == {"a": ("cat",)}

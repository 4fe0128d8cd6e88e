"""Any JSON whatsoever, of hypothesis, for whatever reads JSON: a value or an error of one line."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .parser import Case
from .registry import PARSERS
from .trial import problem_of

NAMES = {
    "tags_json": "labels.json",
    "split_list": "split.json",
    "class_list": "classes.json",
    "colour_list": "labelmap.json",
    "class_map": "class_map.yaml",
    "coco_instances": "instances.json",
    "proposals_coco": "proposals.json",
    "proposals_json": "sa_1.json",
    "labelme": "a.json",
    "label_studio": "export.json",
    "fiftyone": "labels.json",
    "hf_card": "dataset_infos.json",
    "settings_yaml": "config.yaml",
    "progress_jsonl": "progress.jsonl",
    "data_json": "data.json",
    "made_from": "made_from.json",
    "label_json": "label.json",
}
_KEYS = (
    *(
        "images",
        "annotations",
        "categories",
        "id",
        "image_id",
        "category_id",
        "segmentation",
        "counts",
        "size",
        "height",
    ),
    *("width", "file_name", "iscrowd", "bbox", "name", "names", "classes", "labels", "image", "tags", "data", "result"),
    *("value", "choices", "annotator", "annotation_id", "flags", "shapes", "label", "imagePath", "version", "features"),
    *("class_label", "_type", "method", "run", "photos", "common", "files"),
)
KEYS = st.sampled_from(_KEYS)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | KEYS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(max_size=3), inner, max_size=5),
    max_leaves=12,
)


@pytest.mark.parametrize("name", NAMES)
def test_any_value_is_read_or_refused_in_one_line(name, memory, unchecked):
    @settings(max_examples=15, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(VALUES)
    def check(value):
        case = Case(NAMES[name], json.dumps(value).encode())
        assert not problem_of(PARSERS[name], case, memory)

    check()

"""The page's files, the description of the API, and what is at no address."""

import json
import logging
import re
from importlib.metadata import version
from importlib.resources import files

import pytest

from tagseg.serving.limits import Limits

from .served import assert_told, encoded, photo_array, running, segmented, serving_of


@pytest.fixture(scope="module")
def served(tiny):
    with running(serving_of(tiny, limits=Limits(bytes=1 << 20, pixels=123_456))) as client:
        yield client


def test_the_page_is_served_with_all_that_it_names(served):
    page = served.get("/")
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    named = re.findall(r'(?:src|href)="(page/[^"]+)"', page.text)
    assert named
    for name in named:
        assert served.get(f"/{name}").status_code == 200, name
    assert served.get("/favicon.ico").headers["content-type"] == "image/svg+xml"


KINDS = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}


def test_each_file_of_the_page_has_its_type_and_is_not_sent_twice(served):
    for file in files("tagseg.serving").joinpath("page").iterdir():
        kind = KINDS.get(file.name.rpartition(".")[2])
        if kind:
            answer = served.get(f"/page/{file.name}")
            assert answer.content == file.read_bytes()
            assert answer.headers["content-type"] == kind
            again = served.get(f"/page/{file.name}", headers={"if-none-match": answer.headers["etag"]})
            assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "path",
    ["/page/app.py", "/page/../app.py", "/page/%2e%2e%2fapp.py", "/page/..%5capp.py", "/page/", "/nothing", "/api"],
)
def test_nothing_else_is_served(served, path):
    assert_told(served.get(path), 404, "/docs for the API")


def test_a_setting_with_a_line_end_in_its_name_is_one_line(served):
    answer = served.post("/api/results/zip", json={"ids": [], "form\x85ats": ["npz"]})
    assert_told(answer, 422, "/docs describes what is expected")
    assert answer.json()["error"].isprintable()


def test_another_method_is_told(served):
    assert_told(served.delete("/api/info"), 405, "/docs lists")


def test_info_tells_what_is_served(served):
    assert served.get("/api/info").json() == {
        "name": "tiny",
        "classes": [
            {"label": 1, "name": "circle", "colour": "#800000"},
            {"label": 2, "name": "square", "colour": "#008000"},
            {"label": 3, "name": "triangle", "colour": "#808000"},
        ],
        "collection": False,
        "formats": ["png", "coco", "coco-polygons", "yolo", "labelstudio", "cvat", "npz"],
        "accepted_formats": ["png", "coco", "coco-polygons", "yolo", "labelstudio", "cvat"],
        "limits": {"bytes": 1 << 20, "pixels": 123_456},
        "version": version("tagseg"),
    }


def fields_of(description, path, method, status="200"):
    """The names of the fields of an answer, as described."""
    content = description["paths"][path][method]["responses"][status]["content"]["application/json"]["schema"]
    return set(description["components"]["schemas"][content["$ref"].rpartition("/")[2]]["properties"])


def test_the_description_is_true_to_the_answers(served):
    description = served.get("/openapi.json").json()
    found = segmented(served, encoded(photo_array()))
    id = found["id"]
    assert set(found) == fields_of(description, "/api/segment", "post")
    assert set(served.get("/api/info").json()) == fields_of(description, "/api/info", "get")
    pixel = served.get(f"/api/results/{id}/probability?x=0&y=0").json()
    assert set(pixel) == fields_of(description, "/api/results/{id}/probability", "get")
    for kind, media in (("mask.png", "image/png"), ("photo.jpg", "image/jpeg"), ("partition.png", "image/png")):
        told = description["paths"][f"/api/results/{{id}}/{kind}"]["get"]["responses"]["200"]["content"]
        assert list(told) == [media]
        assert served.get(f"/api/results/{id}/{kind}").headers["content-type"] == media
    form = description["paths"]["/api/segment"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert set(form["properties"]) == {"photo", "crf"}
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            answers = operation["responses"]
            assert {"400", "401", "403", "422", "503"} <= set(answers), (method, path)
            errors = [one for status, one in answers.items() if status >= "4"]
            assert all(one["content"]["application/json"]["schema"]["$ref"].endswith("/Error") for one in errors)
    assert "HTTPValidationError" not in json.dumps(description)


def test_the_page_of_the_api_lists_each_route_and_needs_no_script(served):
    page = served.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "<script" not in page.text
    assert "//" not in page.text.replace("<!doctype", "")
    for path, methods in served.get("/openapi.json").json()["paths"].items():
        for method in methods:
            assert re.search(f">{method.upper()}</span> <code>{re.escape(path)}</code>", page.text)


def test_an_error_of_ours_is_one_line_and_in_the_log(tiny, caplog):
    serving = serving_of(tiny)
    with running(serving) as client:
        id = segmented(client, encoded(photo_array()))["id"]
        serving.segmenter.names = {}
        with caplog.at_level(logging.ERROR, "tagseg"):
            answer = client.get(f"/api/results/{id}/probability?x=0&y=0")
        assert_told(answer, 500, "the terminal tells more")
        assert "KeyError" in caplog.text
        assert client.get("/").status_code == 200


def test_without_a_collection_its_routes_are_told(served):
    for path in ("/api/photos", "/api/photos/x", "/api/photos/x/mask.png", "/api/share", "/api/history", "/api/update"):
        assert_told(served.get(path), 404, "there are no photos to correct here")
    assert_told(served.post("/api/update"), 404, "there are no photos to correct here")

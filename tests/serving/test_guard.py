import httpx
import pytest

from tagseg.serving.guard import Rules

from .served import assert_told, running, serving_of

TOKEN = "a-token-of-the-tests"


@pytest.fixture(scope="module")
def open_to_this_machine(tiny):
    with running(serving_of(tiny)) as client:
        yield client


@pytest.fixture(scope="module")
def guarded(tiny):
    with running(serving_of(tiny), Rules(None, TOKEN)) as client:
        yield client


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8350", "127.0.0.1.evil.example", "[", ""])
def test_other_names_of_this_machine_are_refused(open_to_this_machine, host):
    answer = open_to_this_machine.get("/api/info", headers={"host": host})
    if host == "[":
        assert answer.status_code in (400, 403)  # h11 may refuse it first
    else:
        assert_told(answer, 403, "Host header")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1234", "127.0.0.1:8350", "[::1]:8350"])
def test_own_names_of_this_machine_are_taken(open_to_this_machine, host):
    assert open_to_this_machine.get("/api/info", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost:1"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_writes_from_pages_of_other_sites_are_refused(open_to_this_machine, headers):
    answer = open_to_this_machine.post("/api/undo", headers=headers)
    assert_told(answer, 403, "a page of another site")


def test_writes_of_the_own_page_and_of_programs_are_taken(open_to_this_machine):
    own = str(open_to_this_machine.base_url).rstrip("/")
    for headers in ({"origin": own, "sec-fetch-site": "same-origin"}, {}):
        assert_told(open_to_this_machine.post("/api/undo", headers=headers), 404, "no photos to correct")


def test_pages_load_nothing_from_elsewhere_and_say_what_they_are(open_to_this_machine):
    for path in ("/", "/docs", "/page/page.css", "/nothing", "/api/info"):
        headers = open_to_this_machine.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'self'; ")
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": f"Bearer {TOKEN}x"},
        {"authorization": f"Bearer {TOKEN[:-1]}"},
        {"authorization": f"Basic {TOKEN}"},
        {"authorization": "Bearer"},
        {"authorization": "Bearer ü".encode("latin-1")},
        {"cookie": "tagseg_token=other"},
        {"cookie": "tagseg_token"},
        {"cookie": "=;=\\;,"},
    ],
)
def test_without_the_token_nothing_is_told(guarded, headers):
    for path in ("/", "/api/info", "/openapi.json", "/page/page.css", f"/api/info?token={TOKEN}", "/?token=x"):
        assert_told(guarded.get(path, headers=headers), 401, "no valid token")


def test_the_token_is_taken_as_header_and_from_the_printed_address_as_cookie(guarded):
    assert guarded.get("/api/info", headers={"authorization": f"Bearer {TOKEN}", "host": "any"}).status_code == 200
    greeted = guarded.get(f"/?token={TOKEN}")
    assert (greeted.status_code, greeted.headers["location"]) == (303, "/")
    cookie = greeted.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite" in cookie
    assert guarded.get("/api/info", headers={"cookie": cookie.partition(";")[0]}).status_code == 200


def test_a_malformed_origin_is_another_site_and_no_error_of_the_server(trying):
    answer = httpx.post(f"{trying}/api/results/zip", headers={"origin": "http://["}, json={"ids": ["x"]})
    assert_told(answer, 403, "a page of another site wants to write here")

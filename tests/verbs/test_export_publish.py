"""``tagseg export --publish``: wrong flags are told before anything is computed; the folder goes to the repository."""

import pytest

from tagseg.exporting.export import Export
from tagseg.verbs.export import run

from ..conftest import assert_refused


@pytest.fixture
def calls(monkeypatch, tmp_path):
    """What was exported and what was published."""
    seen: list[tuple] = []
    monkeypatch.setattr(
        "tagseg.exporting.export.export", lambda model, **settings: seen.append(("export", model)) or Export(tmp_path)
    )

    def publish(folder, repository, *, private):
        seen.append(("publish", folder, repository, private))
        return f"hf://{repository}"

    monkeypatch.setattr("tagseg.exporting.publish.publish", publish)
    return seen


def test_wrong_flags(calls):
    assert_refused(lambda: run(["runs/x", "--private"]), "private is for a repository", "--publish OWNER/NAME")
    assert_refused(lambda: run(["runs/x", "--publish", "net"]), "hf://net: no address of a repository")
    assert not calls


def test_without_the_flag_nothing_is_published(calls):
    run(["runs/x"])
    assert calls == [("export", "runs/x")]


def test_the_folder_is_published(calls, tmp_path, capsys):
    run(["runs/x", "--publish", "hf://me/net", "--private"])
    assert calls == [("export", "runs/x"), ("publish", tmp_path, "me/net", True)]
    assert "published: tagseg.load('hf://me/net')" in capsys.readouterr().out

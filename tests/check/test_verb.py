"""The verb (``verbs/check.py``): exit codes, and what goes to standard output."""

import json
import logging
import subprocess
import sys

import pytest

from tagseg.cli import main


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    code = main(["check", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_clean_folder_exits_with_0(photos, capsys, caplog):
    photos.write()
    with caplog.at_level(logging.INFO, "tagseg"):
        code, out, _ = run(capsys, str(photos.root))
    assert code == 0
    assert out.startswith("nothing found (33 photos, 3 classes, ")
    assert "classes  3: cat" in caplog.text


def test_an_error_exits_with_1_and_says_what_to_do(photos, capsys):
    photos.rows["p00.jpg"] = (["hrose"], "train")
    photos.write()
    code, out, _ = run(capsys, str(photos.root))
    assert code == 1
    assert "error        1  tags that are not in the class list: 'hrose' (1, like 'horse')" in out
    assert "→ correct them" in out


def test_warnings_alone_exit_with_0_but_if_strict_with_1(photos, capsys):
    photos.rows["p00.jpg"] = (["CAT"], "train")
    photos.write()
    assert run(capsys, str(photos.root))[0] == 0
    assert run(capsys, str(photos.root), "--strict")[0] == 1


def test_json_is_all_of_standard_output(photos, capsys):
    photos.rows["p00.jpg"] = (["CAT"], "train")
    photos.write()
    code, out, _ = run(capsys, "--json", "--strict", "--data.root", str(photos.root))
    content = json.loads(out)
    assert (code, content["exit_code"]) == (1, 1)
    assert [finding["code"] for finding in content["findings"]] == ["respelled_tags"]


def test_data_settings_are_those_of_train(photos, capsys):
    photos.write()
    (photos.root / "labels.csv").rename(photos.root / "mine.csv")
    code, out, _ = run(capsys, str(photos.root), "--data.tags", "mine.csv", "--data.masks", "none", "--json")
    assert code == 0
    assert json.loads(out)["photos"] == {"train": 27, "val": 6}


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["none"], "does not exist"),
        (["--data.rot", "x"], "did you mean --data.root?"),
        (["a", "b"], "photos are given twice"),
    ],
)
def test_a_users_error_exits_with_2_in_one_line(capsys, tmp_path, monkeypatch, arguments, part):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("tagseg: error: ")
    assert part in err
    assert len(err.splitlines()) == 1


@pytest.mark.slow
def test_nothing_heavy_is_imported(photos):
    photos.write()
    code = f"import sys; from tagseg.cli import main; main(['check', {str(photos.root)!r}]); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "nothing found" in done.stdout
    assert not set(done.stdout.split()) & {"torch", "timm", "lightning", "matplotlib", "numba"}

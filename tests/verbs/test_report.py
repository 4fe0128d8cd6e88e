import pytest

from tagseg.cli import main
from tagseg.config_file import save_config
from tagseg.model.checkpoint import save_network
from tagseg.training.train import TrainResult

from ..conftest import tiny_config

pytestmark = pytest.mark.slow
FAST = ("--scales", "[1.0]", "--gallery", "1", "--cam", "false")


@pytest.fixture(scope="module")
def run(tiny, tagged_folder, tmp_path_factory):
    """The folder of a run on the tagged photos."""
    folder = tmp_path_factory.mktemp("run")
    save_network(tiny, folder / "last.safetensors")
    save_config(tiny_config(tagged_folder, folder), folder)
    return folder


def test_a_run_is_reported_on_with_its_own_data(run, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["report", str(run), *FAST]) == 0
    score, place = capsys.readouterr().out.splitlines()
    assert "segmentation mIoU " in score
    assert score.endswith("(2 photos of val)")
    assert place == "report: report.html"
    assert (tmp_path / "report.html").read_text("utf-8").startswith("<!doctype html>")


def test_runs_stand_wherever_and_data_may_be_others(run, tagged_folder, tmp_path, capsys):
    path = tmp_path / "both.html"
    files = [str(run), "--output", str(path), *FAST, "--crf", "--data.val_split", "train", "--limit", "2"]
    assert main(["report", *files]) == 0
    assert "with CRF" in capsys.readouterr().out
    assert "--data.val_split train" in path.read_text("utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere: no such file or folder"),
        (["RUN", "nowhere"], "nowhere: no such file or folder"),
        (["RUN", "--data.root", "absent"], "absent"),
        (["RUN", "--split", "test"], "test"),
        (["RUN", "--output", "report.txt"], "ends in .html"),
        (["RUN", "--galery", "3"], "did you mean --gallery?"),
        ([], "runs"),
    ],
)
def test_what_is_wrong_is_one_line(run, tmp_path, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert main(["report", *(str(run) if word == "RUN" else word for word in arguments)]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[-1].startswith("tagseg: error: ")
    assert message in lines[-1]
    assert not list(tmp_path.iterdir())


def test_a_training_ends_by_naming_the_report(run, tagged_folder, capsys, monkeypatch):
    done = TrainResult(run, run / "last.safetensors", 6, {})
    monkeypatch.setattr("tagseg.training.train.train", lambda config, resume: done)
    assert main(["train", str(tagged_folder)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"look at all of it with: tagseg report {run}"

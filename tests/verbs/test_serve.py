import os
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from tagseg.cli import main
from tagseg.config import replace
from tagseg.errors import TagsegError
from tagseg.model.checkpoint import save_network
from tagseg.serving import first_run, serve

from ..conftest import assert_refused
from ..serving.served import assert_told, encoded, labels_in, photo_array, segmented, send
from ..training.conftest import frozen_config


@pytest.fixture(scope="module")
def network(tiny, tmp_path_factory):
    file = tmp_path_factory.mktemp("network") / "tiny.safetensors"
    save_network(tiny, file)
    return file


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_exit_code_tells_the_signal(network, monkeypatch, capsys, number, code):
    monkeypatch.setattr(serve, "run", lambda app, bound: number)
    assert main(["serve", str(network), "--port", "0", "--scales", "[1.0]"]) == code
    shown = capsys.readouterr()
    first, second = shown.out.splitlines()
    assert first == "serving tiny.safetensors (3 classes); Ctrl-C ends it"
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", second)
    assert shown.err.strip() == "tagseg: the server has ended; corrections are saved"


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ([], "source"),
        (["nowhere"], "nowhere does not exist"),
        (["NETWORK", "--port", "99999"], "port is 99999"),
        (["NETWORK", "--token", "short"], "token is not as expected"),
        (["NETWORK", "--max_pixels", "0"], "the limit pixels is 0"),
        (["NETWORK", "--prot", "1"], "did you mean --port?"),
        (["NETWORK", "--run.steps", "9"], "is trained already"),
        (["EMPTY"], "EMPTY"),
        (["TEXT"], "TEXT"),
    ],
)
def test_what_cannot_be_served_is_one_line(network, tmp_path, monkeypatch, capsys, arguments, part):
    monkeypatch.chdir(tmp_path)
    Path("EMPTY").mkdir()
    Path("TEXT").write_text("no network")
    assert main(["serve", *(str(network) if word == "NETWORK" else word for word in arguments)]) == 2
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith("tagseg: error: ")
    assert part in line


def test_missing_packages_are_told_with_the_way_to_have_them(network, monkeypatch, capsys):
    monkeypatch.setattr(serve, "find_spec", lambda name: None if name == "uvicorn" else name)
    assert main(["serve", str(network)]) == 2
    assert '(uvicorn), expected them: pip install "tagseg[serve]"' in capsys.readouterr().err


@pytest.mark.slow
def test_photos_are_trained_on_first_and_their_run_is_taken_again(tagged_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(serve, "run", lambda app, bound: signal.SIGTERM)
    config = frozen_config(tagged_folder, tmp_path / "runs" / "mine", features={"size": 64}, run={"steps": 4})
    for _ in range(2):
        serve.serve(tagged_folder, config=config, port=0)
        assert capsys.readouterr().out.startswith("serving mine (3 classes, 6 photos to correct); Ctrl-C ends it\n")
    assert (tmp_path / "runs" / "mine" / "last.safetensors").is_file()
    other = replace(config, run={"steps": 5})
    assert_refused(lambda: first_run.given(tagged_folder, other), "was trained with run.steps 4, expected 5")
    elsewhere = replace(config, data={"root": str(tmp_path)})
    assert_refused(lambda: first_run.given(tmp_path, elsewhere), f"was trained on {tagged_folder}, expected {tmp_path}")
    (tmp_path / "runs" / "mine" / "last.safetensors").unlink()
    assert_refused(lambda: first_run.given(tmp_path / "runs" / "mine"), "tagseg train --resume")


def test_settings_of_a_training_are_told_apart(tagged_folder, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    seen = []

    def given(source, config):
        seen.append((source, config))
        raise TagsegError("enough")

    monkeypatch.setattr(serve, "given", given)
    flags = ["--run.steps", "7", "--network.weights=none", "--port", "0", "--crf_settings.iterations", "3"]
    assert main(["serve", *flags, str(tagged_folder)]) == 2
    assert main(["serve", str(tagged_folder), "--run.output", "elsewhere", "--port", "0"]) == 2
    assert main(["serve", str(tagged_folder), "--port", "0"]) == 2
    (source, first), (_, second), (_, third) = seen
    assert source == str(tagged_folder)
    assert (first.run.steps, first.network.weights, first.data.root) == (7, "none", str(tagged_folder))
    assert first.run.output == str(Path("runs") / tagged_folder.name)
    assert second.run.output == "elsewhere"
    assert third is None


def memory(process, what):
    """``VmRSS`` or ``VmHWM`` of a process in bytes."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    found = re.search(rf"{what}:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024


def upload(client, content):
    """An upload over a connection of its own."""
    return httpx.post(client.base_url.join("/api/segment"), files={"photo": ("a.jpg", content)}, timeout=120)


@pytest.fixture
def process(network, tmp_path):
    """A server of its own, as people start it, and a client."""
    (tmp_path / "temporary").mkdir()
    environment = {**os.environ, "TMPDIR": str(tmp_path / "temporary"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tagseg", "serve", str(network), "--port", "0", "--scales", "[1.0]"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=tmp_path
    ) as started:
        try:
            assert started.stdout is not None
            started.stdout.readline()
            with httpx.Client(base_url=started.stdout.readline().strip(), timeout=120) as client:
                yield started, client
        finally:
            if started.poll() is None:
                started.kill()


@pytest.mark.slow
@pytest.mark.processes
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory of a process is read from /proc")
def test_a_server_lives_on_whatever_is_sent_in_bounded_memory_until_it_is_told_to_end(process, tmp_path):
    started, client = process
    whole = encoded(photo_array(), "JPEG")
    segmented(client, whole, "first.jpg")
    panorama = encoded(Image.fromarray(np.tile(photo_array(500, 200), (1, 100, 1))), "JPEG")
    before = memory(started, "VmHWM")
    bomb = encoded(Image.new("1", (30_000, 30_000)))
    for content, name, status, part in (
        (bomb, "bomb.png", 413, "bomb.png has 900,000,000 pixels (30000 x 30000), expected at most 50,000,000"),
        (b"text" * 1000, "text.jpg", 415, "text.jpg cannot be read as an image"),
        (whole[:700], "cut.jpg", 422, "cut.jpg cannot be read as an image"),
        (b"\0" * (65 << 20), "large.jpg", 413, "larger than 64 MB"),
    ):
        assert_told(send(client, content, name), status, part)
    assert memory(started, "VmHWM") - before < 100 << 20

    found = segmented(client, panorama, "panorama.jpg")
    assert (found["width"], found["height"]) == (20_000, 500)
    assert labels_in(client.get(f"/api/results/{found['id']}/mask.png").content).shape == (500, 20_000)
    assert memory(started, "VmHWM") - before < 700 << 20  # 10 megapixels: photo, logits of two classes, labels

    resting = memory(started, "VmRSS")
    with ThreadPoolExecutor(50) as pool:
        contents = [encoded(photo_array(seed=seed), "JPEG") for seed in range(50)]
        answers = list(pool.map(lambda content: upload(client, content), contents))
    assert [answer.status_code for answer in answers] == [200] * 50
    assert len({answer.json()["id"] for answer in answers}) == 50
    assert memory(started, "VmRSS") - resting < 150 << 20
    assert client.get("/api/info").status_code == 200

    started.send_signal(signal.SIGINT)
    out, err = started.communicate(timeout=20)
    assert started.returncode == 130
    assert (out, err.strip()) == ("", "tagseg: the server has ended; corrections are saved")
    assert list((tmp_path / "temporary").iterdir()) == []
    with pytest.raises(httpx.TransportError):
        httpx.get(client.base_url)

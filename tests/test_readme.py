"""The README's commands: each verb and flag exists, and the Python runs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from shutil import copytree
from signal import SIGTERM

import pytest
import torch

from tagseg.exporting.tracing import ANY_SIZE_SINCE

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    return [line.split("#")[0].strip() for block in blocks for line in block.splitlines() if line.strip()]


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = [command.split()[1] for command in commands() if command.startswith("make ")]
    assert targets == ["demo", "test"]
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)


def test_the_commands_run_on_scenes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs every verb as written, on a folder of drawn scenes and with a tiny network."""
    from tagseg.cli import main
    from tagseg.data.scenes.source import draw_folder

    pytest.importorskip("onnx", reason="export needs tagseg[export]")
    pytest.importorskip("fastapi", reason="serve needs tagseg[serve]")
    served: list[str] = []
    monkeypatch.setattr("tagseg.serving.serve.serve", lambda source, **_: served.append(source))
    monkeypatch.chdir(tmp_path)
    draw_folder(tmp_path / "photos", "train", 12)
    copytree(tmp_path / "photos" / "images", tmp_path / "new_photos")
    encoder = ["--network.encoder", "vit_tiny_patch16_224", "--network.weights", "none", "--features.size", "64"]
    encoder += ["--network.encoder_options", '{"img_size": 64, "embed_dim": 48, "depth": 4, "num_heads": 3}']
    decoder = (
        "--run.batch 2 --run.steps 4 --run.workers 0 --network.decoder_width 16 --network.projector_width 16 "
        "--network.prototypes 8 --network.projector_bottleneck 8 --run.accelerator cpu"
    )
    options = {"label": encoder, "train": [*encoder, *decoder.split()]}
    if tuple(int(part) for part in torch.__version__.split(".")[:2]) < ANY_SIZE_SINCE:
        options["export"] = ["--size", "64"]  # which the refusal of older PyTorch asks for
    lines = [line for line in commands() if line.startswith("tagseg ")]
    verbs = [line.split()[1] for line in lines]
    assert verbs[:7] == ["check", "label", "train", "train", "predict", "review", "evaluate"]
    assert verbs[7:] == ["report", "serve", "export"]
    for line in lines:
        arguments = shlex.split(line)[1:]
        if "--resume" not in arguments:
            arguments += options.get(arguments[0], [])
        # A server that ends by itself was asked to; nothing else may end otherwise than well.
        assert main(arguments) == (128 + SIGTERM if arguments[0] == "serve" else 0), line
    assert served == ["runs/photos"]
    assert (tmp_path / "report.html").exists()
    assert list((tmp_path / "export").glob("*.onnx"))
    assert len(list((tmp_path / "masks" / "masks").iterdir())) == 12
    assert (tmp_path / "masks" / "coco.json").exists()
    assert (tmp_path / "dataset" / "data.yaml").exists()
    assert (tmp_path / "review" / "review.csv").exists()


def test_the_python_names_exist() -> None:
    import tagseg

    code = "\n".join(re.findall(r"```python\n(.*?)```", README, re.DOTALL))
    names = set(re.findall(r"tagseg\.(\w+)", code))
    assert names
    assert all(callable(getattr(tagseg, name)) or name == "PRESETS" for name in names)
    compile(code, "README.md", "exec")

"""The plain classifier: L_cls alone, scored by its CAMs, trained like any method."""

import csv

import pytest
import torch

from tagseg.cli import main
from tagseg.config import replace
from tagseg.config_file import read_config, save_config
from tagseg.fsr.losses import classification_loss
from tagseg.methods.build import build_method
from tagseg.methods.classifier import Classifier
from tagseg.methods.config import ClassifierConfig, with_method
from tagseg.model.checkpoint import load_network, read_about
from tagseg.model.weights import read_weights
from tagseg.training.train import train

from ..conftest import CLASSES, tiny_config
from ..steps import EVERY, MIXED, batch_of
from ..training.conftest import At, stop, weights_equal

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def config(tagged_folder, tmp_path_factory):
    """Eight steps, scored after 4 and 8, at a rate at which they are learned from."""
    config = tiny_config(tagged_folder, tmp_path_factory.mktemp("classifier") / "run")
    return replace(with_method(config, "classifier"), run={"steps": 8, "validate_every": 4}, optimiser={"rate": 1e-3})


def built(config, seed=0):
    torch.manual_seed(seed)
    return build_method(config, CLASSES).train()


@pytest.mark.parametrize("form", ["fast", "plain"])
@pytest.mark.parametrize("step", [0, 7])
def test_its_only_loss_is_that_of_the_tags(config, form, step):
    method = built(replace(config, speed={"step": form}, network={"drop_path": 0.0}))
    assert isinstance(method, Classifier)
    batch = batch_of(MIXED)
    losses = method.losses(batch, step)
    assert set(losses.terms) == {"classification"}
    assert losses.health == {}
    network = method.network
    expected = classification_loss(*network.classify(network.encoder(network.normalise(batch.view1))), batch.tags)
    torch.testing.assert_close(losses.total, expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(losses.total, losses.terms["classification"])
    losses.total.backward()
    trained = {name.partition(".")[0] for name, p in network.named_parameters() if p.grad is not None and p.grad.any()}
    assert trained == {"encoder", "classifier", "aux_classifier"}


def test_drop_path_follows_each_images_seed(config):
    method = built(replace(config, network={"drop_path": 0.5}))
    batch = batch_of(MIXED)
    assert torch.equal(method.losses(batch, 0).total, method.losses(batch, 0).total)
    other = batch_of(MIXED)
    other.drop_path_seeds += 1
    assert not torch.equal(method.losses(other, 0).total, method.losses(batch, 0).total)


@pytest.fixture(scope="module")
def run(config):
    return config, train(config)


def logged_names(folder):
    with next((folder / "logs").glob("*/metrics.csv")).open(newline="") as file:
        return set(csv.DictReader(file).fieldnames or ())


def test_a_training_from_end_to_end(run):
    config, result = run
    assert isinstance(config.method, ClassifierConfig)
    assert result.steps == 8
    names = {path.name for path in result.folder.iterdir()}
    networks = {"best.safetensors", "last.safetensors"}
    assert names == networks | {
        "config.yaml",
        "data.json",
        "last.ckpt",
        "previous.ckpt",
        "best.ckpt",
        "logs",
        "progress.jsonl",
    }
    assert read_config(result.folder / "config.yaml") == config
    assert {name for name in logged_names(result.folder) if name.startswith("train/")} == {
        "train/loss",
        "train/classification",
    }
    assert not {f"train/{name}" for name in EVERY - {"classification"}} & logged_names(result.folder)


def test_only_its_cams_and_tags_are_scored(run):
    _, result = run
    assert result.scores.keys() == {"val/network/cam", "val/network/aux_cam", "val/network/tag_f1"}
    assert all(0 <= score <= 1 for score in result.scores.values())


def test_the_best_network_is_that_with_the_best_cam(run):
    _, result = run
    assert result.network == result.folder / "best.safetensors"
    best = read_about(result.folder / "best.safetensors")
    assert best["network"] == "network"
    assert best["best"] == best["scores"]["val/network/cam"]
    assert best["best"] >= result.scores["val/network/cam"]
    assert read_about(result.folder / "last.safetensors")["step"] == 8
    assert load_network(result.folder).classes == CLASSES


def test_it_trains_neither_decoder_nor_projector(run):
    config, result = run
    before = built(config, config.run.seed).network.state_dict()
    after = read_weights(result.folder / "last.safetensors")
    assert after.keys() == before.keys()
    changed = {name.partition(".")[0] for name in after if not torch.equal(after[name], before[name])}
    assert changed == {"encoder", "classifier", "aux_classifier"}


def test_a_stopped_training_resumes_where_it_was(run, tmp_path):
    config, result = run
    parts = replace(config, run={"output": str(tmp_path)})
    with pytest.raises(KeyboardInterrupt, match="stopped at step 3"):
        train(parts, callbacks=[At(3, stop)])
    resumed = train(parts, resume=tmp_path)
    assert resumed.steps == 8
    assert weights_equal(resumed.folder, result.folder)


def test_its_classifiers_can_be_fitted_before_the_first_step(tagged_folder, tmp_path, caplog):
    caplog.set_level("INFO", "tagseg")
    config = with_method(tiny_config(tagged_folder, tmp_path, beyond={"fit_classifiers": True}), "classifier")
    train(replace(config, run={"steps": 2}))
    assert caplog.text.count("fitting the classifiers to the pretrained features of 6 images") == 1
    train(replace(config, run={"steps": 4}), resume=tmp_path)
    assert caplog.text.count("fitting the classifiers") == 1, "not once more when it is resumed"


def test_on_the_command_line(capsys, config, tagged_folder, tmp_path):
    """From settings of FSR, of which it keeps those that it has; then resumed and scored."""
    own = tiny_config(tagged_folder, tmp_path / "run")
    sections = {name: vars(section) for name, section in own.sections().items() if name in ("network", "run", "views")}
    flags = [
        f"--{section}.{key}={flag_of(value)}" for section, values in sections.items() for key, value in values.items()
    ]
    arguments = ["--preset", "paper", "--data.root", str(tagged_folder), *flags]
    assert main(["train", "--method", "classifier", *arguments, "--run.steps=3", "--optimiser.rate=0.001"]) == 0
    assert "trained 3 steps" in capsys.readouterr().out
    config = read_config(tmp_path / "run" / "config.yaml")
    assert config.method == ClassifierConfig(cam=config.sections()["cam"], optimiser=config.sections()["optimiser"])
    assert config.method.optimiser.rate == 0.001
    assert main(["train", "--resume", str(tmp_path / "run"), "--run.steps", "5"]) == 0
    assert "trained 5 steps" in capsys.readouterr().out
    assert main(["evaluate", str(tmp_path / "run"), "--what", "cam"]) == 0
    save_config(config, tmp_path / "again")
    again = str(tmp_path / "again" / "config.yaml")
    assert main(["train", "--method", "classifier", "--config", again, "--run.output", str(tmp_path / "second")]) == 0
    assert read_about(tmp_path / "second" / "last.safetensors")["step"] == 3


def flag_of(value):
    if isinstance(value, tuple):
        return str(list(value))
    return str(value).replace("'", '"') if isinstance(value, dict) else str(value)


def test_its_untrained_decoder_is_not_used_in_silence(config, tagged_folder, tmp_path, capsys):
    run = tmp_path / "run"
    train(replace(config, run={"output": str(run), "steps": 2, "validate_every": 0}))
    for model in (run, run / "last.safetensors"):
        assert main(["predict", str(model), str(tagged_folder / "images"), "--output", str(tmp_path / "masks")]) == 2
        line = capsys.readouterr().err.strip().splitlines()[-1]
        assert "its decoder was not trained" in line
        assert "tagseg evaluate RUN --what cam" in line
        assert main(["evaluate", str(model), "--data.root", str(tagged_folder)]) == 2
    assert not list(tmp_path.glob("masks/**/*.png"))
    data = ["--data.root", str(tagged_folder)]
    assert main(["evaluate", str(run), "--what", "cam", *data]) == 0
    assert main(["train", "--resume", str(run), "--run.steps", "3"]) == 0
    assert "--what cam" in capsys.readouterr().out

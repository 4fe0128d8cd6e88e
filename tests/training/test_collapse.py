"""A training that has silently died is told once, and stopped if it lasts; a young or healthy one is let alone."""

import logging
import math
from typing import Any

import pytest
import torch

from tagseg.cli import main
from tagseg.config import replace
from tagseg.config_file import save_config
from tagseg.errors import Collapsed
from tagseg.methods.build import build_method
from tagseg.training import collapse
from tagseg.training.collapse import Watch, symptoms
from tagseg.training.collapse_advice import advice, watch_of
from tagseg.training.train import train

from ..conftest import CLASSES, tiny_config
from .conftest import logged, weights_equal

LABELS = ("background", "cat", "dog")
PROTOTYPES = 4096
CONSTANT = math.log(2)
"""Loss of the best constant answer where each of two tags is on half of the images."""
HEALTHY: dict[str, Any] = {
    "tagged": 1.0, "found": 1.0, "tag_logit": 2.0, "tag_loss": 0.1, "tags": [0.5, 0.5], "similarity": 0.3,
    "ranked": [0.9, 1.0],
    "predicted": [0.6, 0.2, 0.2], "labels": [0.5, 0.2, 0.2], "label_losses": [0.1, 0.1],
    "certain_teacher_entropy": 6.0, "uncertain_teacher_entropy": 6.0,
}  # fmt: skip
DEAD: dict[str, dict[str, Any]] = {
    "tags": {"found": 0.0, "tag_logit": -2.0, "tag_loss": CONSTANT, "ranked": [0.5, 1.0]},
    "features": {"similarity": 0.995, "tag_loss": CONSTANT, "ranked": [0.5, 1.0], "tagged": 0.4},
    "labels": {"predicted": [1.0, 0.0, 0.0], "label_losses": [0.5 * 1.04, 0.4 * 1.04]},
    "targets": {"certain_teacher_entropy": 8.31},
}


def signs(**changes):
    return {name: torch.tensor(value) for name, value in (HEALTHY | changes).items()}


def kinds(**changes):
    means = {name: value.reshape(-1).tolist() for name, value in signs(**changes).items()}
    return [symptom.kind for symptom in symptoms(means, LABELS, PROTOTYPES)]


def watch(steps=1000, stop=True, batch=8):
    return Watch(steps, batch, LABELS, PROTOTYPES, stop=stop, cause="CAUSE", harmless="HARMLESS")


def run(watch, start, end, **changes):
    """What the trainer does at each step."""
    for step in range(start, end):
        watch.judge(step)
        watch.observe(step, signs(**changes))
    watch.judge(end)


@pytest.fixture
def warnings(caplog):
    caplog.set_level(logging.WARNING, "tagseg")
    return lambda: [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize("kind", DEAD)
def test_each_kind_of_collapse_is_recognised_and_only_that(kind):
    assert kinds() == []
    assert kinds(**DEAD[kind]) == [kind]


NOT_DEAD = {
    "all tag logits negative, but it learns": DEAD["tags"] | {"tag_loss": 0.5 * CONSTANT},
    "all tag logits negative, but right images first": DEAD["tags"] | {"ranked": [0.7, 1.0]},
    "hardly any image has tags": DEAD["tags"] | {"tagged": 0.1},
    "similar features that tell the tags": DEAD["features"] | {"tag_loss": 0.5 * CONSTANT},
    "less similar features": DEAD["features"] | {"similarity": 0.98},
    "one label, but it learns": DEAD["labels"] | {"label_losses": [0.25, 0.2]},
    "some patches have another label": DEAD["labels"] | {"predicted": [0.99, 0.01, 0.0]},
    "trained on nothing else": DEAD["labels"] | {"labels": [1.0, 0.0, 0.0]},
    "everything ignored": DEAD["labels"] | {"labels": [0.0, 0.0, 0.0], "label_losses": [0.0, 0.0]},
    "half a percent of information": {"certain_teacher_entropy": 0.99 * math.log(PROTOTYPES)},
}


@pytest.mark.parametrize("changes", NOT_DEAD.values(), ids=NOT_DEAD)
def test_what_looks_like_it_is_none(changes):
    assert kinds(**changes) == []


def test_signs_that_a_method_does_not_give_are_not_missed():
    assert symptoms({}, LABELS, PROTOTYPES) == []
    only = {"tagged": [1.0], "found": [0.0], "tag_logit": [-1.0], "tag_loss": [CONSTANT], "tags": [0.5, 0.5]}
    assert symptoms(only, LABELS, PROTOTYPES) == [], "batches of one image"
    assert symptoms(only | {"ranked": [0.0, 0.0]}, LABELS, PROTOTYPES) == [], "every image has the same tags"
    ranked = symptoms(only | {"ranked": [1.0, 2.0]}, LABELS, PROTOTYPES)
    assert [symptom.kind for symptom in ranked] == ["tags"]


def test_one_line_names_what_was_seen_since_when_and_the_way_out(warnings):
    dying = watch()
    run(dying, 0, 300)
    assert warnings() == []
    with pytest.raises(Collapsed) as caught:
        run(dying, 300, 1000, **DEAD["tags"])
    message = str(caught.value)
    assert "\n" not in message
    numbers = "mean highest tag logit -2.00; tag loss 0.693, a constant answer has 0.693; AUC 0.50"
    seen = f"no class is predicted for any image ({numbers}) since step 300"
    assert message == f"step 500: the training has collapsed, {seen}: CAUSE"
    assert warnings() == [f"step 350: {seen}, the training stops if that lasts to step 500: CAUSE"]


def test_predictions_at_random_and_a_segmentation_that_goes_with_them_are_told():
    random = DEAD["tags"] | {"found": 0.02, "predicted": [1.0, 0.0, 0.0], "labels": [1.0, 0.0, 0.0]}
    means = {name: value.reshape(-1).tolist() for name, value in signs(**random).items()}
    (symptom,) = symptoms(means, LABELS, PROTOTYPES)
    assert symptom.kind == "tags"
    assert symptom.seen.startswith(
        "classes are predicted at random (2% of images) and the segmentation is 'background' everywhere (mean highest"
    )


def test_small_batches_are_judged_over_as_many_images(warnings):
    with pytest.raises(Collapsed, match=r"step 1600: .* since step 800"):
        run(watch(batch=2), 0, 2000, **DEAD["tags"])


def test_it_stops_after_15_percent_of_a_long_training(warnings):
    dying = watch(steps=10_000)
    run(dying, 0, 2_000)
    with pytest.raises(Collapsed, match=r"step 3500: .* since step 2000"):
        run(dying, 2_000, 4_000, **DEAD["labels"])
    assert len(warnings()) == 1


@pytest.mark.parametrize("kind", ["tags", "features", "labels"])
def test_a_training_dead_from_the_first_step_has_the_grace_of_a_young_one(kind, warnings):
    with pytest.raises(Collapsed, match=r"step 400: .* since step 200"):
        run(watch(), 0, 1000, **DEAD[kind])
    assert len(warnings()) == 1


def test_a_young_training_is_not_told_to_be_dead(warnings):
    young = watch()
    run(young, 0, 200, **DEAD["tags"] | DEAD["labels"] | DEAD["features"])
    run(young, 200, 1000)
    assert warnings() == []


def test_a_loss_that_starts_late_is_young_when_it_starts(warnings):
    young = watch(steps=2000)
    for step in range(700):
        young.judge(step)
        late = ("predicted", "labels", "label_losses")
        young.observe(step, {n: v for n, v in signs(**DEAD["labels"]).items() if step >= 500 or n not in late})
    assert warnings() == []
    with pytest.raises(Collapsed, match=r"step 1000: .* since step 700"):
        run(young, 700, 2000, **DEAD["labels"])


def test_one_that_recovers_goes_on(warnings):
    recovering = watch()
    for start in range(200, 1000, 100):
        run(recovering, start, start + 50, **DEAD["tags"])
        run(recovering, start + 50, start + 100)
    assert len(warnings()) == 1, "told once"


def test_with_warnings_alone_nothing_stops(warnings):
    run(watch(stop=False), 0, 1000, **DEAD["tags"] | DEAD["features"] | {"tagged": 1.0})
    assert len(warnings()) == 2, "one for each kind, once"
    assert all("stops" not in line and line.endswith("CAUSE") for line in warnings())


def test_uniform_targets_are_told_at_once_and_never_fatal(warnings):
    run(watch(), 0, 1000, **DEAD["targets"])
    assert warnings() == [
        "step 50: distillation targets are uniform (teacher entropy 8.31 for L_cer, ln P = 8.32): HARMLESS"
    ]


def test_other_processes_stop_as_well_but_are_quiet(warnings):
    other = watch()
    for step in range(400):
        other.judge(step, quiet=True)
        other.observe(step, signs(**DEAD["tags"]))
    with pytest.raises(Collapsed):
        other.judge(400, quiet=True)
    assert warnings() == []


def test_parts_of_a_step_are_averaged():
    accumulated = watch()
    for step in range(400):
        for logit in (-1.0, -3.0):
            accumulated.judge(step)
            accumulated.observe(step, signs(**DEAD["tags"] | {"tag_logit": logit}))
    with pytest.raises(Collapsed, match=r"step 400: .*mean highest tag logit -2\.00"):
        accumulated.judge(400)


def test_a_resumed_training_has_its_grace_anew(warnings):
    resumed = watch()
    run(resumed, 700, 900, **DEAD["tags"])
    assert warnings() == []


def test_the_advice_names_the_usual_rate_of_the_encoder(tagged_folder, tmp_path):
    config = tiny_config(tagged_folder, tmp_path, optimiser={"rate": 6e-4})
    line = advice(config, build_method(config, CLASSES))
    assert line.startswith("optimiser.rate 0.0006 is probably too high for vit_tiny_patch16_224: lower it")
    assert "--optimiser.rate 6e-05 is usual for supervised ViT" in line
    assert "--method frozen" in line
    assert line.endswith(f"; --resume {tmp_path} --run.collapse warn goes on")
    low = replace(config, optimiser={"rate": 0.0}, run={"collapse": "warn"})
    line = advice(low, build_method(low, CLASSES))
    assert "(--optimiser.rate 6e-06)" in line
    assert "--resume" not in line


def test_off_watches_nothing(tagged_folder, tmp_path):
    config = tiny_config(tagged_folder, tmp_path, run={"collapse": "off"})
    assert watch_of(config, build_method(config, CLASSES)) is None


@pytest.fixture
def soon(monkeypatch):
    """Everything is judged after a few steps, as this is a test."""
    for name, value in (("WINDOW", (10, 0)), ("YOUTH", (1, 0)), ("GRACE", (2, 0))):
        monkeypatch.setattr(collapse, name, value)


def lasting(root, output, rate):
    """Sixty steps of FSR, whose rate decides whether they are lived through."""
    config = tiny_config(root, output, mask={"choice": "none"}, losses={"affinity": 0.0, "energy": 0.0})
    run = {"steps": 60, "batch": 4, "log_every": 10}
    return replace(config, optimiser={"rate": rate, "warmup": 5}, run=run)


@pytest.mark.slow
@pytest.mark.usefixtures("soon")
def test_a_training_at_an_absurd_rate_stops_with_one_line_and_can_be_resumed(tagged_folder, tmp_path, warnings):
    config = lasting(tagged_folder, tmp_path / "run", 0.3)
    with pytest.raises(Collapsed, match=r"^step \d+: the training has collapsed, ") as caught:
        train(config)
    message = str(caught.value)
    assert "\n" not in message
    assert "optimiser.rate 0.3 is probably too high" in message
    assert any("the training stops if that lasts" in line for line in warnings())
    stopped = int(message.split(":")[0].removeprefix("step "))
    assert stopped < 60
    assert torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)["global_step"] == stopped
    on = replace(config, run={"collapse": "warn"})
    assert train(on, resume=tmp_path / "run").steps == 60
    whole = train(replace(on, run={"output": str(tmp_path / "whole"), "collapse": "off"}))
    assert weights_equal(whole.folder, tmp_path / "run"), "what watches a training changes nothing in it"


@pytest.mark.slow
@pytest.mark.usefixtures("soon")
def test_it_is_an_error_of_the_command_line_too(tagged_folder, tmp_path, capsys):
    save_config(lasting(tagged_folder, tmp_path / "run", 0.3), tmp_path / "settings")
    assert main(["train", "--config", str(tmp_path / "settings" / "config.yaml")]) == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("tagseg: error: step ")
    assert "the training has collapsed" in last


@pytest.mark.slow
@pytest.mark.usefixtures("soon")
def test_a_healthy_training_is_let_alone(tagged_folder, tmp_path, warnings):
    result = train(lasting(tagged_folder, tmp_path / "run", 1e-3))
    assert result.steps == 60
    assert [warning for warning in warnings() if "too few to learn them by" not in warning] == []
    names = {"signs/tag_logit", "signs/feature_similarity", "signs/commonest_label_share"}
    assert names <= logged(result.folder)[49].keys()

import dataclasses

import pytest

from tagseg.beyond.config import BeyondConfig
from tagseg.config import Config, RunConfig, SpeedConfig, replace
from tagseg.data.config import ViewConfig
from tagseg.errors import TagsegError, list_some
from tagseg.fsr.config import (
    CamConfig,
    DistillationConfig,
    EnergyConfig,
    FSRConfig,
    LabelConfig,
    LossConfig,
    MaskConfig,
    OptimiserConfig,
    PartitionConfig,
)
from tagseg.methods.config import ClassifierConfig, with_method
from tagseg.model.config import NetworkConfig

WRONG = [
    (NetworkConfig, "aux_layer", 0),
    (NetworkConfig, "prototypes", 1),
    (NetworkConfig, "drop_path", 1.5),
    (NetworkConfig, "decoder_width", 0),
    (NetworkConfig, "projector_bottleneck", -1),
    (RunConfig, "seed", -1),
    (RunConfig, "workers", -2),
    (ViewConfig, "size", 0),
    (ViewConfig, "scale", (0.0, 1.0)),
    (ViewConfig, "scale", (0.9, 0.5)),
    (ViewConfig, "flip", -0.1),
    (ViewConfig, "local_crops", -1),
    (CamConfig, "scales", ()),
    (CamConfig, "scales", (1.0, 0.0)),
    (CamConfig, "background_threshold", 1.1),
    (PartitionConfig, "low", 0.7),
    (PartitionConfig, "edge_share", 2.0),
    (MaskConfig, "ratio", 1.1),
    (MaskConfig, "block", 0),
    (MaskConfig, "random_until", 1.5),
    (MaskConfig, "random_until", -1),
    (LabelConfig, "high", 0.25),
    (LabelConfig, "refine_iterations", -1),
    (LabelConfig, "refine_dilations", ()),
    (EnergyConfig, "sigma_xy", 0.0),
    (EnergyConfig, "sigma_rgb", -1.0),
    (LossConfig, "energy", -0.1),
    (LossConfig, "affinity_from", -5),
    (DistillationConfig, "student_temperature", 0.0),
    (DistillationConfig, "teacher_temperature", (0.0, 0.07)),
    (DistillationConfig, "centre_momentum", 1.1),
    (DistillationConfig, "teacher_momentum", (0.9, 1.1)),
    (OptimiserConfig, "rate", -1e-5),
    (OptimiserConfig, "layer_decay", 0.0),
    (OptimiserConfig, "layer_decay", 1.1),
    (OptimiserConfig, "heads_first", 1.5),
    (OptimiserConfig, "weight_decay", -1.0),
    (OptimiserConfig, "warmup_ratio", 2.0),
    (BeyondConfig, "boundary_size", 0),
    (BeyondConfig, "foreground_share", 1.0),
    (BeyondConfig, "pool", 1.1),
    (BeyondConfig, "decoder_start", -0.1),
    (BeyondConfig, "teacher_sharpness", -1.0),
    (BeyondConfig, "repeat_below", 2.0),
    (RunConfig, "steps", -1),
    (RunConfig, "batch", 0),
    (RunConfig, "val_limit", -1),
    (RunConfig, "validate_every", 1.5),
]


@pytest.mark.parametrize(("section", "key", "value"), WRONG, ids=lambda x: getattr(x, "__name__", str(x)))
def test_a_value_out_of_range_is_named_with_what_is_expected(section, key, value):
    with pytest.raises(TagsegError) as caught:
        section(**{key: value})
    message = str(caught.value)
    assert f".{key}" in message
    assert repr(value).strip("()") in message or str(value[-1]) in message
    assert "expected" in message
    assert "\n" not in message


def test_a_step_that_does_not_exist_is_named_with_those_that_do():
    config = SpeedConfig()
    object.__setattr__(config, "step", "slow")  # the tests' type checks would refuse it sooner
    with pytest.raises(TagsegError, match=r"speed\.step is 'slow', expected fast or plain"):
        config.__post_init__()


def test_nothing_is_compiled_or_checkpointed_unless_asked_for():
    assert SpeedConfig() == SpeedConfig(step="fast", compile=False, checkpoint=False)


def test_settings_that_do_not_go_together():
    with pytest.raises(TagsegError, match=r"mask\.block is 60, expected a divisor of views\.size = 448"):
        Config(method=FSRConfig(mask=MaskConfig(block=60)))
    without_masks = Config(method=FSRConfig(mask=MaskConfig(block=60, choice="none")))
    assert without_masks.fsr.mask.block == 60
    with pytest.raises(TagsegError, match=r"run\.batch is 8, expected a multiple of run\.accumulate = 3"):
        Config(run=RunConfig(accumulate=3))


def test_settings_cannot_be_changed_by_accident():
    config = Config()
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.run.steps = 3  # type: ignore[misc]


def test_replace_changes_a_copy_and_checks_it():
    config = Config()
    changed = replace(config, run={"steps": 800}, views={"size": 224}, mask={"block": 32})
    assert (changed.run.steps, changed.views.size, changed.run.batch) == (800, 224, 8)
    assert config == Config()
    with pytest.raises(TagsegError, match=r"views\.size"):
        replace(config, views={"size": 100})


@pytest.mark.parametrize("name", ["compile", "checkpoint"])
def test_the_plain_step_takes_no_shortcut(name):
    with pytest.raises(TagsegError, match=rf"speed\.{name} is True, expected false with speed\.step plain"):
        SpeedConfig(step="plain", **{name: True})


def test_the_sections_of_the_method_stand_beside_the_others():
    own = {"cam", "partition", "mask", "labels", "energy", "losses", "distillation", "optimiser"}
    others = {"data", "network", "views", "beyond", "speed", "run"}
    config = replace(Config(), labels={"high": 0.6}, run={"steps": 7})
    sections = config.sections()
    assert sections.keys() == own | others
    assert sections["labels"] is config.fsr.labels
    assert Config.of_sections(FSRConfig, sections) == config


def test_replace_takes_another_method_as_a_whole():
    config = replace(Config(), method=ClassifierConfig(), optimiser={"rate": 1e-3}, run={"steps": 7})
    assert config.method == ClassifierConfig(optimiser=OptimiserConfig(rate=1e-3))
    assert config.run.steps == 7
    with pytest.raises(TagsegError, match=r"config section 'method' is .*, expected the settings of a method"):
        replace(config, method={"cam": {}})
    with pytest.raises(TagsegError, match="config section 'mask' does not exist, expected one of: data, network,"):
        replace(config, mask={"ratio": 0.2})


def test_settings_of_fsr_where_another_method_is_configured():
    with pytest.raises(TagsegError, match="the method is 'classifier', expected 'fsr': choose it with --method fsr"):
        _ = with_method(Config(), "classifier").fsr


def test_replace_names_what_does_not_exist():
    with pytest.raises(TagsegError, match="config section 'trainer' does not exist, expected one of: data, network,"):
        replace(Config(), trainer={})
    with pytest.raises(TagsegError, match=r"config key run\.step does not exist, expected one of: .*steps"):
        replace(Config(), run={"step": 3})


def test_some_names_of_many():
    assert list_some(["a", "b"]) == "a, b"
    assert list_some(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"


@pytest.mark.parametrize("precision", ["64-true", "64"])
def test_double_precision_is_for_the_plain_step(precision):
    with pytest.raises(TagsegError, match=r"run\.precision is '64.*or --speed\.step plain"):
        Config(run=RunConfig(precision=precision))
    assert Config(run=RunConfig(precision=precision), speed=SpeedConfig(step="plain"))

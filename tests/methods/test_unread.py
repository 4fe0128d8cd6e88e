"""Settings that only trainings by steps read: the method ``frozen`` refuses them or says that it ignores them."""

import logging
from dataclasses import fields
from dataclasses import replace as with_fields

import pytest
from lightning.pytorch import Callback

from tagseg.config import Config, RunConfig, replace
from tagseg.data.config import DataConfig
from tagseg.errors import TagsegError
from tagseg.frozen.config import FrozenConfig
from tagseg.methods.config import settings_of, with_method
from tagseg.methods.unread import INSTEAD, RUN, check_unread, without_unread
from tagseg.presets import PRESETS
from tagseg.training.train import train

FROZEN = PRESETS["frozen"]()

READ = {
    "run": {"output", "steps", "batch", "seed", "workers", "accelerator", "val_limit", "val_batch",
            "logger", "log_every", "pictures"},
    "data": {item.name for item in fields(DataConfig)},  # read by the sources, whatever the method
    "features": {"size", "folder"},
    "labels": {"source", "folder", "kind", "foreground_share", "crf"},
    "decoder": {"rate", "weight_decay"},
    "beyond": {"pool"},
    # The saved network has all of it, and fine-tuning starts from a network of equal settings (docs/fine_tuning.md).
    "network": {"encoder", "weights", "encoder_options", "start", "drop_path", "aux_layer", "aggregation",
                "aggregation_depth", "decoder", "decoder_width", "decoder_dilation", "projector_width",
                "projector_bottleneck", "prototypes", "mean", "std", "tag_prior"},
}  # fmt: skip
REFUSED = {
    "run": {"accumulate": 2, "devices": 4, "nodes": 2, "strategy": "ddp", "precision": "bf16-mixed"},
    "views": {"size": 64, "scale": (0.5, 1.0), "flip": 0.0, "jitter": (0.0, 0.0, 0.0, 0.0), "jitter_probability": 0.0,
              "blur_probability": 0.1, "solarise_probability": 0.1, "local_crops": 2, "local_size": 64,
              "local_scale": (0.1, 0.2), "draft": False, "augment": "device"},
    "beyond": {"labels": "masks", "boundary_size": 64, "foreground_share": 0.2, "fit_classifiers": True,
               "decoder_start": 0.1, "teacher_sharpness": 1.5, "repeat_below": 0.1,
               "start_share": 0.5},
    "speed": {"step": "plain", "compile": True, "checkpoint": True},
}  # fmt: skip
IGNORED = {
    "run": {"matmul_precision": "medium", "validate_every": 50, "collapse": "warn"},
}
FITTING = [("devices", 1), ("devices", "1"), ("precision", "32-true"), ("matmul_precision", "highest"),
           ("validate_every", 0), ("collapse", "off")]  # fmt: skip


def names(*tables):
    return {f"{section}.{key}" for table in tables for section, keys in table.items() for key in keys}


def cases(table):
    return [(section, key, value) for section, values in table.items() for key, value in values.items()]


def test_each_setting_is_read_refused_or_ignored_and_a_new_one_must_be_decided_about():
    settings = {name for name in settings_of("frozen") if "." in name}
    decided = names(READ) | names(REFUSED) | names(IGNORED)
    assert settings - decided == set(), "does the method frozen read it? If not: methods/unread.py, and here"
    assert decided - settings == set(), "a setting that no longer exists"
    assert len(decided) == len(names(READ)) + len(names(REFUSED)) + len(names(IGNORED)), "decided about twice"


@pytest.mark.parametrize(("section", "key", "value"), cases(REFUSED))
def test_what_would_be_ignored_is_refused_in_one_line(section, key, value):
    with pytest.raises(TagsegError) as caught:
        check_unread(replace(FROZEN, **{section: {key: value}}))
    message = str(caught.value)
    assert message.startswith(f"{section}.{key} is {value!r}, expected ")
    assert "with the method frozen, which" in message
    assert INSTEAD.get(f"{section}.{key}", "") in message
    assert "\n" not in message


@pytest.mark.parametrize(("section", "key", "value"), cases(IGNORED))
def test_what_is_harmless_is_named_in_a_warning(section, key, value, caplog):
    check_unread(replace(FROZEN, **{section: {key: value}}))
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.message.startswith(f"{section}.{key} is {value!r} and is ignored with the method frozen, which ")


@pytest.mark.parametrize(("key", "value"), FITTING)
def test_values_that_say_what_happens_are_as_good_as_the_default(key, value, caplog):
    check_unread(replace(FROZEN, run={key: value}))
    assert caplog.records == []


def test_every_default_fits(caplog):
    check_unread(Config(method=FrozenConfig()))
    assert caplog.records == []
    assert all(getattr(RunConfig(), key) in unread.fitting for key, unread in RUN.items())


@pytest.mark.parametrize("name", PRESETS)
def test_no_preset_sets_such_a_thing_once_its_method_is_frozen(name, caplog):
    preset = PRESETS[name]()
    config = with_method(preset, "frozen")
    check_unread(config)
    assert caplog.records == []
    kept = ("output", "steps", "batch", "accelerator", "workers", "val_limit")
    assert {key: getattr(config.run, key) for key in kept} == {key: getattr(preset.run, key) for key in kept}
    assert config.network == preset.network
    assert config.data == preset.data


def test_what_is_read_stays_where_the_rest_gets_its_default():
    config = replace(FROZEN, beyond={"pool": 0.2, "labels": "masks"}, run={"validate_every": 0, "devices": 2})
    expected = replace(FROZEN, beyond={"pool": 0.2}, run={"validate_every": 0})
    assert without_unread(config) == expected


def test_steps_keep_all_of_it():
    assert with_method(PRESETS["folder"](), "classifier").views == PRESETS["folder"]().views


def test_a_training_refuses_it_before_it_reads_data(tmp_path):
    config = replace(FROZEN, data={"root": str(tmp_path / "absent")}, run={"precision": "16-mixed"})
    with pytest.raises(TagsegError, match=r"^run\.precision is '16-mixed', expected '32' or '32-true' with the method"):
        train(config)


def test_callbacks_are_refused(tmp_path):
    class Mine(Callback):
        pass

    config = with_fields(FROZEN, run=with_fields(FROZEN.run, output=str(tmp_path / "run")))
    with pytest.raises(TagsegError, match=r"^callbacks are given \(Mine\), expected none with the method frozen"):
        train(config, callbacks=[Mine()])
    assert not (tmp_path / "run").exists()

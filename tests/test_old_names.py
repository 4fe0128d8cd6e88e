"""Names of 0.1.0: settings on the command line (those in files are tested with ``config_file``), and classes."""

import logging
from importlib import import_module

import pytest

from tagseg import config
from tagseg.methods.config import settings_of
from tagseg.old_names import MOVED, RENAMED, flags_with_new_names, with_new_names

FSR, FROZEN = settings_of("fsr"), settings_of("frozen")


@pytest.mark.parametrize("old", RENAMED)
def test_every_old_name_is_one_of_fsr_s_settings_now(old):
    assert old not in FSR
    assert RENAMED[old] in FSR
    assert flags_with_new_names([f"--{old}", "1"], FSR) == [f"--{RENAMED[old]}", "1"]


@pytest.mark.parametrize(
    ("given", "translated"),
    [
        ([], []),
        (["photos", "--run.steps", "9"], ["photos", "--run.steps", "9"]),
        (["--labels.source", "border"], ["--beyond.labels", "boundary"]),
        (["--labels.source=border"], ["--beyond.labels=boundary"]),
        (["--labels.source", "cam", "border"], ["--beyond.labels", "cam", "border"]),
        (["--labels.source", "masks"], ["--beyond.labels", "masks"]),
        (["--labels.source", "--labels.high", "border"], ["--beyond.labels", "--labels.high", "border"]),
        (["--data.tags", "border", "--labels.border_size=64"], ["--data.tags", "border", "--beyond.boundary_size=64"]),
        (["labels.source", "border"], ["labels.source", "border"]),
    ],
)
def test_flags_and_values_are_translated_and_nothing_else(given, translated):
    assert flags_with_new_names(given, FSR) == translated


def test_one_warning_names_all_of_them(caplog):
    flags_with_new_names(["--labels.source", "border", "--network.pool", "0.2", "--labels.source=cam"], FSR)
    assert [(record.levelno, record.message) for record in caplog.records] == [
        (
            logging.WARNING,
            "settings of 0.1.0 were renamed: --labels.source border is now --beyond.labels boundary, "
            "--network.pool is now --beyond.pool, --labels.source is now --beyond.labels",
        )
    ]
    caplog.clear()
    flags_with_new_names(["--beyond.labels", "border", "--labels.high", "0.6"], FSR)
    assert not caplog.records


def test_a_method_s_own_settings_are_no_old_names(caplog):
    own = ["--labels.source", "masks", "--labels.foreground_share=0.2"]
    assert flags_with_new_names(own, FROZEN) == own
    assert not caplog.records
    values = {"labels": {"source": "border", "foreground_share": 0.2, "border_size": 64}}
    assert with_new_names(values, FROZEN) == {
        "labels": {"source": "border", "foreground_share": 0.2}, "beyond": {"boundary_size": 64}
    }  # fmt: skip
    assert with_new_names(values, FSR) == {
        "labels": {}, "beyond": {"labels": "boundary", "foreground_share": 0.2, "boundary_size": 64}
    }  # fmt: skip


@pytest.mark.parametrize("name", MOVED)
def test_what_the_configuration_held_is_found_and_where_it_is_now_is_said(name):
    with pytest.warns(DeprecationWarning, match=rf"tagseg\.config\.{name} is now in {MOVED[name]}"):
        assert getattr(config, name) is getattr(import_module(MOVED[name]), name)


def test_what_it_never_held_is_not_found():
    with pytest.raises(AttributeError, match=r"module 'tagseg\.config' has no attribute 'NoConfig'"):
        _ = config.NoConfig

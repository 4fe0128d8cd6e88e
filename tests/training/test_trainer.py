"""What Lightning refuses is one line that names the settings."""

import pytest

from tagseg.errors import TagsegError
from tagseg.training.train import train

from ..conftest import tiny_config

WRONG = {
    "a strategy that there is not": ({"strategy": "nonsense"}, "invalid strategy name"),
    "an accelerator that there is not": ({"accelerator": "nonsense"}, "invalid accelerator name"),
    "no device": ({"accelerator": "cpu", "devices": 0}, "not a valid input"),
    "fewer than no device": ({"accelerator": "cpu", "devices": -3}, "should be an int > 0"),
    "a device that is no number": ({"accelerator": "cpu", "devices": "nonsense"}, "should be an int > 0"),
}


@pytest.mark.parametrize(("run", "reason"), WRONG.values(), ids=WRONG)
def test_settings_that_lightning_refuses_are_one_line(tagged_folder, tmp_path, run, reason):
    with pytest.raises(TagsegError) as caught:
        train(tiny_config(tagged_folder, tmp_path / "run", run=run))
    line = str(caught.value)
    assert "\n" not in line
    assert reason in line
    assert all(f"run.{name} {value!r}" in line for name, value in run.items())
    assert "leave them out" in line

"""The progress bar of trainings by steps."""

from unittest.mock import Mock

import pytest
from lightning.pytorch import Trainer
from tqdm import tqdm

from tagseg.training.callbacks import Progress


@pytest.mark.parametrize("disabled", [False, True])
def test_the_bar_counts_steps_also_where_it_is_turned_off(disabled):
    """``TQDM_DISABLE=1``, as in logs of others, makes bars without the time of their last drawing."""
    trainer = Mock(spec=Trainer, global_step=3, max_steps=10, callback_metrics={}, optimizers=[])
    progress = Progress()
    progress.bar = tqdm(total=10, disable=disabled)
    progress.on_train_batch_end(trainer)
    assert progress.bar.n == (0 if disabled else 3)
    progress.on_train_end()
    assert progress.bar is None

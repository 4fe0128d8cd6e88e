"""Logs of the frozen mode: the decoder's curve, scores and pictures, by the same files as those of other trainings."""

import errno
import io
import logging
import threading

import pytest
import torch
from PIL import Image

from tagseg.config import replace
from tagseg.reporting.logs import read_logs
from tagseg.training import frozen_pictures
from tagseg.training.frozen_log import FrozenLog
from tagseg.training.train import train

from .conftest import events, frozen_config, weights_equal

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def run(tagged_folder, tmp_path_factory):
    run = {"validate_every": 0.1, "logger": "tensorboard", "log_every": 2, "pictures": 2}
    config = frozen_config(
        tagged_folder, tmp_path_factory.mktemp("logged") / "run", run=run, network={"tag_prior": True}
    )
    return config, train(config)


def test_the_csv_log_is_one_that_curves_and_reports_read(run):
    records = read_logs(run[1].folder)
    assert [record["step"] for record in records] == [1, 2, 4, 6]
    assert all(record["train/loss"] > 0 and record["rate/decoder"] > 0 for record in records)
    assert {name: records[-1][name] for name in run[1].scores} == pytest.approx(run[1].scores)


def test_tensorboard_has_curve_scores_and_pictures(run):
    log = events(run[1].folder)
    assert [one.step for one in log.Scalars("train/loss")] == [1, 2, 4, 6]
    assert {"rate/decoder", "speed/images_per_second", "memory/process_peak_gb"} <= set(log.Tags()["scalars"])
    assert log.Scalars("val/frozen/segmentation")[0].step == 6
    images = log.Images("photos")
    assert [one.step for one in images] == [3, 6]
    # Photo, label, prediction, truth of 144 pixels, tags of 90, gaps of 8.
    assert {Image.open(io.BytesIO(one.encoded_image_string)).width for one in images} == {8 + 4 * 152 + 98}


def test_pictures_and_logs_change_no_weight(run, tmp_path):
    config, result = run
    features = str(result.folder.parent / "features")
    plain = replace(config, run={"logger": "none", "output": str(tmp_path)}, features={"folder": features})
    assert weights_equal(result.folder, train(plain).folder)
    assert not (tmp_path / "logs").exists()


def test_the_last_picture_shows_what_the_saved_network_predicts(run, tmp_path, monkeypatch):
    config, result = run
    seen = []
    real = frozen_pictures.FrozenPictures.rows
    monkeypatch.setattr(
        frozen_pictures.FrozenPictures, "rows", lambda self: seen.append((self, real(self))) or seen[-1][1]
    )
    config = replace(config, run={"output": str(tmp_path / "again"), "pictures": 1})
    again = train(replace(config, features={"folder": str(result.folder.parent / "features")}))
    assert weights_equal(result.folder, again.folder)
    ((pictures, rows),) = seen
    assert all((one.prediction == two.prediction).all() for one, two in zip(rows, pictures.rows(), strict=True)), (
        "of the finished decoder"
    )
    assert [row.truth is not None for row in rows] == [True, True, False, False]
    assert [row.pseudo_label is not None for row in rows] == [False, False, True, True]


def test_logs_that_cannot_be_written_are_told_once_and_the_training_goes_on(run, tmp_path, monkeypatch, caplog):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    config, result = run
    config = replace(config, run={"output": str(tmp_path)}, features={"folder": str(result.folder.parent / "features")})
    monkeypatch.setattr("tagseg.training.csv_log.CSVLog.log_metrics", full)
    with caplog.at_level(logging.WARNING, "tagseg"):
        assert weights_equal(result.folder, train(config).folder)
    assert caplog.text.count("the logs cannot be written") == 1


def test_the_way_out_of_an_error_closes_everything(tmp_path, run):
    with pytest.raises(RuntimeError, match="x"), FrozenLog(run[0].run, tmp_path, CPU) as log:
        raise RuntimeError("x")
    assert log.file.file is None
    assert (log.line.state, log.line.error) == ("failed", "RuntimeError: x")


def test_each_row_is_in_the_log_at_once_and_those_of_a_killed_training_are_dropped(tmp_path, run):
    log = FrozenLog(run[0].run, tmp_path, CPU)
    log.decoder_step(1, 0.5, 1e-3)
    (path,) = (tmp_path / "logs").glob("part_*/metrics.csv")
    assert [row["train/loss"] for row in read_logs(tmp_path)] == [0.5]
    again = FrozenLog(run[0].run, tmp_path, CPU)
    assert not path.exists()
    again.decoder_step(1, 0.25, 1e-3)
    assert [row["train/loss"] for row in read_logs(tmp_path)] == [0.25]
    for one in (log, again):
        one.file.close()


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_disk_too_full_for_tensorboard_is_told_once(run, tmp_path, monkeypatch, caplog):
    """Its thread would print a traceback."""

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tensorboard.summary.writer.record_writer.RecordWriter.write", full)
    config, result = run
    features = str(result.folder.parent / "features")
    before = threading.excepthook
    with caplog.at_level(logging.WARNING, "tagseg"):
        again = train(replace(config, run={"output": str(tmp_path)}, features={"folder": features}))
    assert threading.excepthook is before
    told = [record.getMessage() for record in caplog.records if "the logs cannot be written" in record.getMessage()]
    assert len(told) == 1
    assert "No space left on device" in told[0]
    assert weights_equal(result.folder, again.folder)

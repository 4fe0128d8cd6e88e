import threading
import time

from tagseg.serving.update_job import UpdateJob

from ..conftest import assert_refused


def test_an_update_ends_at_its_next_note_when_the_server_does():
    noted = threading.Event()
    ended: list[object] = []

    def endless(note):
        try:
            while True:
                note("training", 0.1)
                noted.set()
                time.sleep(0.01)
        finally:
            ended.append(True)

    job = UpdateJob(endless, lambda: ended.append("finished"))
    job.start()
    assert noted.wait(10)
    assert_refused(job.start, "an update is running")
    job.stop(10.0)
    assert ended == [True]
    assert (job.progress().state, job.progress().error) == ("failed", "the update was stopped, as the server ends")


def test_an_error_of_ours_is_told_in_one_line():
    job = UpdateJob(lambda note: [][1])
    job.start()
    job.stop(10.0)
    assert job.progress().state == "failed"
    assert "IndexError" in (job.progress().error or "")


def test_the_time_left_follows_the_share_that_is_done():
    proceed, waiting = threading.Event(), threading.Event()

    def update(note):
        note("features", 0.01)
        early.append(job.progress().seconds_left)
        time.sleep(0.2)
        note("training", 0.5)
        waiting.set()
        proceed.wait(10)

    early: list[float | None] = []
    finished = []
    job = UpdateJob(update, lambda: finished.append(True))
    assert job.progress().state == "idle"
    job.start()
    assert waiting.wait(10)
    left = job.progress().seconds_left
    assert early == [None]
    assert left is not None
    assert 0.1 < left < 20
    proceed.set()
    while job.progress().state == "running":
        time.sleep(0.01)
    assert (job.progress().state, job.progress().fraction, finished) == ("done", 1.0, [True])

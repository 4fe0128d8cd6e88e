import json
from pathlib import Path
from typing import Any

import pytest

from tagseg.errors import TagsegError
from tagseg.inference.predict import predict
from tagseg.inference.predictor import Predictor
from tagseg.scale.predict import predict_on_ray
from tagseg.scale.worker import MOST_STARTS, Task, Worker, journal_of

from .conftest import files_of

FAST: dict[str, Any] = {"scales": (1.0,), "mirror": False, "quiet": True}


def times(folder: Path) -> dict[str, tuple[int, int]]:
    """Inode and time of each file, which both change when it is written anew."""
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in folder.rglob("*.*")
        if path.parent.name != ".ray" and path.is_file() and path.parent != folder
    }


@pytest.mark.parametrize("options", [{}, {"format": "png,yolo", "scores": True, "overlays": False}])
def test_the_files_are_those_of_the_plain_path(here, run, photos, tmp_path, options):
    predict(run, photos, tmp_path / "plain", device="cpu", **FAST, **options)
    engine = here(dies=(1, 3))
    assert predict_on_ray(run, photos, tmp_path / "out", device="cpu", **FAST, **options) == 7
    assert engine.blocks == [2, 2, 2, 1]
    assert files_of(tmp_path / "out") == files_of(tmp_path / "plain"), "tables and notes included"
    assert {path.name for path in (tmp_path / "out" / ".ray").iterdir()} == {"made.jsonl", "lock"}


def test_a_second_start_makes_what_is_missing_or_outdated_and_nothing_else(here, run, photos, tmp_path):
    out, engine = tmp_path / "out", here()
    predict_on_ray(run, photos, out, **FAST)
    before = times(out)
    assert sorted(before) == sorted([*(f for f in before if f.startswith(("masks/", "overlays/")))])
    engine.blocks.clear()
    assert predict_on_ray(run, photos, out, **FAST) == 7
    assert (engine.blocks, times(out)) == ([], before)

    (out / "masks" / "b.png").write_bytes(b"cut off")
    (out / "overlays" / "grey.jpg").unlink()
    (photos / "c.PNG").write_bytes((photos / "b.jpg").read_bytes())
    assert predict_on_ray(run, photos, out, **FAST) == 7
    assert sum(engine.blocks) == 3
    changed = {name for name, known in times(out).items() if known != before.get(name)}
    assert changed == {f"{kind}.{end}" for end, kind in
                       [("png", "masks/b"), ("jpg", "overlays/b"), ("png", "masks/c"), ("jpg", "overlays/c"),
                        ("png", "masks/grey"), ("jpg", "overlays/grey")]}  # fmt: skip
    predict(run, photos, tmp_path / "plain", **FAST)
    assert files_of(out) == files_of(tmp_path / "plain")


def test_masks_of_other_settings_are_made_anew(here, run, photos, tmp_path):
    engine = here()
    predict_on_ray(run, photos / "sub", tmp_path / "out", **FAST)
    predict_on_ray(run, photos / "sub", tmp_path / "out", **{**FAST, "scales": (0.5,)})
    assert engine.blocks == [2, 2]


def test_a_run_that_was_killed_goes_on_with_what_its_workers_noted(here, run, photos, tmp_path):
    out, engine = tmp_path / "out", here()
    predict_on_ray(run, photos, out, **FAST)
    expected = files_of(out)
    records = (out / ".ray" / "made.jsonl").read_text().splitlines()
    (out / ".ray" / "made.jsonl").unlink()  # as after a kill: there are journals of blocks alone, one cut off
    (out / ".ray" / "0123-1.jsonl").write_text(f'{{"begun":7}}\n{records[0]}\n')
    (out / ".ray" / "0123-3.jsonl").write_text(f"{records[1]}\n{records[2][:40]}")
    left = out / "masks" / f".{'0' * 32}.tmp"
    left.write_bytes(b"half a mask")
    engine.blocks.clear()
    predict_on_ray(run, photos, out, **FAST)
    assert sum(engine.blocks) == 5
    assert files_of(out) == expected, "what the killed worker had begun is gone"


def test_photos_that_cannot_be_read_end_as_with_the_plain_path(here, run, photos, tmp_path, monkeypatch):
    here()
    monkeypatch.chdir(tmp_path)
    Path("photos/cut.jpg").write_bytes((photos / "b.jpg").read_bytes()[:200])
    Path("photos/none.png").write_bytes(b"no photo")
    with pytest.raises(TagsegError) as plain:
        predict("run", "photos", "plain", **FAST)
    with pytest.raises(TagsegError) as ours:
        predict_on_ray("run", "photos", "out", **FAST)
    assert str(ours.value) == str(plain.value)
    assert files_of(Path("out")) == files_of(Path("plain"))
    Path("photos/cut.jpg").write_bytes((photos / "b.jpg").read_bytes())
    Path("photos/none.png").unlink()
    assert predict_on_ray("run", "photos", "out", **FAST) == 8, "once they are mended"


def task_of(run: Path, output: Path) -> Task:
    from tagseg.formats.settings import DEFAULT_SETTINGS
    from tagseg.inference.outputs import chosen_formats
    from tagseg.model.checkpoint import save_network
    from tagseg.scale.listing import STATE
    from tagseg.scale.worker import NETWORK

    settings = {"scales": (1.0,), "mirror": False, "device": "cpu"}
    save_network(Predictor(run, device="cpu").network, output / STATE / NETWORK)
    return Task(output, chosen_formats("png", DEFAULT_SETTINGS, False), False, settings, 0, "session", "origin")


def test_a_photo_that_ends_every_worker_is_given_up_and_the_others_are_done(run, photos, tmp_path, monkeypatch):
    task = task_of(run, tmp_path / "out")
    names = ["b", "grey"]
    block = {"position": [1, 2], "path": [str(photos / f) for f in ("b.jpg", "grey.png")], "name": names}
    real = Predictor.label_files

    class Killed(BaseException):
        pass

    def label_files(self, images):
        for index, result in real(self, images):
            if images[index].name == "grey.png":
                raise Killed
            yield index, result

    monkeypatch.setattr(Predictor, "label_files", label_files)
    for _ in range(1 + MOST_STARTS):
        with pytest.raises(Killed):
            Worker(task)(block)
    assert Worker(task)(block)["error"] == [""]
    found = {record["name"]: record.get("error", "") for record in journal_of(task, 1).read() if "name" in record}
    assert found["b"] == ""
    assert f"grey.png ended {MOST_STARTS} workers" in found["grey"]


def test_errors_that_end_all_are_one_line(here, run, photos, tmp_path):
    task = task_of(run, tmp_path / "out")
    (tmp_path / "out" / "masks").write_text("a file where the folder of the masks should be")
    block = {"position": [1], "path": [str(photos / "b.jpg")], "name": ["b"]}
    assert "cannot write" in Worker(task)(block)["error"][0]
    (tmp_path / "out" / ".ray" / "network.safetensors").unlink()
    assert "on a disk that all machines of the cluster share" in Worker(task)(block)["error"][0]
    here()
    with pytest.raises(TagsegError, match=r"cannot write .*masks"):
        predict_on_ray(run, photos, tmp_path / "out", overlays=False, **FAST)


def test_a_photo_is_not_overwritten_by_its_mask(here, run, photos, tmp_path):
    here()
    (tmp_path / "out" / "masks").mkdir(parents=True)
    (photos / "sub" / "d.jpg").rename(tmp_path / "out" / "masks" / "d.png")
    (photos / "sub" / "d.png").symlink_to(tmp_path / "out" / "masks" / "d.png")
    before = (photos / "sub" / "d.png").read_bytes()
    with pytest.raises(TagsegError, match="is an input and would be overwritten"):
        predict_on_ray(run, photos / "sub", tmp_path / "out", **FAST)
    assert (photos / "sub" / "d.png").read_bytes() == before


def test_ctrl_c_leaves_tables_of_the_masks_that_exist(here, run, photos, tmp_path):
    engine = here(interrupted_after=[1])
    with pytest.raises(KeyboardInterrupt, match=r"what is done is kept in .*out, the same command does the rest"):
        predict_on_ray(run, photos, tmp_path / "out", **FAST)
    rows = (tmp_path / "out" / "predictions.csv").read_text(encoding="utf-8").splitlines()
    assert len(rows) == 1 + len(list((tmp_path / "out" / "masks").rglob("*.png"))) == 3
    engine.interrupted_after.clear()
    engine.blocks.clear()
    assert predict_on_ray(run, photos, tmp_path / "out", **FAST) == 7
    assert sum(engine.blocks) == 5


def test_two_runs_do_not_write_to_one_folder(here, run, photos, tmp_path):
    from tagseg.scale.records import alone

    here()
    with alone(tmp_path / "out"), pytest.raises(TagsegError, match="another tagseg writes to"):
        predict_on_ray(run, photos, tmp_path / "out", **FAST)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"format": "png,coco"}, "format is 'coco', one file for all photos, expected png, npz or yolo"),
        ({"format": "yolo"}, "expected png among them with the engine ray: add it, as in --format png,yolo"),
    ],
)
def test_settings_that_do_not_fit_are_refused(here, run, photos, tmp_path, options, line):
    here()
    with pytest.raises(TagsegError, match=line):
        predict_on_ray(run, photos, tmp_path / "out", **FAST, **options)
    assert not (tmp_path / "out").exists()


def test_records_are_json_lines_with_what_was_made(here, run, photos, tmp_path):
    here()
    predict_on_ray(run, photos / "sub", tmp_path / "out", **FAST)
    records = [json.loads(line) for line in (tmp_path / "out" / ".ray" / "made.jsonl").read_text().splitlines()]
    assert {record["name"] for record in records} == {"d", "é 図"}
    for record in records:
        sizes = {name: (tmp_path / "out" / name).stat().st_size for name in record["files"]}
        assert record["files"] == sizes
        assert list(sizes) == [f"overlays/{record['name']}.jpg", f"masks/{record['name']}.png"]

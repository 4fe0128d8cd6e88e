"""A report holds what evaluate, review and the run's own files say, and needs nothing else."""

import json
import re
import shlex
import shutil
from html import unescape

import numpy as np
import pytest
import torch

from tagseg.cli import main
from tagseg.config import replace
from tagseg.config_file import read_config
from tagseg.data.images import read_image
from tagseg.data.sources import load
from tagseg.errors import TagsegError
from tagseg.fast.cam import class_cams
from tagseg.inference.evaluate import evaluate
from tagseg.inference.segment import resize, to_input
from tagseg.model.checkpoint import load_network
from tagseg.reporting.page.page import LIMIT, save_page
from tagseg.reporting.report import report
from tagseg.reviewing.agreement import photo_iou
from tagseg.reviewing.review import review
from tagseg.verbs.train import parse_train

from ..conftest import assert_refused
from .conftest import EVIL_PHOTO, NAMES, make_run

pytestmark = pytest.mark.slow
SECTIONS = (
    "scores", "classes", "confusion", "boundary", "sizes", "certainty", "gallery", "curves", "data", "repeat",
)  # fmt: skip


@pytest.fixture(scope="module")
def page(reported):
    return reported.path.read_text("utf-8")


def section(page, name):
    (found,) = re.findall(rf'<section id="{name}".*?</section>', page, re.DOTALL)
    return found


def cells(markup):
    """Rows of all tables as texts."""
    rows = re.findall(r"<tr>(.*?)</tr>", markup, re.DOTALL)
    return [[unescape(re.sub("<.*?>", "", cell)) for cell in re.findall(r"<t[hd].*?</t[hd]>", row)] for row in rows]


@pytest.fixture(scope="module")
def evaluations(run):
    """The same scores by themselves."""
    data = read_config(run / "config.yaml").data
    cam = evaluate(run, data, what="cam", quiet=True)
    return evaluate(run, data, scales=(1.0,), crf=True, quiet=True), cam


def test_scores_are_those_of_evaluate(page, evaluations, reported):
    segmentation, cam = evaluations
    rows = {row[0]: row[1:] for row in cells(section(page, "scores"))}
    for name, result in (
        ("segmentation", segmentation.result), ("segmentation with dense CRF", segmentation.crf_result),
        ("CAM (told the tags)", cam.result),
    ):  # fmt: skip
        assert rows[name] == [f"{100 * result.mean_iou:.2f}", f"{100 * result.pixel_accuracy:.2f}", "5"]
    assert (reported.runs[0].scores.matrix == segmentation.matrix).all()
    assert (reported.runs[0].cam.matrix == cam.matrix).all()
    differing = {key for key, value in segmentation.protocol.items() if rows_of_protocol(page)[key] != str(value)}
    assert differing <= {"model"}  # the file in place of its folder


def rows_of_protocol(page):
    first = section(page, "scores").split("<details>")[1]
    return dict(cells(first)[1:])


def test_each_class_has_its_iou(page, evaluations):
    rows = {row[0]: row[1:] for row in cells(section(page, "classes"))}
    result, after = evaluations[0].result, evaluations[0].crf_result
    for label, name in enumerate(("background", *NAMES)):
        assert rows[name][:2] == [f"{100 * result.iou[label]:.1f}", f"{100 * after.iou[label]:.1f}"]


def test_rows_of_the_confusion_matrix_add_up(page, evaluations):
    header, *rows = cells(section(page, "confusion"))
    assert header[1:] == ["background", *NAMES]
    matrix = evaluations[0].matrix
    for row, counts in zip(rows, matrix, strict=True):
        assert row[1:] == [f"{100 * (count / counts.sum()):.1f}" for count in counts]


def test_tags_are_scored(page, run):
    network, data = load_network(run), read_config(run / "config.yaml").data
    values = []
    for sample in load(data, "val").samples:
        logits = network(resize(to_input(network, read_image(sample.image)), (32, 32))).logits[0]
        found = {int(index) for index in torch.nonzero(logits > 0)}
        total = len(found) + len(sample.tags)
        values.append(2 * len(found & set(sample.tags)) / total if total else 1.0)
    (shown,) = re.findall(r"Tag F1 of .*?<strong>([\d.]+) %", page)
    assert float(shown) == pytest.approx(100 * sum(values) / len(values), abs=0.06)


def test_the_partition_of_fsr_is_that_of_its_auxiliary_cam(page, reported, run):
    network, config = load_network(run), read_config(run / "config.yaml")
    certain = np.zeros(2, int)
    for sample in load(config.data, "val").samples:
        pixels = resize(to_input(network, read_image(sample.image)), (32, 32))
        cam = class_cams(network, pixels, config.fsr.cam.scales).auxiliary[0]
        highest = cam[list(sample.tags)].amax(0) if sample.tags else torch.zeros(32, 32)
        assert sample.mask is not None
        truth = sample.mask()
        rows, columns = (np.arange(side) * 32 // side for side in truth.shape)
        near = highest.numpy()[np.ix_(rows, columns)] >= config.fsr.partition.high
        certain += near.sum(), (near & (truth > 0)).sum()
    foreground = reported.runs[0].partition[2]
    assert foreground.share == pytest.approx(
        certain[0] / (5 * truth.size), abs=0.02
    )  # photos are resized as in training
    assert foreground.right == pytest.approx(certain[1] / certain[0], abs=0.02)
    assert f">{100 * foreground.right:.1f}</td>" in section(page, "certainty").split("own partition")[1]


def test_every_section_is_there_and_linked(page):
    assert all(f'<section id="{name}"' in page and f'<a href="#{name}">' in page for name in SECTIONS)
    assert 'id="comparison"' not in page
    assert "step 0" in section(page, "curves")
    assert "CAM was not scored" not in page


def test_photos_of_the_gallery_have_their_iou_and_all_layers(page, reported, run):
    gallery, measured = section(page, "gallery"), reported.runs[0]
    assert re.findall("<h3>(.*?)</h3>", gallery) == [
        "Worst",
        "Most uncertain",
        "Best",
        "Random",
    ]
    assert set(measured.groups["Worst"] + measured.groups["Best"]) <= set(measured.maps)
    ious = {photo.name: photo.iou for photo in measured.photos}
    assert ious[measured.groups["Worst"][0]] == min(ious.values())
    assert ious[measured.groups["Best"][0]] == max(ious.values())
    sample = load(read_config(run / "config.yaml").data, "val").samples[0]
    maps = measured.maps.get(sample.name)
    if maps is not None:  # photos are smaller than the gallery's side
        assert photo_iou(maps.labels, maps.truth) == ious[sample.name]
    used = set(re.findall(r'<use href="#(.*?)"', gallery))
    assert used == set(re.findall(r'<image id="(.*?)"', gallery))
    assert {name[:4] for name in used} >= {"mask", "trut", "regi"}


def test_the_same_photos_are_chosen_again(reported, run, tmp_path):
    again = report(run, tmp_path / "again.html", scales=(1.0,), cam=False, gallery=2, quiet=True)
    assert again.runs[0].groups == reported.runs[0].groups
    assert "the CAM was not scored: it was not asked for" in (tmp_path / "again.html").read_text("utf-8")


def test_nothing_is_fetched(page):
    assert not re.findall(r"<(?:link|iframe|object|embed|base|img|video|audio|source)\b", page)
    assert not re.findall(r"url\(|@import|https?://", page)
    hrefs = re.findall(r'\b(?:href|src)="(.*?)"', page)
    assert hrefs
    assert all(href.startswith(("#", "data:image/")) for href in hrefs)


def test_names_are_text(page):
    assert "<img" not in page
    for name in (*NAMES, EVIL_PHOTO):
        assert name in unescape(page)
    assert "&lt;img onerror=alert(1)&gt;&amp;amp;" in page


def test_data_settings_and_commands_are_there(page, run):
    data = json.loads((run / "data.json").read_text())
    rows = cells(section(page, "data"))
    for entry in data["classes"]:
        assert [f" {entry['name']}", *(str(entry["images"][split]) for split in ("train", "val"))] in rows
    repeat = unescape(section(page, "repeat"))
    assert (run / "config.yaml").read_text() in repeat
    assert f"tagseg train --config {run / 'config.yaml'}" in repeat
    assert f"tagseg evaluate {run} --scales '[1.0]' --crf true\n" in repeat


def test_commands_of_the_page_give_its_training_and_its_scores(page, run, evaluations, capsys):
    commands = [
        shlex.split(line)[1:]
        for block in re.findall(r'<pre id="(?:training|scores)-0".*?>(.*?)</pre>', page, re.DOTALL)
        for line in unescape(block).splitlines()
    ]
    assert [command[0] for command in commands] == ["train", "evaluate", "evaluate"]
    config = read_config(run / "config.yaml")
    assert parse_train(commands[0][1:])[1] == replace(config, run={"output": f"{config.run.output}_again"})
    for command, evaluation in zip(commands[1:], evaluations, strict=True):
        assert main(command) == 0
        assert f"\nmIoU  {100 * evaluation.result.mean_iou:.2f}" in re.sub("  +", "  ", capsys.readouterr().out)


def test_a_gallery_that_does_not_fit_is_cut_and_says_so(reported, tmp_path):
    path = tmp_path / "small.html"
    size = reported.path.stat().st_size
    assert size < LIMIT
    save_page(path, reported.runs, limit=size - 1)
    assert path.stat().st_size < size
    assert "The gallery shows 1 of 2 photos of each group" in path.read_text("utf-8")
    assert_refused(lambda: save_page(tmp_path / "no.html", reported.runs, limit=1000), "expected at most", "fewer runs")
    assert [found.name for found in tmp_path.iterdir()] == ["small.html"]


def test_runs_are_compared_class_by_class_on_the_same_photos(run, evil_folder, tmp_path):
    other = make_run(tmp_path / "two", evil_folder, seed=1)
    found = report([run, other], tmp_path / "both.html", scales=(1.0,), gallery=1, limit=3, quiet=True)
    page = (tmp_path / "both.html").read_text("utf-8")
    ours, theirs = (evaluate(one, read_config(one / "config.yaml").data, scales=(1.0,), limit=3, quiet=True).result
                    for one in (run, other))  # fmt: skip
    rows = {row[0]: row[1:] for row in cells(section(page, "comparison"))}
    assert rows["one"][0] == f"{100 * ours.mean_iou:.2f}"
    assert rows["two"][0] == f"{100 * theirs.mean_iou:.2f}"
    change = round(100 * (theirs.iou[0] - ours.iou[0]), 1)
    assert rows["background"][1] == f"{'+' if change > 0 else '−' if change < 0 else '±'}{abs(change):.1f}"
    assert set(found.runs[1].maps) == set(found.runs[0].maps)
    assert "different photos" not in page
    for name in ("scores", "classes", "confusion", "curves", "data", "repeat"):
        assert "two" in section(page, name)
    elsewhere = report(
        [run, other], tmp_path / "other.html", scales=(1.0,), split="train", limit=2, cam=False, quiet=True
    )
    assert {photo.name for photo in elsewhere.runs[0].photos} == {"train0", "train1"}


def test_without_masks_nothing_is_scored_and_the_page_says_so(run, evil_folder, tmp_path):
    config = read_config(run / "config.yaml")
    data = config.data.__class__(**{**vars(config.data), "masks": "none"})
    found = report(run, tmp_path / "none.html", data=data, scales=(1.0,), gallery=2, quiet=True)
    page = unescape((tmp_path / "none.html").read_text("utf-8"))
    assert "Nothing was scored: these photos have no ground-truth masks." in page
    assert "mIoU, %" not in page
    alone = review(
        run, None, tmp_path / "review", data=data, split="val", sheet=0, labels=False, scales=(1.0,), quiet=True
    )
    assert alone.summary() in page
    assert found.runs[0].groups["Most uncertain"][0] == alone.photos[0].name
    assert 'value="truth"' not in page
    assert not any(f'<section id="{name}"' in page for name in ("classes", "confusion", "boundary", "sizes"))


def test_of_a_plain_classifier_the_cam_is_scored(evil_folder, tmp_path, evaluations):
    plain = make_run(tmp_path / "plain", evil_folder, about={"maps": ["cam"]})
    report(plain, tmp_path / "plain.html", gallery=1, quiet=True)
    page = (tmp_path / "plain.html").read_text("utf-8")
    assert cells(section(page, "scores"))[1][:2] == [
        "CAM (told the tags)",
        f"{100 * evaluations[1].result.mean_iou:.2f}",
    ]
    assert "segmentation" not in section(page, "scores")
    assert '<section id="certainty"' not in page


def test_a_network_without_its_run_needs_data(run, tmp_path):
    shutil.copy(run / "last.safetensors", tmp_path / "alone.safetensors")
    output = tmp_path / "alone.html"
    assert_refused(lambda: report(tmp_path / "alone.safetensors", output), "no run beside it", "--data.root PHOTOS")
    data = read_config(run / "config.yaml").data
    report(tmp_path / "alone.safetensors", output, data=data, scales=(1.0,), limit=1, gallery=0, quiet=True)
    page = output.read_text("utf-8")
    assert "This run keeps no data.json" in page
    assert "there is no config.yaml" in page
    assert '<section id="gallery"' not in page


def test_a_damaged_run_is_one_line(run, tmp_path):
    def damaged(name, text):
        folder = tmp_path / name.replace("/", "_")
        shutil.copytree(run, folder)
        (folder / name).write_text(text)
        return folder

    for name, text in (
        ("data.json", "{"), ("data.json", "[]"), ("last.safetensors", "no network"), ("config.yaml", "a: ["),
        ("logs/part_0/metrics.csv", "step,train/loss\nx,1\n"), ("logs/part_0/metrics.csv", "epoch,loss\n1,1\n"),
    ):  # fmt: skip
        folder = damaged(name, text)
        assert_refused(lambda folder=folder: report(folder, tmp_path / "no.html"), str(folder))
        shutil.rmtree(folder)
    assert not (tmp_path / "no.html").exists()


def test_runs_with_other_classes_are_refused(run, tiny, tmp_path):
    from tagseg.model.checkpoint import save_network

    save_network(tiny, tmp_path / "other" / "last.safetensors")
    call = lambda: report([run, tmp_path / "other"], tmp_path / "no.html")  # noqa: E731
    assert_refused(call, "expected the same to compare them", "'circle' is in one of them alone")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"output": "."}, "a folder, expected a file"),
        ({"output": "report.pdf"}, "expected a file that ends in .html"),
        ({"gallery": 25}, "gallery is 25, expected 0 to 24"),
        ({"limit": -1}, "limit is -1"),
        ({"split": ""}, "split is ''"),
        ({"split": "absent"}, "absent"),
        ({"scales": ()}, "scales"),
        ({"data": "photos"}, "expected a DataConfig"),
        ({"crf": 1}, "crf is 1"),
    ],
)
def test_bad_settings_are_one_line(run, tmp_path, monkeypatch, changes, message, unchecked):
    monkeypatch.chdir(tmp_path)
    assert_refused(lambda: report(run, **{"quiet": True, **changes}), message)
    assert not list(tmp_path.iterdir())


def test_no_run_or_the_same_twice_is_refused(run, tmp_path, unchecked):
    assert_refused(lambda: report([]), "0 runs are given, expected 1 to 8")
    assert_refused(lambda: report([run, run], tmp_path / "no.html"), "is given twice")
    assert_refused(lambda: report(3), "a run is 3")  # type: ignore[arg-type]


def test_missing_photos_are_named(run, evil_folder, tmp_path):
    moved = tmp_path / "data"
    shutil.copytree(evil_folder, moved)
    lost = make_run(tmp_path / "lost", moved)
    (moved / "images" / "val1.jpg").write_text("no photo")
    with pytest.raises(TagsegError, match=r"val1\.jpg"):
        report(lost, tmp_path / "no.html", quiet=True)
    shutil.rmtree(moved)
    assert_refused(lambda: report(lost, tmp_path / "no.html", quiet=True), str(moved))
    assert not (tmp_path / "no.html").exists()

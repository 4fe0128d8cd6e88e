"""What tests of the page's engine share: a finished tiny run of the method ``frozen``, a copy for each test."""

import shutil

import pytest

from tagseg.serving.collection import Collection
from tagseg.training.train import train

from ..training.conftest import frozen_config
from .served import running, serving_of


@pytest.fixture(scope="session")
def finished_run(tagged_folder, tmp_path_factory):
    """A run on six photos, its features beside it. Not to be changed."""
    output = tmp_path_factory.mktemp("served") / "runs" / "tiny"
    config = frozen_config(
        tagged_folder, output, network={"tag_prior": True}, features={"size": 64}, run={"steps": 60, "batch": 4}
    )
    return train(config).folder


@pytest.fixture
def run(finished_run, tmp_path):
    """A copy of the run, with its features beside it."""
    shutil.copytree(finished_run.parent, tmp_path / "runs")
    return tmp_path / "runs" / finished_run.name


@pytest.fixture
def collection(run):
    """The run's photos, opened."""
    with Collection.open(run) as opened:
        yield opened


@pytest.fixture(scope="module")
def trying(tiny):
    """The address of a server without a collection."""
    with running(serving_of(tiny)) as client:
        yield str(client.base_url)


@pytest.fixture
def correcting(run, collection):
    """The address of a server of the run."""
    with running(serving_of(run, collection)) as client:
        yield str(client.base_url)


def rows_of(collection):
    """All rows by name."""
    return {row.name: row for row in collection.photos("name", limit=100)[1]}

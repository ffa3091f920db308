"""Fixtures shared by all tests."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent

# a shell ignores Ctrl-C in what it runs in the background, and all processes below inherit that
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def reference_data() -> Path:
    """Folder with true maps and city extracts; tests that need it are skipped without it."""
    root = Path(os.environ.get("RMTOOLS_REFERENCE_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (root / "radiomapseer").is_dir():
        pytest.skip(f"no reference data at {root}; set RMTOOLS_REFERENCE_DATA")
    return root


TINY = [
    "name=tiny",
    "grid.n=64",
    "city.tiles.count=6",
    "city.tiles.min_road_m=50",
    "traffic.trajectories=1",
    "traffic.vehicles=6",
    "transmitters.height_m=4",
    "transmitters.clear_of_roads=false",
    "solver.static_maps=true",
    "split.kind=random",
]


@pytest.fixture(scope="session")
def tiny_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real dataset: six scenes of Helsinki, 64 pixels, 4 transmitters, 15 frames, and static.

    Its split has four scenes to train with, one to validate and one to test. All processes of
    pytest share it.
    """
    from filelock import FileLock

    from rmtools.run.recipe import load_recipe
    from rmtools.run.runner import run

    base = tmp_path_factory.getbasetemp()
    root = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "tiny"
    with FileLock(f"{root}.lock"):
        if not (root / "split.json").is_file():
            recipe = load_recipe(REPOSITORY / "pipelines" / "demo.yaml", TINY)
            run(root, recipe, stages=["pathloss", "split"], workers=1)
    return root


@pytest.fixture(scope="session")
def release_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished dataset of 48 radio maps with layout, split and report, see tests/fakes_release.

    It is made once; every process of pytest has a copy, because a release holds its dataset.
    """
    from fakes_release import copy_dataset, make_dataset

    base = tmp_path_factory.getbasetemp()
    root = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "for-release"
    made = make_dataset(root, REPOSITORY / "pipelines")
    return copy_dataset(made, tmp_path_factory.mktemp("release") / "dataset")


@pytest.fixture
def no_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    """Releases do not wait for the disk, which may be busy with other things for minutes."""
    monkeypatch.setattr("rmtools.release.release._flush", lambda *_: None)

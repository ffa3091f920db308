"""Results of other solvers than WinProp back into the dataset: npz and CSV."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
from fakes_ingest import Case, assert_same_maps, export, make_datasets

from rmtools.layouts.npz import npz_bytes
from rmtools.winprop.export import Source, export_jobs
from rmtools.winprop.ingest import ingest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_datasets(tmp_path_factory.mktemp("made"))


@pytest.fixture
def neutral(made: Path, tmp_path: Path) -> Case:
    case = export(made, tmp_path, "neutral")
    export_jobs(Source(case.dataset), case.jobs, case.manifest)
    return case


def csv(values: np.ndarray) -> bytes:
    n = len(values)
    lines = [
        f"{col + 0.5},{n - row - 0.5},{'' if np.isnan(v := values[row, col]) else repr(float(v))}"
        for row in range(n)
        for col in range(n)
    ]
    return "\n".join(["x,y,pathloss_db", *lines, ""]).encode()


def test_npz_and_csv_come_back_alike(neutral: Case) -> None:
    for number, expected in enumerate(neutral.manifest.expected()):
        truth = neutral.truth(expected)
        if number % 2:
            neutral.put(expected, csv(truth), name=1)
        else:
            neutral.put(expected, npz_bytes({"pathloss_db": truth}), name=0)
    report = ingest(neutral.jobs, neutral.dataset, "neutral")
    assert report.complete
    assert_same_maps(neutral.store(), neutral.simulated)
    solver = neutral.store().array_attributes("pathloss")["solver"]
    assert solver["solver"] == "neutral"


BAD_MAPS = [
    (0, npz_bytes({"loss": np.zeros((32, 32))}), "there is none"),
    (0, npz_bytes({"pathloss_db": np.zeros((16, 32))}), r"there is \(16, 32\) of float64"),
    (0, npz_bytes({"pathloss_db": np.full((32, 32), -3.0)}), "infinite or negative"),
    (0, npz_bytes({"pathloss_db": np.full((32, 32), np.inf)}), "infinite or negative"),
    (0, npz_bytes({"pathloss_db": np.array("x")}), "there is"),
    (0, b"no archive", "not a readable npz archive"),
    (1, b"x,y,loss\n", "the first line is 'x,y,loss'"),
    (1, csv(np.ones((30, 30))), "rows for 32 x 32|cut off|not the centre|outside"),
    (1, csv(np.full((32, 32), -1.0)), "infinite or negative"),
    (1, csv(np.ones((32, 32)))[:9000], "cut off"),
    (1, csv(np.ones((32, 32))) + b" " * 10**6, "more than"),
]


def test_bad_results_of_other_solvers_are_named(neutral: Case) -> None:
    put = {}
    for expected, (name, data, message) in zip(neutral.manifest.expected(), BAD_MAPS, strict=False):
        neutral.put(expected, data, name)
        put[expected.paths[name]] = message
    report = ingest(neutral.jobs, neutral.dataset, "neutral")
    problems = {problem.file: problem for problem in report.problems if problem.kind == "refused"}
    assert set(problems) == set(put)
    for file, message in put.items():
        assert re.search(message, problems[file].what), problems[file].what

"""The whole benchmark: leaks, checkpoints, resuming, studies, and what is written."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import jsonschema
import pytest
from PIL import Image

torch = pytest.importorskip("torch")
torch.set_num_threads(1)  # tests run beside each other

from fakes_judging import N, make_data, make_split  # noqa: E402
from rmtools.models.judging.benchmark import Bench, Trained  # noqa: E402
from rmtools.models.judging.pictures import GAP, HEAD  # noqa: E402
from rmtools.models.judging.plan import (  # noqa: E402
    Candidate,
    Place,
    Plan,
    StudyPlan,
    parse_samples,
    parse_settings,
    parse_study,
)
from rmtools.models.judging.published import beside  # noqa: E402
from rmtools.models.judging.results import Benchmark  # noqa: E402
from rmtools.models.judging.tables import LEAKY, markdown, table  # noqa: E402
from rmtools.models.judging.timing import Budget  # noqa: E402
from typer.testing import CliRunner  # noqa: E402

from rmtools.cli import app  # noqa: E402
from rmtools.errors import ExitCode, LeakError, RecipeError  # noqa: E402
from rmtools.splits import write_manifest  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterable

HERE = Path(__file__).resolve().parent
FILE = HERE / "fakes_judging.py"
SCHEMA = HERE.parent / "schemas" / "benchmark.schema.json"
QUICK = Budget(0.0, least=1, most=1, warm_up=1, largest=2)


def names(*classes: str) -> tuple[str, ...]:
    return tuple(f"{FILE}:{name}" for name in classes)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_data(tmp_path_factory.mktemp("benchmark"), frames=15)


def plan(data: Path, *classes: str, task: Any = "static", **options: Any) -> Plan:
    return Plan(Place(data), make_split(), names(*classes), task, **options)


class Untrained:
    """Stands for training: gives the model as it is, and keeps count."""

    def __init__(self) -> None:
        self.asked: list[Candidate] = []

    def __call__(self, candidate: Candidate, bench: Bench) -> Trained:
        self.asked.append(candidate)
        return Trained(bench.make(candidate), None)


def rmse_db(result: Benchmark, label: str) -> float:
    (judged,) = (each for each in result.models if each.label == label)
    value = judged.scores.values()["rmse_db"]
    assert value is not None
    return value


# -- leaks ---------------------------------------------------------------------------------------


def test_a_leaky_split_is_refused_or_marked_everywhere(data: Path, tmp_path: Path) -> None:
    leaky = make_split(train=[0, 1, 2], val=[3], test=[2, 4])
    asked = replace(plan(data, "Shifted", pictures=1), split=leaky)
    with pytest.raises(LeakError, match="scenes: ") as caught:
        Bench(asked, tmp_path)
    assert "--allow-leaky" in str(caught.value)
    assert not any(tmp_path.iterdir())
    bench = Bench(replace(asked, allow_leaky=True), tmp_path, Untrained())
    result = bench.run()
    bench.write(result)
    assert result.leaky
    assert result.audit.leaks[0].startswith("scenes: ")
    page = (tmp_path / "benchmark.md").read_text()
    headings = re.findall(r"^## .*", page, re.MULTILINE)
    assert headings
    assert all("LEAKY SPLIT" in heading for heading in headings)
    assert LEAKY in page
    assert LEAKY in (tmp_path / "benchmark.svg").read_text()
    with Image.open(tmp_path / "predictions.png") as image:
        assert image.height == 2 * (128 + GAP) + GAP + 3 * HEAD  # one line more, the mark


def test_scenes_that_overlap_leak_too(tmp_path: Path) -> None:
    near = make_data(tmp_path / "near", gap_m=-8.0)
    with pytest.raises(LeakError, match="ground: "):
        Bench(replace(plan(near, "Shifted"), place=Place(near)), tmp_path / "out")


# -- what is written -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Bench, Benchmark]:
    """Forecasts by two models, with every kind of output."""
    out = tmp_path_factory.mktemp("out")
    studies = (StudyPlan("horizon"), StudyPlan("context", (2, 10)), StudyPlan("ablations"))
    asked = plan(
        data, "Shifted", "Noisy", task="forecast", studies=studies, timing=QUICK, pictures=3
    )
    bench = Bench(replace(asked, protocols=("radiomapmotion",)), out, Untrained())
    result = bench.run()
    bench.write(result)
    return bench, result


def test_the_json_is_what_the_schema_says(finished: tuple[Bench, Benchmark]) -> None:
    bench, result = finished
    value = json.loads((bench.out / "benchmark.json").read_text())
    jsonschema.validate(value, json.loads(SCHEMA.read_text()))
    assert Benchmark.read(bench.out / "benchmark.json") == result
    assert [judged.label for judged in result.models] == ["Shifted", "Noisy"]
    assert not result.leaky
    assert result.protocols == ["radiomapmotion", "reference"]
    assert result.models[0].timing is not None
    assert result.models[0].timing.frames == 5


def test_the_tables_hold_the_numbers(finished: tuple[Bench, Benchmark]) -> None:
    bench, result = finished
    page = (bench.out / "benchmark.md").read_text()
    assert "LEAKY" not in page
    assert f"{rmse_db(result, 'Noisy'):.3f}" in page
    (context,) = (study for study in result.studies if study.name == "context")
    assert [(p.label, p.at) for p in context.points] == [
        *(("Shifted", 2), ("Shifted", 10)),
        *(("Noisy", 2), ("Noisy", 10)),
    ]
    (parts,) = (study for study in result.studies if study.name == "ablations")
    assert [(p.label, p.at) for p in parts.points] == [
        *(("Shifted", "as published"), ("Shifted", "without shift")),
        ("Noisy", "as published"),
    ]
    assert parts.points[1].scores.values()["rmse"] == 0.0
    (horizon,) = (study for study in result.studies if study.name == "horizon")
    assert [p.at for p in horizon.points if p.label == "Noisy"] == list(range(10, 15))
    pooled = sum((p.scores.values()["mse"] or 0) / 5 for p in horizon.points if p.label == "Noisy")
    assert pooled == pytest.approx(result.models[1].scores.values()["mse"])
    for line in page.splitlines():
        if line.startswith("| "):
            assert line.endswith(" |")


def test_the_plot_is_well_formed_and_has_a_line_for_each_model(
    finished: tuple[Bench, Benchmark],
) -> None:
    root = ET.parse(finished[0].out / "benchmark.svg").getroot()  # noqa: S314 - our own file
    lines = root.findall(".//{http://www.w3.org/2000/svg}polyline")
    assert len(lines) == 4  # two models over the frames, and over the context
    assert root.get("height") == root.get("viewBox", "").split()[-1]


def test_the_contact_sheet_has_a_column_for_each_model(finished: tuple[Bench, Benchmark]) -> None:
    with Image.open(finished[0].out / "predictions.png") as image:
        side = 4 * N
        assert image.mode == "RGB"
        assert image.size == (3 * (side + GAP) + GAP, 6 * (side + GAP) + GAP + 2 * HEAD)
        # the shifted truth's error has one colour, the blue of too strong a signal
        left, top = GAP + side + GAP, HEAD + GAP + side + GAP
        colours = image.crop((left, top, left + side, top + side)).getcolors()
    assert colours is not None
    ((count, (red, _, blue)),) = colours
    assert count == side**2
    assert blue > red


# -- running again -------------------------------------------------------------------------------


def test_what_is_finished_is_not_done_again(data: Path, tmp_path: Path) -> None:
    asked = plan(data, "Shifted", "Noisy", pictures=1)
    first = Untrained()
    result = Bench(asked, tmp_path, first).run()
    assert len(first.asked) == 2
    again = Untrained()
    bench = Bench(asked, tmp_path, again)
    assert bench.run() == result
    assert again.asked == []
    assert [label for label, _ in bench.shots] == ["Shifted", "Noisy"]
    more = Untrained()
    larger = Bench(plan(data, "Shifted", "Signed", "Noisy", pictures=1), tmp_path, more).run()
    assert [each.name for each in more.asked] == ["Signed"]
    assert larger.models[0] == result.models[0]
    for change in ({"seed": 1}, {"protocols": ("radiodun",)}, {"batch": 3}):
        other = Untrained()
        Bench(replace(asked, **change), tmp_path, other).run()  # type: ignore[arg-type]
        assert len(other.asked) == (0 if "batch" in change else 2), change


def test_a_damaged_result_is_made_again(data: Path, tmp_path: Path) -> None:
    asked = plan(data, "Shifted", pictures=0)
    result = Bench(asked, tmp_path, Untrained()).run()
    (file,) = (tmp_path / "judged").glob("*.json")
    file.write_text("{")
    again = Untrained()
    assert Bench(asked, tmp_path, again).run() == result
    assert len(again.asked) == 1


def test_one_that_fails_does_not_take_the_others_with_it(data: Path, tmp_path: Path) -> None:
    result = Bench(plan(data, "Broken", "Shifted"), tmp_path, Untrained()).run()
    assert [judged.label for judged in result.models] == ["Shifted"]
    assert "predicts the shape" in result.failed["Broken"]


# -- weights -------------------------------------------------------------------------------------


def test_training_loading_and_refusing(data: Path, tmp_path: Path) -> None:
    """Trained once; loaded by others; refused for another split, seed, recipe or dataset."""
    store = tmp_path / "weights"
    asked = plan(data, "Learner", pictures=0, checkpoints=store)
    result = Bench(asked, tmp_path / "one").run()
    training = result.models[0].training
    assert training is not None
    assert (training.recipe, training.loaded, training.scenes) == ("quick", False, 3)
    assert (store / "Learner" / "best.ckpt").is_file()
    assert 0 < rmse_db(result, "Learner") < 95.5

    loaded = Bench(asked, tmp_path / "two").run().models[0]
    assert loaded.training is not None
    assert loaded.training.loaded
    assert loaded.scores == result.models[0].scores

    other_split = make_split(train=[0, 1], val=[3], test=[4, 5])
    for change, said in (
        ({"split": other_split}, "trained with the split"),
        ({"seed": 5}, "seed 0, not 5"),
        ({"changes": {"steps": 7}, "options": {names("Learner")[0]: {"begin": 0.5}}}, None),
    ):
        changed = replace(asked, **change)  # type: ignore[arg-type]
        found = Bench(changed, tmp_path / "three").run()
        if said is None:
            assert found.failed == {}
            assert found.models[0].label == "Learner (begin=0.5)"
        else:
            assert said in found.failed["Learner"]
            forced = Bench(replace(changed, force=True), tmp_path / "four").run()
            assert forced.models[0].training is not None
            assert said in " ".join(forced.models[0].training.notes)

    elsewhere = make_data(tmp_path / "else", seed=9)
    moved = Bench(replace(asked, place=Place(elsewhere)), tmp_path / "five").run()
    assert "it was trained on" in moved.failed["Learner"]


def test_studies_train_what_they_must(data: Path, tmp_path: Path) -> None:
    """Shares and transfers train; samples only what is tied to them, or all with retrain."""
    seen = Untrained()
    studies = (
        StudyPlan("samples", (9, 25)),
        StudyPlan("train-size", (0.3, 1.0)),
        StudyPlan("transfer", (0.0, 0.5), "pathloss"),
    )
    asked = plan(
        data, "Learner", "Tied", task="sparse", studies=studies, samples=(9, 9), pictures=0
    )
    result = Bench(asked, tmp_path, seen).run()
    assert result.failed == {}
    trained = {each.label for each in seen.asked}
    assert trained == {
        *("Learner", "Tied", "Tied (for 9 samples)", "Tied (for 25 samples)"),
        *("Learner (30% of the training scenes)", "Tied (30% of the training scenes)"),
        "Learner (50% of the training scenes, tuned on pathloss)",
        "Tied (50% of the training scenes, tuned on pathloss)",
    }
    folders = [each.folder for each in seen.asked]
    assert {"Learner", "Tied"} <= set(folders)
    tuned = next(each for each in seen.asked if each.start is not None)
    assert tuned.start is not None
    assert tuned.start.plain
    anew = Untrained()
    Bench(replace(asked, studies=studies[:1], retrain=True), tmp_path / "b", anew).run()
    assert "Learner (for 25 samples)" in {each.label for each in anew.asked}


def test_tuning_starts_from_the_weights_of_the_first_place(data: Path, tmp_path: Path) -> None:
    studies = (StudyPlan("transfer", (0.0, 0.4), "pathloss"), StudyPlan("train-size", (0.4,)))
    asked = plan(data, "Learner", studies=studies, pictures=0, changes={"steps": 40})
    result = Bench(asked, tmp_path).run()
    assert result.failed == {}
    transfer, size = result.studies
    assert [(p.at, p.anew) for p in transfer.points] == [(0, False), (0.4, True)]
    assert [(p.at, p.anew) for p in size.points] == [(0.4, True)]
    from rmtools.models.training.checkpoint import load_checkpoint

    from rmtools.files import sha256_file

    (tuned,) = (f for f in (tmp_path / "checkpoints").glob("Learner-*") if _initial(f))
    first = sha256_file(tmp_path / "checkpoints" / "Learner" / "best.ckpt")
    setup = load_checkpoint(tuned).info.setup
    assert (setup.initial_sha256, setup.dataset.kind) == (first, "pathloss")
    assert len(setup.sets.train_scenes) == 1


def _initial(folder: Path) -> bool:
    from rmtools.models.training.checkpoint import load_checkpoint

    return load_checkpoint(folder).info.setup.initial_sha256 is not None


# -- equal problems ------------------------------------------------------------------------------


def test_unequal_problems_make_no_table(data: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"different numbers of samples .*--samples 9"):
        Bench(plan(data, "Shifted", "Thresholded", task="sparse"), tmp_path, Untrained())
    asked = plan(data, "Shifted", "Thresholded", task="sparse", samples=(20, 20), pictures=0)
    result = Bench(asked, tmp_path, Untrained()).run()
    assert {judged.samples for judged in result.models} == {(20, 20)}
    with pytest.raises(RecipeError, match="is for sparse and sparse-dynamic, not for 'static'"):
        Bench(plan(data, "Counting"), tmp_path, Untrained())


# -- the command line ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "plan_"),
    [
        ("samples=9,16", StudyPlan("samples", (9, 16))),
        ("context=2,4", StudyPlan("context", (2, 4))),
        ("train-size=0.1,1", StudyPlan("train-size", (0.1, 1.0))),
        ("transfer=IRT4", StudyPlan("transfer", (0.0, 0.1, 0.3), "IRT4")),
        ("transfer=some/where:0,1", StudyPlan("transfer", (0.0, 1.0), "some/where")),
        ("horizon", StudyPlan("horizon")),
    ],
)
def test_studies_as_they_are_written(text: str, plan_: StudyPlan) -> None:
    assert parse_study(text) == plan_


@pytest.mark.parametrize(
    "text",
    ["sample=9", "samples=", "samples=9.5", "train-size=2", "transfer", "horizon=3", "samples=a"],
)
def test_studies_that_make_no_sense(text: str) -> None:
    with pytest.raises(RecipeError):
        parse_study(text)


def test_settings_and_samples() -> None:
    models = ["radiodun", "path/x.py:Own"]
    settings = ["radiodun.blocks=2", "Own.rate=1e-3", "recipe.batch=8"]
    assert parse_settings(settings, models) == (
        {"radiodun": {"blocks": 2}, "path/x.py:Own": {"rate": 1e-3}},
        {"batch": 8},
    )
    for wrong in ("octuf.blocks=2", "radiodun=2", "radiodun.blocks"):
        with pytest.raises(RecipeError):
            parse_settings([wrong], models)
    assert (parse_samples("9"), parse_samples("10-299")) == ((9, 9), (10, 299))
    for wrong in ("", "0", "9-3", "a"):
        with pytest.raises(RecipeError):
            parse_samples(wrong)


def test_published_rows_stand_beside_ours(finished: tuple[Bench, Benchmark]) -> None:
    """A model of that name gets the papers' rows of its task, each with what differs."""
    result = finished[1]
    ours = result.models[0].model_copy(update={"model": "radiolstm", "label": "radiolstm"})
    named = result.model_copy(update={"models": [ours]})
    rows = beside(named)
    assert [row.setting["test"] for row in rows] == ["seen environments", "unseen environments"]
    assert rows[1].published["nmse"] == 0.002121
    assert rows[1].protocol == "radiomapmotion"
    assert rows[1].ours["nmse"] == ours.scores.values("radiomapmotion")["nmse"]
    assert [text.partition(":")[0] for text in rows[1].differs] == ["data", "split"]
    page = markdown(named.model_copy(update={"beside": rows}))
    assert f"| 0.00212 / {rows[1].ours['nmse']:.5f} |" in page
    by_reference = beside(named.model_copy(update={"protocols": ["reference"]}))
    assert by_reference[0].protocol == "reference"
    assert "protocol: radiomapmotion there, reference here" in by_reference[0].differs


def test_a_table_with_a_bar_in_a_cell_keeps_its_columns() -> None:
    assert table(["a", "b"], [["x|y", "1.5"]]) == ["| a | b |", "| --- | ---: |", "| x\\|y | 1.5 |"]


def run(arguments: Iterable[object]) -> Any:
    return CliRunner().invoke(app, ["benchmark", *map(str, arguments)])


def test_from_the_command_line(data: Path, tmp_path: Path) -> None:
    write_manifest(tmp_path / "split.json", make_split())
    arguments = ["--models", f"{FILE}:Shifted", "--data", data, "--split", tmp_path / "split.json"]
    arguments += ["--out", tmp_path / "out", "--timing-s", 0, "--device", "cpu"]
    arguments += ["--set", "Shifted.shift=0.01", "--study", "ablations", "--json"]
    done = run(arguments)
    assert done.exit_code == 0, done.output
    value = json.loads(done.stdout)
    jsonschema.validate(value, json.loads(SCHEMA.read_text()))
    assert value["models"][0]["label"] == "Shifted (shift=0.01)"
    assert {path.name for path in (tmp_path / "out").glob("*.*")} >= {
        *("benchmark.json", "benchmark.md", "benchmark.svg", "predictions.png"),
    }
    leaky = make_split(train=[0, 4], val=[3], test=[4, 5])
    write_manifest(tmp_path / "leaky.json", leaky)
    refused = run([*arguments, "--split", tmp_path / "leaky.json"])
    assert isinstance(refused.exception, LeakError)
    assert refused.exception.exit_code == ExitCode.LEAK

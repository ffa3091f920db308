"""`rmtools split`: published splits by name, new ones by kind, and where they are written."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, get_args

import pytest
import yaml
from fakes_store import make_store
from typer.testing import CliRunner

from rmtools.cli import app
from rmtools.cli.split import Kind
from rmtools.errors import ExitCode, InputError, RecipeError
from rmtools.splits import config, read_manifest
from rmtools.splits.published import published_split

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result


def split(*arguments: object) -> Result:
    """Run the verb; errors of ours are raised as they are."""
    done = CliRunner().invoke(app, ["split", *map(str, arguments)])
    if isinstance(done.exception, Exception):
        raise done.exception
    return done


def test_the_kinds_are_those_of_the_recipe() -> None:
    assert get_args(Kind) == get_args(config.Kind)


def test_list_names_all_with_sizes_and_leaks() -> None:
    lines = split("--list").stdout.splitlines()
    assert any(
        line.split()[:2] == ["radiounet", "RadioMapSeer"]
        and "train 501, val 100, test 99" in line
        and line.endswith("no")
        for line in lines
    )
    found = json.loads(split("--list", "--json").stdout)["splits"]
    by_name = {each["name"]: each for each in found}
    assert by_name["radiodiff-2024"]["leak"] == "all 51 scenes of val are in test"
    assert by_name["radiomapmotion"]["sizes"]["test_unseen"] == 50
    assert not by_name["radiodun"]["reproducible"]


def test_a_published_split_without_a_dataset(tmp_path: Path) -> None:
    path = tmp_path / "split.json"
    done = split("--name", "radiodiff-2025", "-o", path)
    assert read_manifest(path) == published_split("radiodiff-2025")
    assert "train        601 scenes, 48080 sequences" in done.stdout
    assert "leaks: all 51 scenes of val are in test" in done.stderr
    shown = split("--name", "radiounet", "--json")
    assert json.loads(shown.stdout) == published_split("radiounet").model_dump(mode="json")


def test_what_makes_no_sense_is_said(tmp_path: Path) -> None:
    assert split().exit_code == ExitCode.USAGE
    assert split("--name", "radiounet", "--kind", "random").exit_code == ExitCode.USAGE
    assert split(tmp_path, "--ratios", "train:1", "-o", "x").exit_code == ExitCode.USAGE
    with pytest.raises(RecipeError, match="seed does not matter to a split of kind published"):
        split("--name", "radiounet", "--seed", 3)
    with pytest.raises(RecipeError, match="radiodun-paper"):
        split("--name", "radiodun")
    with pytest.raises(InputError, match="with -o FILE"):
        split(tmp_path, "--kind", "random")
    with pytest.raises(InputError, match="no dataset that can be split"):
        split(tmp_path, "--kind", "random", "-o", tmp_path / "x.json")


def test_any_store_to_a_file(tmp_path: Path) -> None:
    store = make_store(tmp_path, n=32, scenes=10, traj=2, tx=2, frames=1, gap_m=30.0)
    path = tmp_path / "new.json"
    given = ["--ratios", "a=3,b=1,c=1", "--seed", 5, "--buffer-m", 20, "-o", path]
    done = split(store.path, "--kind", "component", *given)
    made = read_manifest(path)
    assert [len(members.scenes) for members in made.sets.values()] == [6, 2, 2]
    assert made.seed == 5
    assert "Smallest distance" in done.stderr
    with pytest.raises(RecipeError, match="buffer_m does not matter to a split of kind random"):
        split(store.path, "--kind", "random", *given)
    with pytest.raises(RecipeError, match=r"none of the scenes of radiounet is here.*'fake_000'"):
        split(store.path, "--name", "radiounet", "-o", path)


def test_the_split_of_a_dataset_follows_its_recipe(tmp_path: Path) -> None:
    data = tmp_path / "data"
    steps: list[list[Any]] = [
        ["build-scenes", "demo", data, "--count", 2, "--pixels", 64],
        ["generate-trajectories", data, "--vehicles", 1, "--trajectories", 2, "--frames", 1],
        ["place-transmitters", data, "--count", 1, "--set", "transmitters.clear_of_roads=false"],
    ]
    steps[0] += ["--set", "city.tiles.min_road_m=20"]
    for step in steps:
        done = CliRunner().invoke(app, list(map(str, step)))
        assert done.exit_code == 0, (step, done.output, done.exception)
    split(data, "--kind", "random", "--ratios", "train=2,test=2", "--seed", 9)
    made = read_manifest(data / "split.json")
    assert (made.method, made.seed) == ("random", 9)
    assert [len(members.scenes) for members in made.sets.values()] == [1, 1]
    recipe = yaml.safe_load((data / "recipe.yaml").read_text())
    assert recipe["split"]["kind"] == "random"
    # another file leaves the dataset's own alone, and its recipe too
    split(data, "--kind", "motion", "-o", tmp_path / "other.json")
    assert read_manifest(data / "split.json") == made
    assert read_manifest(tmp_path / "other.json").method == "radiomapmotion"
    assert yaml.safe_load((data / "recipe.yaml").read_text()) == recipe

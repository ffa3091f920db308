"""Recipes are checked before anything is done, and say what is wrong with them."""

from pathlib import Path

import pytest
import yaml

from rmtools.errors import ExitCode, InputError, RecipeError
from rmtools.run.recipe import Recipe, check_recipe, load_recipe, with_settings, write_recipe

PIPELINES = Path(__file__).resolve().parent.parent / "pipelines"


@pytest.mark.parametrize("path", sorted(PIPELINES.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_recipes_that_come_with_rmtools_are_valid(path: Path) -> None:
    assert load_recipe(path).name == path.stem


def test_radiomapmotion_has_the_papers_parameters() -> None:
    recipe = load_recipe(PIPELINES / "radiomapmotion.yaml")
    assert (recipe.traffic.trajectories, recipe.traffic.frames) == (5, 15)
    assert (recipe.transmitters.count, recipe.transmitters.height_m) == (20, 1.5)
    assert recipe.solver.describe()["frequency_mhz"] == 3500
    assert (recipe.grid.n, recipe.grid.resolution_m) == (256, 1.0)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"trafic": {}}, r"unknown key 'trafic', did you mean 'traffic'\?"),
        ({"traffic": {"vehicels": 3}}, r"'traffic\.vehicels', did you mean 'vehicles'\?"),
        ({"city": {"tiles": {"cuont": 3}}}, r"'city\.tiles\.cuont', did you mean 'count'\?"),
        ({"layouts": {"motion": {"nams": "paper"}}}, r"did you mean 'names'\?"),
        ({"zzzz": 1}, r"known keys are city, grid"),
        ({"traffic": {"vehicles": -1}}, r"traffic\.vehicles: .*greater than or equal to 0"),
        ({"grid": {"n": "many"}}, r"grid\.n: .*got 'many'"),
        ({"name": "../evil"}, r"name: "),
        ({"seed": 1.5}, r"seed: "),
        ({"city": {"source": []}}, r"city\.source"),
        ({"split": {"ratios": {"a": 1}}}, r"split\.ratios: give two or more sets"),
        ({"split": {"ratios": {"a": 1, "b": -1}}}, r"split\.ratios: give two or more sets"),
    ],
)
def test_every_problem_is_named_with_the_remedy(data: dict, message: str) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        check_recipe(data, "r.yaml")
    assert str(caught.value).startswith("r.yaml: ")
    assert caught.value.exit_code == ExitCode.RECIPE


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1", "not readable as YAML"),
        ("- 1", "holds a list"),
        ("seed: 1\nseed: 2", "the key 'seed' stands twice"),
        ("name: &a x\ntitle: *a", "aliases are not allowed"),
        ("name: !!python/object/apply:os.system ['true']", "not readable as YAML"),
        ("name: \x00", "not readable as YAML"),
    ],
)
def test_broken_and_hostile_yaml_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=message):
        load_recipe(path)


def test_a_missing_recipe_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        load_recipe(tmp_path / "none.yaml")


def test_settings_reach_any_depth_and_paths_follow_their_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sub").mkdir()
    path = tmp_path / "sub" / "r.yaml"
    path.write_text("city: {source: a.osm.pbf}")
    assert load_recipe(path).city.source == str(tmp_path / "sub" / "a.osm.pbf")
    monkeypatch.chdir(tmp_path)
    changed = load_recipe(path, ["city.source=b.osm.pbf", "city.tiles.count=3", "title=a: b"][:2])
    assert changed.city.source == str(tmp_path / "b.osm.pbf")
    assert changed.city.tiles.count == 3
    assert load_recipe(path, ["city.source=[demo, seer:x]"]).city.sources == [
        "demo",
        f"seer:{tmp_path / 'x'}",
    ]
    with pytest.raises(RecipeError, match="not of the form key=value"):
        with_settings({}, ["seed"])


def test_writing_spells_out_every_key_and_reads_back_equal(tmp_path: Path) -> None:
    recipe = Recipe.model_validate({"seed": 7, "city": {"source": "place:Ulm, Germany"}})
    write_recipe(tmp_path / "r.yaml", recipe)
    assert load_recipe(tmp_path / "r.yaml") == recipe
    assert yaml.safe_load((tmp_path / "r.yaml").read_text())["traffic"]["smoothing"] == 0.4

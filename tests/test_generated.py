"""Files made from the code are current: JSON Schemas and pages of docs/."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import jsonschema
import pytest
import rmtools.schemas
import yaml

from rmtools.files import to_json
from rmtools.run.recipe import Recipe, load_recipe
from rmtools.store_format import PATHLOSS, STATIC, TRACKS, TRANSMITTERS

REPOSITORY = Path(__file__).resolve().parent.parent
SCHEMAS = rmtools.schemas.build()


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_schemas_are_current_and_well_formed(name: str) -> None:
    path = REPOSITORY / "schemas" / name
    assert path.read_text() == to_json(SCHEMAS[name]), "run `make schemas`"
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[name])


def test_no_schema_is_left_over() -> None:
    assert {path.name for path in (REPOSITORY / "schemas").glob("*.json")} == set(SCHEMAS)


@pytest.mark.parametrize("path", sorted((REPOSITORY / "pipelines").glob("*.yaml")), ids=str)
def test_recipes_satisfy_the_schema(path: Path) -> None:
    schema = json.loads((REPOSITORY / "schemas" / "recipe.schema.json").read_text())
    jsonschema.validate(yaml.safe_load(path.read_text()), schema)
    jsonschema.validate(load_recipe(path).model_dump(mode="json"), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**Recipe().model_dump(mode="json"), "trafic": {}}, schema)


def test_generated_pages_are_current() -> None:
    spec = importlib.util.spec_from_file_location("generate", REPOSITORY / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name, text in module.build().items():
        assert (REPOSITORY / "docs" / name).read_text() == text, f"run `make docs` for {name}"


def test_the_store_page_names_every_array() -> None:
    page = (REPOSITORY / "docs" / "store.md").read_text()
    for spec in (*STATIC, *TRACKS, *TRANSMITTERS, *PATHLOSS):
        assert f"`{spec.name}`" in page, spec.name


def test_links_between_pages_lead_somewhere() -> None:
    import re

    for page in [*(REPOSITORY / "docs").glob("*.md"), *REPOSITORY.glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
            if not target.startswith(("http", "mailto")):
                assert (page.parent / target).exists(), f"{page.name}: {target}"

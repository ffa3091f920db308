"""What only the maintainer can say about a dataset: who made it, under which terms, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from rmtools.errors import RecipeError
from rmtools.files import first_problem, read_bytes
from rmtools.strict_yaml import strict_yaml

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = 2**20

Text = Annotated[str, Field(min_length=1, max_length=5000)]
Line = Annotated[str, Field(min_length=1, max_length=300, pattern=r"^[^\n\r]+$")]
Doi = Annotated[str, Field(pattern=r"^10\.\d{4,9}(\.\d+)?/[A-Za-z0-9:/_;.()\[\]\\-]+$")]
"""As CITATION.cff takes it."""
Url = Annotated[str, Field(pattern=r"^https?://[^\s<>\"']+$", max_length=1000)]


def _each_once(words: list[str]) -> list[str]:
    """CITATION.cff and DataCite refuse a keyword that stands twice."""
    if twice := [word for word in dict.fromkeys(words) if words.count(word) > 1]:
        raise ValueError(f"{twice[0]!r} stands twice")
    return words


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Creator(_Model):
    """A person or a group; a person has a family name."""

    name: Line | None = Field(default=None, description="Name of a group")
    family_names: Line | None = Field(default=None, description="Family names of a person")
    given_names: Line | None = None
    affiliation: Line | None = None
    orcid: Annotated[str, Field(pattern=r"^\d{4}-\d{4}-\d{4}-\d{3}[\dX]$")] | None = None

    def model_post_init(self, _: object) -> None:
        """Either a group or a person."""
        if (self.name is None) == (self.family_names is None):
            raise ValueError("give either name (a group) or family_names (a person)")
        if self.name is not None and self.given_names is not None:
            raise ValueError("given_names belong to family_names, not to the name of a group")

    @property
    def full_name(self) -> str:
        """As in a list of authors: family name first."""
        if self.name is not None:
            return self.name
        return ", ".join(part for part in (self.family_names, self.given_names) if part)


class About(_Model):
    """A YAML or JSON file for ``rmtools release --about``; everything in it may be left out."""

    title: Line | None = Field(default=None, description="The dataset's own when not given")
    description: Text | None = Field(default=None, description="What it is for, in prose")
    creators: list[Creator] = Field(
        default_factory=list, description="'The NAME maintainers' when not given"
    )
    publisher: Line | None = Field(
        default=None, description="Such as Zenodo; the creators when not given"
    )
    contact: Line | None = Field(default=None, description="Address or URL for questions")
    url: Url | None = Field(default=None, description="Page of the dataset")
    repository: Url | None = Field(default=None, description="Where the recipe and code are")
    doi: Doi | None = Field(default=None, description="DOI of this version")
    concept_doi: Doi | None = Field(default=None, description="DOI of all versions")
    paper: Line | None = Field(default=None, description="Paper to cite beside the dataset")
    paper_doi: Doi | None = None
    keywords: Annotated[list[Line], AfterValidator(_each_once)] = Field(
        default=["radio map", "path loss", "OpenStreetMap"]
    )
    maps_licence: Line | None = Field(
        default=None,
        description="SPDX id for the radio maps, such as CC-BY-4.0; that of the sources when not "
        "given. Layers that hold OpenStreetMap's objects keep its licence",
    )
    funding: Text | None = None
    limitations: list[Text] = Field(default_factory=list, description="Beside those we know of")
    uses: list[Text] = Field(default_factory=list, description="Beside those we know of")
    maintenance: Text | None = Field(default=None, description="Who corrects errors, and how")


def read_about(path: Path | None) -> About:
    """Read the file; without one everything is left out.

    Raises
    ------
    RecipeError
        Not YAML, or a member is unknown or wrong.
    """
    if path is None:
        return About()
    try:
        data = strict_yaml(read_bytes(path, MAX_BYTES))
        return About.model_validate({} if data is None else data)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        problem = f"not readable as YAML ({' '.join(str(error).split())})"
    except ValidationError as error:
        problem = first_problem(error)
    raise RecipeError(
        f"{problem}.",
        where=path,
        remedy="docs/release.md shows such a file, schemas/release-about.schema.json describes it.",
    )

"""What became of the results of an export: what was taken, what is missing, and why."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from rmtools.files import read_model, write_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

INGEST_NAME = "ingest.json"
"""In the dataset folder."""

UNITS_FOLDER = ".rmtools/ingest"

ProblemKind = Literal["missing", "refused", "changed"]


class IngestProblem(BaseModel):
    """One result that is not in the store."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: ProblemKind = Field(
        description="missing: no file; refused: broken, or not the answer to the job; changed: "
        "written again after it was taken"
    )
    job: str
    transmitter: str = Field(description="Name in the job; empty for all of them")
    file: str = Field(description="Below the folder of the jobs")
    what: str = Field(description="What is wrong with it, and what to do")


class UnitReport(BaseModel):
    """What became of the results of one scene and trajectory."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    unit: str
    expected: int = Field(ge=0, description="Radio maps")
    taken: int = Field(ge=0)
    problems: tuple[IngestProblem, ...] = ()
    notes: dict[str, int] = Field(
        default_factory=dict, description="What was noticed about taken results, and how often"
    )

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return self.taken == self.expected


class IngestReport(BaseModel):
    """What became of all results; written into the dataset."""

    model_config = ConfigDict(extra="forbid")

    format: Literal[1] = 1
    solver: str
    jobs_sha256: str = Field(description="SHA-256 of the job manifest")
    units: int = Field(description="Scenes and trajectories")
    units_finished: int = Field(description="Those with all of their radio maps")
    expected: int = Field(description="Radio maps")
    taken: int
    problems: list[IngestProblem]
    notes: dict[str, int]

    @property
    def complete(self) -> bool:
        """Whether every radio map is in the store."""
        return self.taken == self.expected and not self.problems

    @classmethod
    def of(cls, solver: str, jobs_sha256: str, units: list[UnitReport]) -> IngestReport:
        """Add up the reports of all units."""
        notes: Counter[str] = Counter()
        for unit in units:
            notes.update(unit.notes)
        return cls(
            solver=solver,
            jobs_sha256=jobs_sha256,
            units=len(units),
            units_finished=sum(unit.complete for unit in units),
            expected=sum(unit.expected for unit in units),
            taken=sum(unit.taken for unit in units),
            problems=[problem for unit in units for problem in unit.problems],
            notes=dict(sorted(notes.items())),
        )

    def lines(self) -> Iterator[str]:
        """The report for people."""
        for problem in self.problems:
            who = f"{problem.job} {problem.transmitter}".strip()
            yield f"{problem.kind:<8} {who}: {problem.file}: {problem.what}"
        for note, count in self.notes.items():
            yield f"{count:>8,} {note}"
        yield (
            f"{self.taken:,} of {self.expected:,} radio maps taken; "
            f"{self.units_finished} of {self.units} scenes and trajectories are complete"
        )


def write_unit_report(root: Path, report: UnitReport) -> None:
    """Keep the report of a unit in the dataset."""
    write_json(root / UNITS_FOLDER / f"{report.unit}.json", report.model_dump(mode="json"))


def read_unit_report(root: Path, unit: str) -> UnitReport | None:
    """The report of a unit that was taken before; None when it is gone."""
    path = root / UNITS_FOLDER / f"{unit}.json"
    if not path.is_file():
        return None
    return read_model(path, UnitReport, "a report of ingested results", "Use --overwrite.")

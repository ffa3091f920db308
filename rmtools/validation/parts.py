"""What one part of a validation found, and putting all of them together."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from rmtools.files import read_model
from rmtools.findings import Report
from rmtools.validation.pathloss import BlindPixels
from rmtools.validation.seer_deviations import Deviations, Tolerated

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class Partial(BaseModel):
    """What was found in one part of a dataset; the report's path is the part's name."""

    model_config = ConfigDict(extra="forbid")

    report: Report
    blind: dict[str, BlindPixels] = Field(
        default_factory=dict, description="Pixels that the solvers could not reach, by array"
    )
    tolerated: list[Tolerated] = Field(
        default_factory=list, description="Known deviations, told once for all maps"
    )

    @classmethod
    def read(cls, path: Path) -> Partial:
        """Read what a worker wrote as JSON.

        Raises
        ------
        InputError
            Missing, not JSON, or a member is missing or wrong.
        """
        return read_model(path, cls, "a part of a validation", "Delete it and run again.")

    @property
    def subject(self) -> str:
        """What the part is of, such as ``store``."""
        return subject_of(self.report.path)


def part_name(subject: str, index: int) -> str:
    """Name of a part, such as ``store_003``; the part that is the whole has the subject's."""
    return f"{subject}_{index:03d}"


def subject_of(part: str) -> str:
    """What a part is of."""
    return part.partition("_")[0]


def index_of(part: str) -> int | None:
    """Which scene, environment or map a part is; None for the whole."""
    _, _, index = part.partition("_")
    return int(index) if index else None


def merge(path: Path, partials: Iterable[Partial]) -> Report:
    """The report of a whole dataset.

    Parameters
    ----------
    path
        What was checked.
    partials
        Of all parts, in the order in which they are to be listed; the parts of one subject
        stand together.
    """
    report = Report(path=str(path))
    for _, parts in groupby(partials, key=lambda partial: partial.subject):
        blind: dict[str, BlindPixels] = {}
        deviations = Deviations(report)
        for part in parts:
            report.include(part.report)
            for kind, number in part.report.checked.items():
                report.count(kind, number)
            for name, pixels in part.blind.items():
                blind[name] = blind[name].plus(pixels) if name in blind else pixels
            for tolerated in part.tolerated:
                deviations.collect(tolerated)
        for name, pixels in blind.items():
            pixels.tell(name, report)
        for tolerated in deviations.tolerated:
            tolerated.tell(report)
    return report

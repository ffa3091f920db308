"""What a check found: findings, and the report that collects them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from rmtools.files import read_model

if TYPE_CHECKING:
    from pathlib import Path

    from rmtools.types import BoolArray

Level = Literal["error", "warning"]


class Finding(BaseModel):
    """One thing that is wrong (error) or deserves a look (warning)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    level: Level
    where: str = Field(description="File, array or index it is about")
    what: str = Field(description="What is wrong there, as a sentence")


class Report(BaseModel):
    """Findings of one check.

    The list is capped: the counts go on, so a dataset with a million broken files is still
    reported in a page.
    """

    model_config = ConfigDict(extra="forbid")

    path: str = Field(description="What was checked")
    checked: dict[str, int] = Field(
        default_factory=dict, description="How many things of each kind were looked at"
    )
    errors: int = 0
    warnings: int = 0
    findings: list[Finding] = Field(default_factory=list)
    max_findings: int = Field(
        default=200, description="Findings listed per level; the counts have all"
    )

    @classmethod
    def read(cls, path: Path) -> Report:
        """Read the report that an earlier validation wrote as JSON.

        Raises
        ------
        InputError
            Missing, not JSON, or a member is missing or wrong.
        """
        return read_model(path, cls, "the result of a validation", "Delete it and run again.")

    @property
    def ok(self) -> bool:
        """Whether there are no errors."""
        return self.errors == 0

    @property
    def not_listed(self) -> int:
        """How many findings did not fit into the list."""
        return self.errors + self.warnings - len(self.findings)

    def error(self, where: object, what: str) -> None:
        """Add an error."""
        self._add(Finding(level="error", where=str(where), what=what))

    def warning(self, where: object, what: str) -> None:
        """Add a warning."""
        self._add(Finding(level="warning", where=str(where), what=what))

    def error_at(self, where: object, bad: BoolArray, what: str) -> None:
        """Add an error with number and first place of the pixels set in `bad`, if any are."""
        self.found_at("error", where, bad, what)

    def found_at(self, level: Level, where: object, bad: BoolArray, what: str) -> None:
        """Like :meth:`error_at`, of any level."""
        if count := int(np.count_nonzero(bad)):
            row, col = (int(k) for k in np.argwhere(bad)[0])
            text = f"{count} pixels {what}, the first at row {row}, col {col}"
            self._add(Finding(level=level, where=str(where), what=text))

    def include(self, other: Report, prefix: str = "") -> None:
        """Add all findings of another report, also those that it does not list.

        Their places get `prefix` in front; what the other report looked at is not added.
        """
        listed = [finding.level for finding in other.findings]
        for finding in other.findings:
            where = f"{prefix}{finding.where}"
            self._add(finding.model_copy(update={"where": where}))
        self.errors += other.errors - listed.count("error")
        self.warnings += other.warnings - listed.count("warning")

    def count(self, kind: str, number: int = 1) -> None:
        """Count things that were looked at."""
        self.checked[kind] = self.checked.get(kind, 0) + number

    def _add(self, finding: Finding) -> None:
        if finding.level == "error":
            self.errors += 1
            seen = self.errors
        else:
            self.warnings += 1
            seen = self.warnings
        if seen <= self.max_findings:
            self.findings.append(finding)

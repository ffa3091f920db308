"""What a check found: findings, and the report that collects them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from pydantic import ValidationError

Level = Literal["error", "warning"]


def first_problem(error: ValidationError) -> str:
    """The first thing that pydantic found wrong, in one line: place and message."""
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}" if place else first["msg"]


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

    def include(self, other: Report, prefix: str) -> None:
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

"""What an audit says: one level per question, with a verdict, figures and examples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from rmtools.files import read_model

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Verdict = Literal["pass", "warning", "leak", "not checked"]
Risk = Literal["none", "low", "medium", "high", "unknown"]
LevelName = Literal[
    "scenes",
    "transmitters",
    "trajectories",
    "sequences",
    "selection",
    "ground",
    "copies",
    "windows",
    "normalisation",
    "samples",
    "inputs",
]

QUESTIONS: dict[LevelName, str] = {
    "scenes": "Is a scene in two sets?",
    "transmitters": "Is a transmitter of one scene in two sets?",
    "trajectories": "Is a trajectory of one scene in two sets?",
    "sequences": "Is a sequence (scene, trajectory, transmitter) in two sets?",
    "selection": "Is what a model is chosen by also what it is tested on?",
    "ground": "Do squares of different sets overlap, or lie within the buffer?",
    "copies": "Do scenes of different sets show the same buildings, turned, mirrored or shifted?",
    "windows": "Is a frame in windows of two sets?",
    "normalisation": "Were the constants of normalisation fitted on train alone?",
    "samples": "Do the places of sparse samples tell something about the target?",
    "inputs": "Were inputs computed from the target?",
}

EXAMPLES = 20
"""Offending pairs that are listed of a level; its count has all."""

MISSING = 200
"""Scenes listed that could not be looked at; the count has all."""


class Pair(BaseModel):
    """Two things that ought to have nothing in common, and what they have."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sets: str = Field(description="The sets they are in, such as train/test")
    first: str = Field(description="A scene, or a scene with trajectory and transmitter")
    second: str = Field(description="The other; the same name where one thing is in both sets")
    distance_m: float | None = Field(
        default=None, description="Between their squares on the ground, null where not known"
    )
    what: str = Field(description="What they have in common")


class Level(BaseModel):
    """The answer to one question."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    level: LevelName
    question: str
    verdict: Verdict
    declared: bool = Field(
        default=False, description="Whether the split itself says that it leaks like this"
    )
    risk: Risk
    pairs: int = Field(default=0, ge=0, description="Number of offending pairs")
    smallest_m: float | None = Field(
        default=None, description="Smallest distance between squares of different sets in metres"
    )
    share: float | None = Field(
        default=None, description="Share of the scenes in the split that an offending pair has"
    )
    finding: str = Field(description="The answer in a sentence")
    examples: list[Pair] = Field(default_factory=list, description="The worst pairs first")


class AuditReport(BaseModel):
    """All levels of one audit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["audit"] = "audit"
    format: Literal[1] = 1
    rmtools_version: str
    split: str = Field(description="Name of the split")
    split_sha256: str = Field(description="Its checksum")
    leaky_reason: str | None = Field(description="How the split itself says that it leaks")
    dataset: str | None = Field(description="Name of the dataset; null where there was none")
    buffer_m: float
    sets: dict[str, int] = Field(description="Scenes of every set")
    missing_scenes: int = Field(description="Scenes of the split that the dataset does not have")
    missing: list[str] = Field(description="Names of the first of them")
    levels: list[Level]

    @classmethod
    def read(cls, path: Path) -> AuditReport:
        """Read the report that an earlier audit wrote as JSON.

        Raises
        ------
        InputError
            Missing, not JSON, or a member is missing or wrong.
        """
        return read_model(path, cls, "the result of an audit", "Delete it and run again.")

    @property
    def leaks(self) -> list[Level]:
        """Levels at which the split leaks."""
        return [level for level in self.levels if level.verdict == "leak"]

    @property
    def undeclared(self) -> list[Level]:
        """Those of them that the split does not tell of itself."""
        return [level for level in self.leaks if not level.declared]

    def level(self, name: LevelName) -> Level:
        """The answer at one level."""
        return next(level for level in self.levels if level.level == name)


def passed(name: LevelName, finding: str, smallest_m: float | None = None) -> Level:
    """A level without anything found."""
    return _level(name, "pass", "none", finding, smallest_m=smallest_m)


def not_checked(name: LevelName, finding: str) -> Level:
    """A level that cannot be looked at."""
    return _level(name, "not checked", "unknown", finding)


def found(
    name: LevelName,
    finding: str,
    pairs: Sequence[Pair],
    *,
    verdict: Verdict = "leak",
    risk: Risk = "high",
    count: int | None = None,
    share: float | None = None,
    declared: bool = False,
) -> Level:
    """A level with offending pairs; `count` says how many where `pairs` does not have all."""
    return _level(
        name,
        verdict,
        risk,
        finding,
        pairs=len(pairs) if count is None else count,
        share=None if share is None else round(share, 4),
        declared=declared,
        examples=list(pairs[:EXAMPLES]),
    )


def _level(name: LevelName, verdict: Verdict, risk: Risk, finding: str, **figures: object) -> Level:
    return Level.model_validate(
        {
            "level": name,
            "question": QUESTIONS[name],
            "verdict": verdict,
            "risk": risk,
            "finding": finding,
            **figures,
        }
    )

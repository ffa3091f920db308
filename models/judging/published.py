"""The papers' tables as data (``published.yaml``), and which of their rows belong beside ours."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from rmtools.files import read_bytes
from rmtools.layouts.conventions import Task
from rmtools.metrics import REFERENCE

from .results import Beside, Value, span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .results import Benchmark, Judged

FILE = Path(__file__).resolve().with_name("published.yaml")
MAX_BYTES = 256 * 1024

Column = Literal[
    "nmse",
    "mse",
    "rmse",
    "ssim",
    "psnr",
    "worse_percent",
    "seconds",
    "parameters_m",
    "memory_mb",
    "gflops",
]
About = Literal["main", "cost", "samples", "train-size", "transfer", "ablations"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Paper(_Part):
    """What all tables of a paper have in common."""

    title: str
    split: str | None = Field(description="Published split of its released code, null if unknown")
    split_words: str
    protocol: str = Field(description="Metrics protocol of its released code")
    notes: list[str] = Field(default_factory=list)


class Piece(_Part):
    """Rows of a table under one setting."""

    task: Task
    data: str | None = None
    setting: dict[str, Value] = Field(default_factory=dict)
    rows: dict[str, list[float | None]]
    odd: dict[str, str] = Field(default_factory=dict, description="By row, what does not fit")


class Table(_Part):
    """One printed table."""

    paper: str
    table: str
    study: About
    columns: list[Column]
    psnr: Literal["pooled"] | None = Field(
        default=None, description="pooled: PSNR is -20 log10 RMSE, but in rows said to be odd"
    )
    parts: list[Piece]
    notes: list[str] = Field(default_factory=list)

    @model_validator(mode="after")
    def _complete(self) -> Table:
        for part in self.parts:
            for name, values in part.rows.items():
                if len(values) != len(self.columns):
                    raise ValueError(f"{self.paper}, {self.table}, {name}: {len(values)} values")
            if odd := part.odd.keys() - part.rows.keys():
                raise ValueError(f"{self.paper}, {self.table}: no rows {odd}")
        return self


class Published(_Part):
    """All tables."""

    papers: dict[str, Paper]
    tables: list[Table]

    @model_validator(mode="after")
    def _known(self) -> Published:
        if unknown := {table.paper for table in self.tables} - self.papers.keys():
            raise ValueError(f"tables of unknown papers {unknown}")
        return self

    def claims(self, *studies: About) -> Iterator[Claim]:
        """All rows of tables, or those of tables about something."""
        for table in self.tables:
            if studies and table.study not in studies:
                continue
            for part in table.parts:
                for name, values in part.rows.items():
                    pairs = zip(table.columns, values, strict=True)
                    known = {column: value for column, value in pairs if value is not None}
                    yield Claim(
                        paper=self.papers[table.paper],
                        table=table,
                        part=part,
                        model=name,
                        values=known,
                    )


class Claim(_Part):
    """One row of a published table."""

    paper: Paper
    table: Table
    part: Piece
    model: str
    values: dict[Column, float]

    @property
    def odd(self) -> str | None:
        """What does not fit together in this row."""
        return self.part.odd.get(self.model)


@functools.cache
def published() -> Published:
    """The tables of the papers."""
    return Published.model_validate(yaml.safe_load(read_bytes(FILE, MAX_BYTES)))


def beside(result: Benchmark) -> list[Beside]:
    """The published rows of the judged models in their task, each beside ours.

    Our numbers are by the paper's protocol where that was asked for, else by the reference, and
    what differs is said.
    """
    return [
        _row(claim, judged, result)
        for claim in published().claims("main")
        for judged in result.models
        if (claim.part.task, claim.model) == (result.task, judged.model)
    ]


def _row(claim: Claim, judged: Judged, result: Benchmark) -> Beside:
    protocol = claim.paper.protocol if claim.paper.protocol in result.protocols else REFERENCE
    found = judged.scores.values(protocol)
    return Beside(
        label=judged.label,
        paper=claim.paper.title,
        table=claim.table.table,
        printed=claim.model,
        setting={"data": claim.part.data, **claim.part.setting},
        published={str(column): value for column, value in claim.values.items()},
        protocol=protocol,
        ours={name: found.get(name) for name in claim.values},
        differs=differences(claim, judged, result),
        note=claim.odd,
    )


def differences(claim: Claim, judged: Judged, result: Benchmark) -> list[str]:
    """What keeps a published row and ours from being compared, in words."""
    said = []
    ours = f"{result.dataset.title}, {result.dataset.kind}, {result.dataset.pixels} pixels a side"
    said.append(f"data: {claim.part.data} there, {ours} here")
    if result.split.name != claim.paper.split:
        said.append(f"split: {claim.paper.split_words} there, {result.split.name} here")
    if claim.paper.protocol not in result.protocols:
        said.append(f"protocol: {claim.paper.protocol} there, {REFERENCE} here")
    if judged.training is not None and judged.training.recipe != "paper":
        said.append(f"training: the paper's there, the {judged.training.recipe} recipe here")
    if judged.samples is not None:
        there, here = claim.part.setting.get("samples", "not said"), span(judged.samples)
        if str(there) != here:
            said.append(f"samples: {there} there, {here} here")
    if claim.part.setting.get("transmitter") == "unknown" and "transmitter" in judged.channels:
        said.append("transmitter: unknown there, an input here")
    if judged.options:
        said.append("options: " + ", ".join(f"{k}={v}" for k, v in judged.options.items()))
    return said

"""What the sections of the report are written from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rmtools.report.embed import Embedded
    from rmtools.report.statistics import Statistics
    from rmtools.store import Store
    from rmtools.units import GreyScale


@dataclass(frozen=True)
class Material:
    """Everything the sections are written from."""

    store: Store
    statistics: Statistics
    embedded: Embedded
    scale: GreyScale
    bytes_on_disk: int
    split: Mapping[str, Any] | None
    validation: Mapping[str, Any] | None
    audit: Mapping[str, Any] | None
    recipe: Mapping[str, Any] | None

"""What a release says about its data: one set of facts that every document is written from.

The card, Croissant, the datasheet, the citation and ``rmtools info`` take every number from here,
so none can say another than the rest.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from rmtools.traffic.tracks import FRAME_INTERVAL_S
from rmtools.units import MOTION_SCALE, SEER_SCALE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rmtools.audit.model import AuditReport
    from rmtools.findings import Report
    from rmtools.release.index import MapRow
    from rmtools.splits.manifest import SplitManifest
    from rmtools.store import Store

UNASSIGNED = "unassigned"
"""What maps are said to be in that are in no set."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(_Model):
    """What a part of the scenes was made of."""

    source: str = Field(description="File name or query")
    reader: str
    date: str | None = Field(description="Date of the data (ISO 8601), null when not known")
    licence: str
    attribution: str
    sha256: str
    scenes: int = Field(ge=1, description="Scenes that were cut out of it")


class SetFacts(_Model):
    """How much of a release is in one set of its split."""

    scenes: int = Field(ge=0)
    sequences: int = Field(ge=0)
    maps: int = Field(ge=0)


class SplitFacts(_Model):
    """The split in short; the file itself has the names."""

    name: str
    description: str
    leaky: bool
    leaky_reason: str | None
    sha256: str = Field(description="Digest of the sets")


class Box(_Model):
    """The ground that the scenes lie on, in degrees (WGS 84)."""

    west: float = Field(ge=-180, le=180)
    south: float = Field(ge=-90, le=90)
    east: float = Field(ge=-180, le=180)
    north: float = Field(ge=-90, le=90)


class Facts(_Model):
    """What is in a release, and what a pixel of it means."""

    title: str
    scenes: int = Field(ge=1)
    trajectories: int = Field(ge=0, description="Of each scene; 0 without vehicles")
    transmitters: int = Field(ge=0, description="Of each scene")
    frames: int = Field(ge=0, description="Of each sequence; 0 without vehicles")
    frame_interval_s: float
    vehicles: int = Field(ge=0, description="Most vehicles in a frame")
    sequences: int = Field(ge=0, description="Scenes x trajectories x transmitters")
    maps: int = Field(ge=0, description="Radio maps; those of two layouts count twice")
    kinds: dict[str, int] = Field(description="Radio maps of each kind")
    sets: dict[str, SetFacts]
    split: SplitFacts | None = Field(description="Null when there is none")
    pixels: int = Field(ge=1, description="Pixels per side")
    resolution_m: float = Field(gt=0, description="Side of a pixel in metres")
    row_order: str
    unit: str
    sign: str
    missing: str
    scales: dict[str, dict[str, Any]] = Field(description="Grey scale of the images by layout")
    solver: dict[str, Any] = Field(description="Solver, preset and all of its constants")
    transmitter: dict[str, Any] = Field(description="How the transmitters were placed")
    vehicle: dict[str, Any] = Field(description="Size of the vehicles and how they move")
    seed: int | None
    sources: list[Source] = Field(min_length=1)
    licence: list[str] = Field(description="Licences of the sources")
    attribution: list[str] = Field(description="Attributions that the sources ask for")
    heights: dict[str, float] = Field(description="Counts from reading, such as guessed heights")
    crs: list[str] = Field(description="CRS of the scenes' places")
    box: Box | None = Field(description="Null where the places are not known")
    validation: dict[str, int] = Field(description="Errors and warnings of rmtools validate")
    leaks: list[str] = Field(description="Levels at which the audit found a leak")

    @property
    def size_m(self) -> float:
        """Side of a scene in metres."""
        return self.pixels * self.resolution_m

    @property
    def set_names(self) -> list[str]:
        """Sets of the split that hold maps, without :data:`UNASSIGNED`."""
        return [name for name in self.sets if name != UNASSIGNED]


def gather(
    store: Store,
    rows: Mapping[str, Sequence[MapRow]],
    layouts: Sequence[str],
    split: SplitManifest | None,
    validation: Report,
    audit: AuditReport | None,
) -> Facts:
    """Take the facts from a finished dataset.

    Parameters
    ----------
    store
        Its store.
    rows
        The released maps by set, see :func:`rmtools.release.index.map_rows`.
    layouts
        Released layouts.
    split, validation, audit
        What the dataset's files of these names hold.
    """
    sizes, attributes = store.sizes, store.attributes
    arrays = [store.array_attributes(name) for name in store.map_arrays]
    loss: dict[str, Any] = next((found for found in arrays if found), {})
    vehicles = store.array_attributes("vehicles")
    kinds = Counter(row.kind for members in rows.values() for row in members)
    scales = {"motion": MOTION_SCALE, "seer": SEER_SCALE}
    return Facts(
        title=str(attributes.get("title") or store.path.parent.name),
        scenes=sizes.scene,
        trajectories=sizes.traj,
        transmitters=sizes.tx,
        frames=sizes.frame,
        frame_interval_s=FRAME_INTERVAL_S,
        vehicles=sizes.vehicle,
        sequences=sizes.scene * max(sizes.traj, 1) * sizes.tx,
        maps=sum(kinds.values()),
        kinds=dict(sorted(kinds.items())),
        sets={name: _set(members) for name, members in rows.items()},
        split=None if split is None else _split(split),
        pixels=sizes.pixels,
        resolution_m=store.grid.resolution_m,
        row_order=attributes["row_order"],
        unit=str(loss.get("units", "dB")),
        sign=str(loss.get("sign", "")),
        missing=str(loss.get("missing", "")),
        scales={name: scales[name].describe() for name in layouts if name in scales},
        solver=store.solver,
        transmitter=_without(store.array_attributes("tx_x"), "long_name", "units"),
        vehicle=_without(vehicles, "long_name", "flag_values", "flag_meanings"),
        seed=attributes.get("seed"),
        sources=_sources(attributes["scenes"]),
        licence=list(attributes.get("licence") or []),
        attribution=list(attributes.get("attribution") or []),
        heights=_counts(attributes["scenes"]),
        crs=sorted({scene["crs"] for scene in attributes["scenes"] if scene["crs"]}),
        box=_box(attributes["scenes"], store.grid.size_m),
        validation={"errors": validation.errors, "warnings": validation.warnings},
        leaks=[] if audit is None else [level.level for level in audit.leaks],
    )


def _split(split: SplitManifest) -> SplitFacts:
    return SplitFacts(
        name=split.name,
        description=split.description,
        leaky=split.leaky,
        leaky_reason=split.leaky_reason,
        sha256=split.sha256,
    )


def _set(rows: Sequence[MapRow]) -> SetFacts:
    return SetFacts(
        scenes=len({row.scene for row in rows}),
        sequences=len({(row.kind, row.scene, row.trajectory, row.transmitter) for row in rows}),
        maps=len(rows),
    )


def _without(values: Mapping[str, Any], *known: str) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in known}


def _sources(scenes: Sequence[Mapping[str, Any]]) -> list[Source]:
    """Sources in the order of their first scene."""
    found: dict[str, dict[str, Any]] = {}
    counts: Counter[str] = Counter()
    for scene in scenes:
        provenance = scene["provenance"]
        key = f"{provenance['sha256']} {provenance['source']}"
        found.setdefault(key, provenance)
        counts[key] += 1
    return [Source(**provenance, scenes=counts[key]) for key, provenance in found.items()]


def _counts(scenes: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Numbers that reading the scenes left, summed; those of whole cities are left out."""
    total: Counter[str] = Counter()
    for scene in scenes:
        for key, value in (scene.get("notes") or {}).items():
            if not isinstance(value, str) and not key.startswith("city_"):
                total[key] += value
    return dict(sorted(total.items()))


def _box(scenes: Sequence[Mapping[str, Any]], size_m: float) -> Box | None:
    """The smallest box that holds all scenes whose place is known, rounded outwards.

    A box across the 180th meridian is not made: such scenes would get one around the world.
    """
    import numpy as np
    from pyproj import Transformer

    corners = []
    for crs in sorted({scene["crs"] for scene in scenes if scene["crs"]}):
        to_degrees = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
        for scene in scenes:
            if scene["crs"] == crs and scene["easting_m"] is not None:
                east = scene["easting_m"] + np.array([0, size_m, size_m, 0])
                north = scene["northing_m"] + np.array([0, 0, size_m, size_m])
                corners.append(np.stack(to_degrees.transform(east, north)))
    if not corners:
        return None
    lon, lat = np.concatenate(corners, axis=1)
    low, high = np.floor, np.ceil
    west, south = (float(low(values.min() * 1e5) / 1e5) for values in (lon, lat))
    east, north = (float(high(values.max() * 1e5) / 1e5) for values in (lon, lat))
    return Box(west=west, south=south, east=east, north=north)

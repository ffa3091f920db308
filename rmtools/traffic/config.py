"""Parameters of the traffic: of the vehicle engine, or of tracks made elsewhere."""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rmtools.traffic.tracks import FRAME_INTERVAL_S, MAX_SPEED_MPS, VehicleSize

TrackFormat = Literal["fcd", "csv"]

PLACEHOLDER = re.compile(r"\{(scene|index|trajectory)(?::(0\d)d)?\}")
"""What stands in :attr:`TrackFiles.files` for a scene or trajectory, such as ``{index:03d}``."""

_ENDINGS: dict[str, TrackFormat] = {".xml": "fcd", ".csv": "csv"}


class TrackFiles(BaseModel):
    """Files with tracks made elsewhere; docs/traffic.md describes both formats."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    files: str = Field(
        min_length=1,
        description="One file, or a pattern with {scene} (name), {index} (of the scene) or "
        "{trajectory}, which may give a width, such as {trajectory:02d}; .xml or .csv, also .gz",
    )
    format: TrackFormat | None = Field(
        default=None, description="fcd (SUMO) or csv; null: by the ending of the files"
    )
    net: str | None = Field(
        default=None,
        description="fcd: the SUMO net file whose coordinates the tracks have; null: longitude "
        "and latitude (--fcd-output.geo), or what crs says",
    )
    crs: str | None = Field(
        default=None,
        description="fcd: projected CRS of x and y, such as EPSG:32635 (--fcd-output.utm)",
    )
    begin_s: float | None = Field(
        default=None,
        description="Time in the file of the first frame; null: the first time step (fcd) or 0",
    )
    every_s: float | None = Field(
        default=None,
        gt=0,
        description="Time between the first frames of two trajectories that come from one file; "
        "null: their length",
    )

    @property
    def kind(self) -> TrackFormat:
        """The format, given or seen from the ending."""
        ending = re.sub(r"\.gz$", "", self.files.lower())[-4:]
        return self.format or _ENDINGS[ending]

    @model_validator(mode="after")
    def _consistent(self) -> TrackFiles:
        rest = PLACEHOLDER.sub("", self.files)
        if "{" in rest or "}" in rest:
            raise ValueError(
                f"{self.files!r} may hold {{scene}}, {{index}} and {{trajectory}}, the last two "
                "also with a width as in {index:03d}, and no other braces"
            )
        if re.search(r"\{scene:", self.files):
            raise ValueError("{scene} is a name and has no width; {index:03d} is its number")
        if self.format is None and not re.search(r"\.(xml|csv)(\.gz)?$", self.files.lower()):
            raise ValueError(
                f"{self.files!r} ends neither in .xml nor in .csv (nor .gz after it); give format"
            )
        if self.kind == "csv" and (self.net or self.crs):
            raise ValueError("csv tracks are in local metres: net and crs are for fcd")
        if self.net and self.crs:
            raise ValueError("give net or crs, not both: the net file names its own projection")
        if self.every_s is not None and "{trajectory" in self.files:
            raise ValueError("every_s is for one file with several trajectories")
        return self


class TrafficConfig(BaseModel):
    """Traffic of one trajectory; the defaults are RadioMapMotion's where the paper states a value.

    The paper (section IV-B-1) gives the probe angles, look-ahead, smoothing, spacing, stuck rule
    and speed. Vehicle count and size, search radius, speed spread and warm-up are ours, see
    docs/traffic.md.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    trajectories: int = Field(
        default=5,
        ge=0,
        le=1000,
        description="Trajectories per scene; 0: no vehicles, maps without them "
        "(solver.static_maps) only",
    )
    frames: int = Field(default=15, ge=1, le=100_000, description="Recorded frames, 0.1 s apart")
    warmup_frames: int = Field(
        default=0, ge=0, le=100_000, description="Frames simulated before recording starts"
    )
    vehicles: int = Field(default=20, ge=0, le=1000, description="Vehicles asked for per scene")
    vehicle_length_m: float = Field(
        default=4.0, gt=0, le=30, description="Length of every vehicle in metres"
    )
    vehicle_width_m: float = Field(
        default=2.0, gt=0, le=5, description="Width of every vehicle in metres"
    )
    vehicle_height_m: float = Field(
        default=1.5, gt=0, le=10, description="Height of every vehicle in metres"
    )
    speed_mps: float = Field(
        default=10.0,
        gt=0,
        le=MAX_SPEED_MPS,
        description="Mean desired speed in m/s; 10 is 1 m per frame",
    )
    speed_spread: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Desired speeds are uniform within this fraction of the mean",
    )
    min_spacing_lengths: float = Field(
        default=4.0,
        ge=0,
        description="Least distance between the centres of seeded vehicles, in vehicle lengths",
    )
    lookahead_lengths: float = Field(
        default=1.5, gt=0, le=20, description="Distance of the probes, in vehicle lengths"
    )
    probe_angle_deg: float = Field(
        default=45.0, gt=0, le=90, description="Side probes, degrees to either side"
    )
    wide_angle_deg: float = Field(
        default=90.0, gt=0, le=180, description="Extra probes of a stuck vehicle, degrees"
    )
    stuck_frames: int = Field(
        default=3,
        ge=0,
        description="A vehicle still for more than this many frames adds the wide probes",
    )
    search_radius_lengths: float = Field(
        default=1.25,
        ge=0,
        description="A road pixel farther from its probe is not seen, in vehicle lengths",
    )
    smoothing: float = Field(
        default=0.4, gt=0, le=1, description="Share of the way to the target heading per frame"
    )
    tracks: TrackFiles | None = Field(
        default=None,
        description="Tracks made elsewhere instead of the rules above; null: none",
    )

    def describe(self, imported: dict[str, Any] | None) -> dict[str, Any]:
        """All that the tracks depend on besides scene and seed, as a JSON value.

        Parameters
        ----------
        imported
            Names and digests of the imported files, see
            :func:`rmtools.traffic.imports.identify_files`; None without. With them the rules
            of the engine are left out, and so are the folders of this machine.
        """
        plain = self.model_dump(mode="json", exclude={"tracks"})
        if self.tracks is None:
            return plain
        kept = ("trajectories", "frames", "vehicles")
        source = self.tracks.model_dump(mode="json", exclude={"files", "net", "format"})
        return {
            **{k: v for k, v in plain.items() if k in kept or k.startswith("vehicle_")},
            "tracks": {"format": self.tracks.kind, **source, **(imported or {})},
        }

    @property
    def size(self) -> VehicleSize:
        """Outline of the vehicles."""
        return VehicleSize(self.vehicle_length_m, self.vehicle_width_m, self.vehicle_height_m)

    @property
    def lookahead_m(self) -> float:
        """Distance of the probes in metres."""
        return self.lookahead_lengths * self.vehicle_length_m

    @property
    def search_radius_m(self) -> float:
        """Greatest distance of a road pixel from the probe that sees it, in metres."""
        return self.search_radius_lengths * self.vehicle_length_m

    @property
    def min_spacing_m(self) -> float:
        """Least distance between seeded vehicles in metres."""
        return self.min_spacing_lengths * self.vehicle_length_m

    @model_validator(mode="after")
    def _consistent(self) -> TrafficConfig:
        if self.tracks is not None:
            return self  # the rules are not used
        if self.search_radius_lengths >= self.lookahead_lengths:
            msg = (
                f"search_radius_lengths ({self.search_radius_lengths:g}) must be smaller than "
                f"lookahead_lengths ({self.lookahead_lengths:g}), or a vehicle could aim at the "
                "spot it stands on"
            )
            raise ValueError(msg)
        longest_step = self.speed_mps * (1 + self.speed_spread) * FRAME_INTERVAL_S
        if longest_step > self.vehicle_length_m:
            msg = (
                f"at {longest_step:g} m per frame a vehicle would jump over more than its own "
                f"length ({self.vehicle_length_m:g} m); lower speed_mps or speed_spread"
            )
            raise ValueError(msg)
        return self

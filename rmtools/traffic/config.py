"""Parameters of the vehicle engine."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rmtools.traffic.tracks import FRAME_INTERVAL_S, VehicleSize


class TrafficConfig(BaseModel):
    """Traffic of one trajectory; the defaults are RadioMapMotion's where the paper states a value.

    The paper (section IV-B-1) gives the probe angles, look-ahead, smoothing, spacing, stuck rule
    and speed. Vehicle count and size, search radius, speed spread and warm-up are ours, see
    docs/traffic.md.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    trajectories: int = Field(default=5, ge=1, le=1000, description="Trajectories per scene")
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
        default=10.0, gt=0, le=100, description="Mean desired speed in m/s; 10 is 1 m per frame"
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

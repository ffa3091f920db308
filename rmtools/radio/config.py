"""Which solver computes the path loss, and with which parameters."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rmtools.errors import MissingError

if TYPE_CHECKING:
    from rmtools.radio.antenna import Antenna
    from rmtools.radio.presets import NamedPreset
    from rmtools.radio.solver import Solver


class AntennaConfig(BaseModel):
    """The antenna of every transmitter, see docs/antennas.md."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    pattern: str = Field(min_length=1, description="Pattern in MSI Planet format (.msi)")
    azimuth_deg: float = Field(
        default=0.0, ge=-360, le=360, description="Direction of the boresight, clockwise from north"
    )
    downtilt_deg: float = Field(
        default=0.0, ge=-90, le=90, description="Tilt of the boresight below the horizon"
    )

    def read(self) -> Antenna:
        """The antenna as it is mounted.

        Raises
        ------
        InputError
            The pattern is not there, or not a complete file in MSI Planet format.
        """
        from rmtools.radio.antenna import read_msi

        return read_msi(Path(self.pattern), self.azimuth_deg, self.downtilt_deg)

    def identify(self) -> dict[str, Any]:
        """Name, SHA-256 and largest gain of the pattern, without its folder."""
        from rmtools.files import sha256_file

        antenna, path = self.read(), Path(self.pattern)
        return {
            "pattern": path.name,
            "sha256": sha256_file(path),
            "name": antenna.name,
            "max_gain_dbi": antenna.max_gain_dbi,
        }


class SolverConfig(BaseModel):
    """A solver, a named preset of its constants, and what is changed in it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Literal["dpm", "sionna", "winprop", "neutral"] = Field(
        default="dpm",
        description="dpm: the embedded Dominant Path Model; sionna: the ray tracer Sionna RT, an "
        "optional package; winprop, neutral: solved outside, set by ingest-winprop and ingest",
    )
    preset: str = Field(
        default="radiomapmotion",
        description="Named set of constants; dpm: radiomapseer, winprop2021 or radiomapmotion; "
        "sionna: irt2-like or irt4-like; winprop, neutral: jobs",
    )
    overrides: dict[str, Any] = Field(
        default_factory=dict,
        description="Constants of the preset to change, such as frequency_mhz; docs/dpm.md and "
        "docs/sionna.md list them",
    )

    antenna: AntennaConfig | None = Field(
        default=None,
        description="dpm: antenna pattern of all transmitters; null: isotropic, 0 dBi",
    )
    static_maps: bool = Field(
        default=False,
        description="Whether to keep the maps without vehicles, too, as RadioMapSeer has them",
    )

    @model_validator(mode="after")
    def _consistent(self) -> SolverConfig:
        if self.antenna is not None and self.name != "dpm":
            raise ValueError(
                f"solver {self.name!r} takes no antenna pattern; leave antenna out, or use dpm"
            )
        return self

    def describe(self, antenna: dict[str, Any] | None = None) -> dict[str, Any]:
        """Solver, preset, every constant in force and the antenna, for keys and provenance.

        Parameters
        ----------
        antenna
            What :meth:`AntennaConfig.identify` said; asked again when not given. Without an
            antenna pattern the description has no entry for it.

        Raises
        ------
        RecipeError
            The preset or an override is unknown or out of range.
        InputError
            The antenna pattern is missing or damaged.
        """
        constants = self._constants()
        described = {"solver": self.name, **constants.model_dump(mode="json")}
        if self.antenna is not None:
            mounted = self.antenna.model_dump(mode="json", exclude={"pattern"})
            described["antenna"] = {**(antenna or self.antenna.identify()), **mounted}
        return described

    def _constants(self) -> NamedPreset:
        """The preset with its overrides."""
        from rmtools.radio import external, sionna_presets
        from rmtools.radio.dpm import presets

        if self.outside:
            return external.resolve(self.preset, self.overrides)
        if self.name == "sionna":
            return sionna_presets.resolve(self.preset, self.overrides)
        return presets.resolve(self.preset, self.overrides)

    @property
    def outside(self) -> bool:
        """Whether the path loss is solved outside and taken back."""
        return self.name in ("winprop", "neutral")

    def _refuse_outside(self) -> None:
        if self.outside:
            verb = "ingest-winprop" if self.name == "winprop" else "ingest"
            raise MissingError(
                "the radio maps of this dataset are solved outside, and not all are there yet.",
                remedy=f"Take the missing ones in with `rmtools {verb}`, or choose another solver "
                "with `rmtools simulate --set 'solver={name: dpm}' --overwrite`.",
            )

    def require(self) -> None:
        """Make sure that what the solver needs from outside is there.

        Raises
        ------
        MissingError
            The package of an optional solver is not installed or cannot run here, or the path
            loss is solved outside.
        InputError
            The antenna pattern is missing or damaged.
        """
        self._refuse_outside()
        if self.antenna is not None:
            self.antenna.read()
        if self.name == "sionna":
            from rmtools.radio.sionna import load_sionna

            load_sionna()

    def build(self) -> Solver:
        """Make the solver.

        Raises
        ------
        RecipeError
            The preset or an override is unknown or out of range.
        MissingError
            The package of an optional solver is not installed or cannot run here, or the path
            loss is solved outside.
        """
        self._refuse_outside()
        if self.name == "sionna":
            from rmtools.radio.sionna import SionnaSolver

            return SionnaSolver(self.preset, **self.overrides)
        from rmtools.radio.dpm.solver import DominantPathSolver

        return DominantPathSolver(self.preset, **self.overrides)

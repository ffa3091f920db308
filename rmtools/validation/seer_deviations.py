"""Deviations of RadioMapSeer from the simple rules, each with its reason and how far it may go.

The published dataset breaks most rules that one would check: its building images lie half a pixel
from its gain maps, weak street is stored like a building, cars touch walls. A check that took all
of this for errors could not be used; one that said nothing would hide it. So what stays within the
known measure is collected and reported once per folder, with the worst file and the reason; what
goes beyond it is reported file by file. docs/seer.md has what was measured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pydantic import BaseModel, ConfigDict

from rmtools.findings import Level  # noqa: TC001 - pydantic reads the annotation

if TYPE_CHECKING:
    from rmtools.findings import Report


class Deviation(NamedTuple):
    """One kind of deviation.

    Attributes
    ----------
    what
        Follows "12 pixels".
    reason
        Why it is tolerated, as a sentence.
    allowed
        The largest share that is tolerated.
    whole
        What it is a share of.
    beyond
        Level of a finding beyond that.
    """

    what: str
    reason: str
    allowed: float
    whole: str = "the image"
    beyond: Level = "error"


_DRAWN = "The rule by which images are drawn was verified on a few maps only"
_WEAK = "Gain below -147 dB is stored as 0, like a building"
_FREE = "those outside buildings"

ZEROS = {
    "DPM": Deviation("outside buildings are 0", _WEAK, 0.02, _FREE, "warning"),
    "IRT2": Deviation(
        "outside buildings are 0",
        f"{_WEAK}, and two interactions do not reach every street",
        0.25,
        _FREE,
        "warning",
    ),
    "IRT4": Deviation("outside buildings are 0", _WEAK, 0.05, _FREE, "warning"),
}
"""By the simulator without cars."""

BUILDING_IMAGE = Deviation("are not the raster of the polygons", _DRAWN, 0.002)

ROAD_IMAGE = Deviation("are not the raster of the lines", _DRAWN, 0.1, "the lines")

CAR_IMAGE = Deviation(
    "are not the raster of the cars", "How oblique cars are drawn is not known", 0.1, "the cars"
)
GAIN_IN_BUILDING = Deviation(
    "inside buildings are not 0",
    "To which side a pixel on an oblique wall belongs was verified on map 0 only",
    0.002,
)
ROUNDED_WALLS = Deviation(
    GAIN_IN_BUILDING.what,
    "The polygons have the walls rounded to whole metres, the gain knows the true ones",
    0.03,
)
"""Of trees that rmtools wrote."""

IMAGE_AND_GAIN = Deviation(
    "are building in the image but not in gain maps, or the other way round",
    "Building images are drawn half a pixel away from gain maps; where buildings are for a "
    "transmitter or a map the polygons say",
    0.1,
)
TRANSMITTER_ON_IMAGE = Deviation(
    "of transmitters are building in the image",
    "Building images are drawn half a pixel away; no polygon holds the transmitter",
    0.2,
    "a map's transmitters",
    "warning",
)
CAR_ON_BUILDING = Deviation(
    "of cars lie on buildings of the image",
    "Published maps have up to six such pixels",
    0.05,
    "the cars",
    "warning",
)
ROAD_ON_BUILDING = Deviation(
    "of roads lie on buildings of the image",
    "A road may pass through an arch or a tunnel; the published maps that were seen have none",
    0.1,
    "the roads",
    "warning",
)
ABOVE_LAW = Deviation(
    "are more than a level above DPM's line-of-sight law",
    "A few pixels of most published maps are; the cause is not known",
    0.002,
    beyond="warning",
)
SIGHT_LAW = Deviation(
    "in line of sight are more than a level off DPM's law",
    "Near the transmitter the simulator changes the distance, and what is in sight of it near "
    "walls is known to a pixel only",
    0.01,
    "those in line of sight",
    "warning",
)
CARS_ADD = Deviation(
    "are stronger with cars than without",
    "Not verified for IRT; for DPM it is an error",
    0.1,
    beyond="warning",
)


class Tolerated(BaseModel):
    """Deviations of one kind in one folder that are within their measure.

    Attributes
    ----------
    folder, kind
        Where, and what.
    files, pixels
        How many deviate.
    worst, where
        The largest share, and the file that has it.
    """

    model_config = ConfigDict(extra="forbid")

    folder: str
    kind: Deviation
    files: int
    pixels: int
    worst: float
    where: str

    def tell(self, report: Report) -> None:
        """Report them as one warning."""
        files = "1 file" if self.files == 1 else f"{self.files} files"
        report.warning(
            self.folder,
            f"in {files} {self.pixels} pixels {self.kind.what}, at most {self.worst:.2%} of "
            f"{self.kind.whole} ({self.where}). Tolerated: {self.kind.reason}",
        )


class Deviations:
    """Collects the deviations of a dataset, or of a part of it, for its report."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._tolerated: dict[tuple[str, Deviation], Tolerated] = {}

    @property
    def tolerated(self) -> list[Tolerated]:
        """What was collected, one entry per folder and kind."""
        return list(self._tolerated.values())

    def add(self, name: str, kind: Deviation, pixels: int, of: int, hint: str = "") -> None:
        """Collect a deviation that is within its measure, report one that is not.

        Parameters
        ----------
        name
            The file.
        kind
            What it is.
        pixels, of
            How many of how many pixels deviate.
        hint
            What the cause may be, should the measure be exceeded; a clause.
        """
        if not pixels:
            return
        share = pixels / max(of, 1)
        if share > kind.allowed:
            add = self._report.error if kind.beyond == "error" else self._report.warning
            cause = f"; {hint}" if hint else ""
            add(
                name,
                f"{pixels} pixels {kind.what}: {share:.2%} of {kind.whole}, up to "
                f"{kind.allowed:.1%} is known{cause}",
            )
            return
        folder = name.rpartition("/")[0]
        self.collect(
            Tolerated(folder=folder, kind=kind, files=1, pixels=pixels, worst=share, where=name)
        )

    def collect(self, more: Tolerated) -> None:
        """Add what was tolerated in another file, or in another part of the dataset."""
        total = self._tolerated.get((more.folder, more.kind))
        if total is None:
            self._tolerated[more.folder, more.kind] = more.model_copy()
            return
        total.files += more.files
        total.pixels += more.pixels
        if more.worst > total.worst:
            total.worst, total.where = more.worst, more.where

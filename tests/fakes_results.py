"""Result files as WinProp writes them, made from arrays; every freedom of the format is a choice.

The only true files that are public are along trajectories; their header is that of the files made
here. The rows of areas follow what working programs read and write (docs/winprop.md).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Area:
    """An area result: `values` as they are printed, shape (time steps, rows, columns), row 0 north.

    `order` permutes the rows of the file, which are otherwise x outer, y inner, with the time
    steps of a pixel one after the other.
    """

    values: NDArray[np.floating]
    name: str = "tx0"
    location: tuple[float, float, float] = (1.5, 2.5, 1.5)
    frequency_mhz: float = 3500.0
    power: str = "23.000 dBm Output"
    antenna_type: str = "ISO"
    corner: tuple[float, float] = (0.0, 0.0)
    resolution_m: float = 1.0
    height_m: float = 1.5
    with_z: bool = False
    separator: str = " "
    line_end: str = "\r\n"
    decimals: int = 4
    order: NDArray[np.intp] | None = None
    drop: tuple[str, ...] = field(default=())

    def header(self) -> list[str]:
        steps, rows, columns = self.values.shape
        far = [
            low + k * self.resolution_m for low, k in zip(self.corner, (columns, rows), strict=True)
        ]
        lines = [
            "VERSION\t2022-14829",
            "DATE\t2026-01-01, 00:00:00 (+0000)",
            f"ANTENNA 1\tNAME\t{self.name}",
            "ANTENNA 1\tLOCATION\t" + " ".join(f"{v:.3f}" for v in self.location),
            f"ANTENNA 1\tFREQUENCY\t{self.frequency_mhz:.3f}",
            f"ANTENNA 1\tPOWER\t{self.power}",
            f"ANTENNA 1\tANTENNATYPE\t{self.antenna_type}",
            "LOWER_LEFT\t{:.8f} {:.8f}".format(*self.corner),
            "UPPER_RIGHT\t{:.8f} {:.8f}".format(*far),
            "HEIGHT" + f"\t{self.height_m:.3f}" * steps,
            "TIME_STEP" + "".join(f"\t{k:.3f}" for k in range(steps)),
            f"RESOLUTION\t{self.resolution_m:.8f}",
        ]
        return [line for line in lines if not any(word in line for word in self.drop)]

    def rows(self) -> list[str]:
        steps, rows, columns = self.values.shape
        west, south = self.corner
        lines = []
        for col in range(columns):
            for up in range(rows):
                for step in range(steps):
                    value = self.values[step, rows - 1 - up, col]
                    words = [
                        f"{west + (col + 0.5) * self.resolution_m:.5f}",
                        f"{south + (up + 0.5) * self.resolution_m:.5f}",
                        *([f"{self.height_m:.5f}"] if self.with_z else []),
                        "N.C." if np.isnan(value) else f"{value:.{self.decimals}f}",
                    ]
                    lines.append(self.separator.join(words))
        return lines if self.order is None else [lines[k] for k in self.order]

    def data(self) -> bytes:
        lines = [*self.header(), "", "BEGIN_DATA", *self.rows(), "END_DATA", ""]
        return self.line_end.join(lines).encode("cp1252")


TRAJECTORY = (
    b"VERSION\t2021-2098\r\nANTENNA 1\tNAME\tTX\r\nANTENNA 1\tLOCATION\t340.000 280.000 15.000\r\n"
    b"ANTENNA 1\tFREQUENCY\t2000.000\r\nANTENNA 1\tPOWER\t10.000 W Output\r\n"
    b"LOWER_LEFT\t237.50000000 77.50000000\r\nUPPER_RIGHT\t341.50000000 422.50000000\r\n"
    b"HEIGHT\t2.500\r\nTIME_STEP\t0.000\r\nRESOLUTION\t1.00000000\r\n\r\n"
    b"Trajectory\tx-Coordinate [m]\ty-Coordinate [m]\tz-Coordinate [m]\tYaw [deg]\tPitch [deg]\t"
    b"Roll [deg]\tTime Stamp [s]\tVelocity [m/s]\tDistance to start of trajectory [m]\tPower [dBm]"
    b"\r\n"
    b"0\t240.00000\t80.00000\t1.50000\t0.00000\t0.00000\t0.00000\t0.0000\t10.0000\t0.0000\t-60.25\r\n"
    b"0\t240.00000\t81.00000\t1.50000\t0.00000\t0.00000\t0.00000\t0.1000\t10.0000\t1.0000\tN.C.\r\n"
)
"""A result along a trajectory of two points."""

RAYS = (
    b"\r\n******\r\nLL_EDGE 0.00,0.00\r\nHEIGHT 1.500\r\nRESOLUTION 1.00000\r\nCOLUMNS 8\r\n"
    b'LINES 8\r\n******\r\nANTENNA 1.0000 1.0000 1.5000\r\nANTENNA_PATTERN "ISO"\r\n'
    b"ANTENNA_HORIZONTAL 90.00\r\nANTENNA_VERTICAL 0.00\r\nPOWER 23.000 dBm OutputPower\r\n"
    b"FREQUENCY 3500.000\r\nVERSION 2\r\nCREATOR URBAN\r\nINTERACTION_TYPE 1\r\nOBJECT_ID 1\r\n"
    b"MATERIAL_ID 1\r\nPATHS YES \r\nPHASE YES \r\nANGLES YES \r\nDOPPLER_SHIFT NO\r\n"
    b"*  POINT  *  x-coordinate\r\n"
    b"POINT_PLANE 4.00 5.00 1.50  0 \r\n"
    b"PATH 16.678205 100.25 0 0  0.0000 0.9273 1.5708 4.0689 1.5708\r\n"
    b"POINT_PLANE 1.00 9.00 1.50  1 \r\n"
    b"PATH 33.356410 80.50 0 1  0.0000 0.9273 1.5708 4.0689 1.5708 4.0000 5.0000 1.5000 D 7 2\r\n"
    b"POINT_PLANE 2.00 9.00 1.50  2 "
)
"""A ray file: line of sight over 5 m, one bend after 5 of 10 m, and a point without a path."""

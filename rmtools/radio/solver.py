"""The protocol every path-loss solver follows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rmtools.radio.antenna import Antenna
    from rmtools.scene import Scene
    from rmtools.types import FloatArray


@dataclass(frozen=True)
class Transmitter:
    """An antenna at (x, y) in local metres, `z_m` above the street; isotropic without a pattern."""

    x: float
    y: float
    z_m: float = 1.5
    antenna: Antenna | None = None


def _no_outlines() -> FloatArray:
    return np.zeros((0, 4, 2))


@dataclass(frozen=True)
class Obstacles:
    """Vehicles of one frame: low boxes that the static scene does not hold.

    Attributes
    ----------
    outlines
        Counter-clockwise corners in local metres, shape (V, 4, 2).
    height_m
        Height of all of them.
    """

    outlines: FloatArray = field(default_factory=_no_outlines)
    height_m: float = 1.5


NO_OBSTACLES = Obstacles()


class Solver(Protocol):
    """Anything that turns a scene and a transmitter into a radio map.

    ``prepare`` is called once per scene, ``solve_sequences`` once per trajectory.
    """

    def describe(self) -> dict[str, Any]:
        """Name, preset and every parameter, for the provenance of what is solved."""
        ...

    def prepare(self, scene: Scene) -> Any:
        """Everything that depends on the scene alone."""
        ...

    def solve(
        self, prepared: Any, transmitter: Transmitter, obstacles: Obstacles = NO_OBSTACLES
    ) -> FloatArray:
        """Path loss in dB, positive, shape (n, n); NaN inside buildings."""
        ...

    def solve_sequences(
        self, prepared: Any, transmitters: Sequence[Transmitter], frames: Sequence[Obstacles]
    ) -> Iterator[FloatArray]:
        """Maps of all frames for one transmitter after the other, shape (F, n, n) each.

        Every frame is what :meth:`solve` gives for it; a solver may save work that frames share.
        """
        ...

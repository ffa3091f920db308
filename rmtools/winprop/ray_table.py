"""A ray file as a table for people and as a value for machines."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from rmtools.errors import InputError

if TYPE_CHECKING:
    from rmtools.winprop.rays import RayPath, Rays, Receiver


def ray_value(rays: Rays, receiver: int | None = None) -> dict[str, Any]:
    """Everything in a ray file, or in one receiver of it, as JSON values."""
    return {
        "transmitter": rays.transmitter,
        "antenna": rays.antenna,
        "power_dbm": round(rays.power_dbm, 4),
        "frequency_mhz": rays.frequency_mhz,
        "receivers": [
            {
                "index": point.index,
                "at": point.at,
                "paths": [_path_value(rays, path) for path in point.paths],
            }
            for point in _chosen(rays, receiver)
        ],
    }


def ray_lines(rays: Rays, receiver: int | None = None) -> list[str]:
    """The same as a table; the points of the paths for one receiver only."""
    x, y, z = rays.transmitter
    lines = [
        f"antenna {rays.antenna} at ({x:g}, {y:g}, {z:g}) m, {rays.power_dbm:.2f} dBm, "
        f"{rays.frequency_mhz:g} MHz",
        f"{'receiver':>8} {'x m':>9} {'y m':>9} {'z m':>7} {'length m':>9} {'loss dB':>8}  bends",
    ]
    kinds: Counter[int] = Counter()
    for point in _chosen(rays, receiver):
        place = "{:>9.2f} {:>9.2f} {:>7.2f}".format(*point.at)
        if not point.paths:
            lines.append(f"{point.index:>8} {place}  no path")
        for path in point.paths:
            kinds[len(path.interactions)] += 1
            bends = " ".join(
                f"{interaction.kind}{angle:.1f}"
                for interaction, angle in zip(path.interactions, path.bends_deg, strict=True)
            )
            loss = rays.pathloss_db(path)
            lines.append(
                f"{point.index:>8} {place} {path.length_m:>9.2f} {loss:>8.2f}  {bends}".rstrip()
            )
            if receiver is not None:
                lines += ["{:>18.2f} {:>9.2f} {:>7.2f}".format(*at) for at in path.points]
    words = ", ".join(f"{count:,} with {bends} bends" for bends, count in sorted(kinds.items()))
    lines.append(f"{kinds.total():,} paths: {words}" if kinds else "no paths")
    return lines


def _path_value(rays: Rays, path: RayPath) -> dict[str, Any]:
    return {
        "delay_ns": path.delay_ns,
        "field_dbuv_per_m": path.field_dbuv_per_m,
        "pathloss_db": round(rays.pathloss_db(path), 2),
        "length_m": round(path.length_m, 4),
        "bends_deg": [round(angle, 4) for angle in path.bends_deg],
        "kinds": [interaction.kind for interaction in path.interactions],
        "points": path.points,
    }


def _chosen(rays: Rays, receiver: int | None) -> list[Receiver]:
    if receiver is None:
        return list(rays.receivers)
    found = [point for point in rays.receivers if point.index == receiver]
    if not found:
        raise InputError(
            f"there is no receiver {receiver}.",
            remedy=f"The file has {len(rays.receivers)} receivers.",
        )
    return found

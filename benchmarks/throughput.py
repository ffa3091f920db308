"""Throughput from the city to the checksums: maps per second, per core and step; projections.

    make bench

Two datasets are made with the recipes of RadioMapMotion and RadioMapSeer, fewer scenes of them,
with one process and with two. Every stage is timed by the clock. After that encoders are compared
on the maps that were made, in processor time, the ways in turn and the best of several turns.

Projections multiply the time of a stage by the maps of the full dataset. Stages of many units are
divided by the cores and by the efficiency that two processes had; cutting scenes, split, audit and
putting the findings of the validation together run in one process.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from throughput_encoders import compare

from rmtools.files import sha256_file, walk_files, write_json
from rmtools.run.recipe import load_recipe
from rmtools.run.runner import run
from rmtools.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterable

PIPELINES = Path(__file__).resolve().parent.parent / "pipelines"
CORES = (1, 16, 256)
ALONE = {"scenes", "split", "findings", "audit", "report"}
"""Stages of one unit: more processes do not make them faster."""

DATASETS = {
    "radiomapmotion": (450_000, ["traffic.trajectories=1"]),
    "radiomapseer": (2 * 56_080, []),
}
"""Maps of the full dataset, and how the recipe differs here."""

WARM_UP = [
    *("city.tiles.count=3", "traffic.trajectories=1", "traffic.frames=2", "traffic.vehicles=3"),
    *("transmitters.count=1", "solver.static_maps=true"),
]


@dataclass
class Stopwatch:
    """Told about the stages of a run as a progress bar is; remembers how long each took."""

    seconds: dict[str, float] = field(default_factory=dict)
    _label: str = ""
    _since: float = 0.0

    def start(self, label: str, total: int, _: int) -> None:
        """A stage begins; one without units is none."""
        self._label, self._since = label if total else "", time.perf_counter()

    def advance(self) -> None:
        """A unit was finished."""

    def finish(self, _: str = "") -> None:
        """The stage ended."""
        if self._label:
            self.seconds[self._label] = time.perf_counter() - self._since


class Waiting:
    """How long this process waits for the disk to have what was written (fsync)."""

    def __init__(self) -> None:
        self.seconds, self._fsync = 0.0, os.fsync

    def __enter__(self) -> None:
        def fsync(handle: Any) -> None:
            begin = time.perf_counter()
            self._fsync(handle)
            self.seconds += time.perf_counter() - begin

        os.fsync = fsync

    def __exit__(self, *_: object) -> None:
        os.fsync = self._fsync


@dataclass
class Measured:
    """One dataset, made with one process and with two."""

    recipe: str
    maps: int
    scenes: int
    full_maps: int
    seconds: dict[str, float]
    seconds_of_two: dict[str, float]
    bytes_per_map: dict[str, float]
    checksum_ms_per_map: float
    fsync_ms_per_map: float

    def efficiency(self) -> float:
        """How well two processes share the stages of many units: 1 is half the time."""
        one, two = (
            sum(s for stage, s in taken.items() if stage not in ALONE)
            for taken in (self.seconds, self.seconds_of_two)
        )
        return min(one / (2 * two), 1.0)

    def projected_hours(self, cores: int) -> tuple[float, float]:
        """Time of the full dataset in hours: stages of many units on so many cores, and the rest.

        The report is left out: it looks at 1000 sequences at most, whatever the size.
        """
        shared = sum(s for stage, s in self.seconds.items() if stage not in ALONE)
        alone = sum(s for stage, s in self.seconds.items() if stage in ALONE - {"report"})
        speed = cores * (self.efficiency() if cores > 1 else 1.0)
        hours = self.full_maps / self.maps / 3600
        return shared / speed * hours, alone * hours


def measure(name: str, folder: Path, scenes: int, more: Iterable[str]) -> Measured:
    """Make a dataset twice, with one process and with two."""
    full_maps, changes = DATASETS[name]
    settings = [f"city.tiles.count={scenes}", "city.tiles.min_building_share=0.2"]
    settings += [*changes, *more]
    recipe = load_recipe(PIPELINES / f"{name}.yaml", settings)
    watches, waited = [], Waiting()
    for workers in (1, 2):
        watch = Stopwatch()
        with waited if workers == 1 else contextlib.nullcontext():
            run(folder / f"{name}-{workers}", recipe, workers=workers, progress=watch)  # type: ignore[arg-type]
        watches.append(watch)
    root = folder / f"{name}-1"
    store = Store.open(root)
    sizes = {
        part: sum(path.stat().st_blocks * 512 for path in walk_files(root / part)) / store.maps
        for part in ("store.zarr", "motion", "seer")
        if (root / part).is_dir()
    }
    files = walk_files(root)
    begin = time.process_time()
    for path in files:
        sha256_file(path)
    checksums_s = time.process_time() - begin
    return Measured(
        recipe=name,
        maps=store.maps,
        scenes=store.sizes.scene,
        full_maps=full_maps,
        seconds=watches[0].seconds,
        seconds_of_two=watches[1].seconds,
        bytes_per_map=sizes,
        checksum_ms_per_map=1000 * checksums_s / store.maps,
        fsync_ms_per_map=1000 * waited.seconds / store.maps,
    )


def table(measured: Measured) -> str:
    """Steps, sizes and projections in words."""
    m = measured
    total, of_two = sum(m.seconds.values()), sum(m.seconds_of_two.values())
    lines = [
        f"{m.recipe}: {m.maps} maps of {m.scenes} scenes; {m.maps / total:.1f} maps/s on one core, "
        f"{m.maps / of_two:.1f} on two",
        "  step             ms per map   share   maps/s and core   two processes",
    ]
    for stage, seconds in m.seconds.items():
        faster = seconds / m.seconds_of_two[stage]
        lines.append(
            f"  {stage:<16} {1000 * seconds / m.maps:>10.2f} {seconds / total:>7.1%} "
            f"{m.maps / seconds:>17.1f} {faster:>9.2f} times"
        )
    lines.append(
        f"  of which checksums {m.checksum_ms_per_map:.2f} and waiting for the disk (fsync) "
        f"{m.fsync_ms_per_map:.2f} ms per map"
    )
    sizes = ", ".join(f"{part} {size:,.0f}" for part, size in m.bytes_per_map.items())
    lines.append(f"  bytes per map on disk: {sizes}")
    per_map = sum(m.bytes_per_map.values())
    for cores in CORES:
        made, checked = m.projected_hours(cores)
        speed = m.full_maps * per_map / made / 3.6e9
        lines.append(
            f"  {m.full_maps:,} maps on {cores:>3} cores: {made:>6.2f} hours, "
            f"{m.full_maps * per_map / 1e9:,.1f} GB at {speed:,.1f} MB/s; then {checked:.2f} hours "
            "of one core"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure, print, and write JSON when asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scenes", type=int, default=4, help="of each dataset, even")
    parser.add_argument("--turns", type=int, default=5, help="of the encoders")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    parser.add_argument("--set", action="append", default=[], dest="more", metavar="KEY=VALUE")
    arguments = parser.parse_args()
    results: dict[str, Any] = {"machine": platform.platform(), "python": platform.python_version()}
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        warm_up = load_recipe(PIPELINES / "radiomapseer.yaml", WARM_UP)
        run(folder / "warm-up", warm_up)  # compiles what is compiled once for a machine
        for name in DATASETS:
            found = measure(name, folder, arguments.scenes, arguments.more)
            print(table(found), flush=True)
            about = {"efficiency": found.efficiency()}
            about |= {f"hours_on_{n}": found.projected_hours(n) for n in CORES}
            results[name] = asdict(found) | about
        text, results["encoders"] = compare(
            Store.open(folder / "radiomapmotion-1"), arguments.turns
        )
        print(text)
    if arguments.json:
        write_json(arguments.json, json.loads(json.dumps(results)))


if __name__ == "__main__":
    main()

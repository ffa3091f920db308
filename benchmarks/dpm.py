"""How close the embedded Dominant Path Model comes to WinProp's maps, and how fast it is.

    python benchmarks/dpm.py [reference-data] [--json FILE] [--plots DIR] [--only accuracy,speed]

The reference data are those of $RMTOOLS_REFERENCE_DATA, else ../shared/data beside the checkout:
true maps in ``radiomapseer`` and city extracts in ``osm``. What is missing, data or an optional
package, leaves its part out and a line says so. docs/dpm-benchmarks.md explains the figures.
"""

from __future__ import annotations

import argparse
import json
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dpm_accuracy
import dpm_leave_one_out
import dpm_speed
from dpm_truth import Skipped, TrueMap, reference_root, true_maps
from dpm_workload import workloads
from rich.console import Console

from rmtools.radio.dpm.solver import DominantPathSolver

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dpm_workload import Work


SECTIONS = (
    "accuracy",
    "leave-one-out",
    "cars",
    "speed",
    "cost",
    "reference",
    "sionna",
    "processes",
)
WIDTH = 170


class Benchmark:
    """The sections share what was read and where the figures go."""

    def __init__(self, root: Path, only: Sequence[str], plots: Path | None) -> None:
        self.root, self.only, self.plots = root, only, plots
        self.console = Console()
        self.console.width = max(self.console.width, WIDTH)
        self.solver = DominantPathSolver("radiomapseer")
        self.comparisons: list[dpm_accuracy.Comparison] = []
        self.maps: list[TrueMap] = []
        self.skipped: list[Skipped] = []
        self.figures: dict[str, Any] = {"maps": [], "skipped": []}

    def run(self) -> dict[str, Any]:
        """Run the sections and print their tables; returns the figures."""
        maps, skipped = true_maps(self.root / "radiomapseer")
        self.skip(skipped)
        self.comparisons, skipped = dpm_accuracy.compare(maps, self.solver)
        self.skip(skipped)
        self.maps = [c.true for c in self.comparisons]
        if not self.maps:
            self.console.print(f"no true maps in {self.root / 'radiomapseer'}: accuracy left out")
        for name, section in (
            ("accuracy", self.accuracy),
            ("cars", self.cars),
            ("leave-one-out", self.leave_one_out),
            ("speed", self.speed),
            ("cost", self.cost),
            ("reference", self.reference),
            ("sionna", self.sionna),
            ("processes", self.processes),
        ):
            if name in self.only:
                section()
        self.figures["skipped"] = [s._asdict() for s in self.skipped]
        return self.figures

    @cached_property
    def works(self) -> list[Work]:
        """Real scenes to measure the speed on."""
        return workloads(self.root, self.maps)

    def skip(self, more: Sequence[Skipped]) -> None:
        """Say what is left out."""
        self.skipped += more
        for file, reason in more:
            self.console.print(f"skipped {file}: {reason}", markup=False)

    def accuracy(self) -> None:
        """Errors per map and class."""
        if not self.comparisons:
            return
        entries = [dpm_accuracy.entry(c) for c in self.comparisons]
        over_all = dpm_accuracy.pooled(self.comparisons)
        means = dpm_accuracy.means(entries)
        self.figures |= {"maps": entries, "means": means, "classes": over_all}
        dpm_accuracy.show_accuracy(self.console, entries, over_all)
        self.plot(lambda plots, folder: [plots.plot_error(folder, c) for c in self.comparisons])

    def cars(self) -> None:
        """The effect of cars."""
        root = self.root / "radiomapseer"
        entries, skipped = dpm_accuracy.cars(root, self.comparisons, self.solver)
        self.skip(skipped)
        self.figures["cars"] = entries
        dpm_accuracy.show_cars(self.console, entries)

    def leave_one_out(self) -> None:
        """Constants from other cities."""
        rows = dpm_leave_one_out.leave_one_out(self.maps)
        self.figures["leave_one_out"] = rows
        dpm_leave_one_out.show_leave_one_out(self.console, rows)

    def speed(self) -> None:
        """Real scenes: maps, frames, preparation; and how exact frames are."""
        rows = []
        for work in self.works:
            rows += dpm_speed.one_scene(work)
        self.figures["speed"] = {"scenes": rows, "summary": dpm_speed.summary(rows)}
        dpm_speed.show_scenes(self.console, rows)

    def cost(self) -> None:
        """Made cities: what size and buildings cost."""
        sizes, counts = dpm_speed.against_size(), dpm_speed.against_buildings()
        self.figures["cost"] = {"size": sizes, "buildings": counts}
        dpm_speed.show_cost(self.console, "Cost against size, one core", sizes)
        dpm_speed.show_cost(self.console, "Cost against buildings, one core", counts)
        self.plot(lambda plots, folder: [plots.plot_cost(folder, sizes, counts)])

    def reference(self) -> None:
        """Compiled against plain."""
        rows = dpm_speed.against_reference()
        self.figures["reference"] = rows
        dpm_speed.show_reference(self.console, rows)

    def sionna(self) -> None:
        """Against the ray tracer."""
        row = dpm_speed.against_sionna()
        self.figures["sionna"] = row
        dpm_speed.show_sionna(self.console, row)

    def processes(self) -> None:
        """One process and two."""
        row = dpm_speed.over_processes(self.works)
        self.figures["processes"] = row
        dpm_speed.show_processes(self.console, row)

    def plot(self, draw: Callable[[Any, Path], list[Path]]) -> None:
        """Draw if plots are wanted and matplotlib is there."""
        if not self.plots:
            return
        try:
            import matplotlib  # noqa: F401, ICN001 - is it there?
        except ImportError:
            self.console.print("no plots: matplotlib is missing (pip install 'rmtools[bench]')")
            return
        import dpm_plots

        self.plots.mkdir(parents=True, exist_ok=True)
        for path in draw(dpm_plots, self.plots):
            self.console.print(f"wrote {path}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Accuracy and speed of the embedded DPM.")
    parser.add_argument("data", type=Path, nargs="?", default=reference_root())
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    parser.add_argument("--plots", type=Path, help="draw pictures into this folder")
    parser.add_argument("--only", default=",".join(SECTIONS), help="some of " + ",".join(SECTIONS))
    options = parser.parse_args(arguments)
    only = options.only.split(",")
    if unknown := set(only) - set(SECTIONS):
        parser.error(f"no section {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    if options.json and not options.json.parent.is_dir():
        parser.error(f"there is no folder {options.json.parent} to write into")
    benchmark = Benchmark(options.data, only, options.plots)
    figures = benchmark.run()
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2, allow_nan=False) + "\n")


if __name__ == "__main__":
    main()

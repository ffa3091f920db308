"""Pictures of what the benchmark found; they need matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from dpm_accuracy import Comparison

CLASSES = ("building", "line of sight", "1 bend", "2 bends", "3+ bends", "over roof")
COLOURS = ("#404040", "#fee08b", "#a6d96a", "#66bd63", "#3288bd", "#d53e4f")
CLIP_DB = 6.0


def plot_cost(folder: Path, sizes: list[dict[str, Any]], counts: list[dict[str, Any]]) -> Path:
    """Cost against the size of the map and against the number of buildings."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    pixels = np.array([row["n"] for row in sizes]) ** 2
    for name, label in (("static_ms", "static map"), ("prepare_ms", "preparation")):
        left.loglog(pixels, [row[name] for row in sizes], "o-", label=label)
        x = [row["buildings"] for row in counts]
        right.plot(x, [row[name] for row in counts], "o-", label=label)
    left.set_xticks(pixels, [str(row["n"]) for row in sizes])
    left.minorticks_off()
    left.set(xlabel="pixels per side", ylabel="ms on one core", title="same density of buildings")
    right.set(xlabel="buildings", title="256 × 256 pixels", ylim=(0, None))
    for axes in (left, right):
        axes.legend()
        axes.grid(alpha=0.3)
    path = folder / "dpm-cost.png"
    figure.savefig(path, dpi=100)
    return path


def plot_error(folder: Path, comparison: Comparison) -> Path:
    """Error and class of every pixel of one map; no true values."""
    from dpm_accuracy import class_masks
    from matplotlib.colors import ListedColormap
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    figure = Figure(figsize=(9, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.set_facecolor(COLOURS[0])
    image = left.imshow(comparison.errors, cmap="RdBu_r", vmin=-CLIP_DB, vmax=CLIP_DB)
    figure.colorbar(image, ax=left, label="ours minus true gain, dB", extend="both")
    shown = np.zeros(comparison.errors.shape, int)
    for k, mask in enumerate(list(class_masks(comparison.found.classes).values())[1:], start=1):
        shown[mask] = k
    right.imshow(shown, cmap=ListedColormap(COLOURS), vmin=0, vmax=len(COLOURS) - 1)
    handles = [Patch(color=c, label=name) for c, name in zip(COLOURS, CLASSES, strict=True)]
    right.legend(handles=handles, loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    for axes in (left, right):
        axes.set(xticks=[], yticks=[])
    path = folder / f"dpm-error-{comparison.true.name}.png"
    figure.savefig(path, dpi=90)
    return path

"""The questions that users of published radio-map datasets ask, answered from the files alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rmtools.release.manifest import read_manifest

if TYPE_CHECKING:
    from pathlib import Path

    from rmtools.release.facts import Facts
    from rmtools.release.manifest import ReleaseManifest


def release_info(root: Path) -> dict[str, Any]:
    """What ``rmtools info`` says of a release.

    Raises
    ------
    InputError
        It is not a release, or its manifest is damaged.
    """
    manifest = read_manifest(root)
    facts = manifest.facts
    return {
        "path": str(root),
        "title": facts.title,
        "version": f"{manifest.name} {manifest.version} of {manifest.date}",
        "sha256": manifest.sha256,
        "scenes": facts.scenes,
        "trajectories": facts.trajectories,
        "transmitters": facts.transmitters,
        "frames": facts.frames,
        "sequences": facts.sequences,
        "maps": facts.maps,
        "files": len(manifest.files),
        "bytes": sum(file.size for file in manifest.files),
        "layouts": ", ".join(manifest.layouts) + (" in tar files" if manifest.sharded else ""),
        "solver": facts.solver or None,
        "seed": facts.seed,
        "rmtools": manifest.rmtools_version,
        "answers": answers(facts, manifest),
    }


def answers(facts: Facts, manifest: ReleaseManifest) -> dict[str, str]:
    """Ten questions and their answers."""
    return {
        "What is a pixel?": f"path loss in a square of {facts.resolution_m:g} m, "
        f"{facts.pixels} x {facts.pixels} of them",
        "Which unit and sign?": f"{facts.unit}; {facts.sign}",
        "What do grey levels mean?": "; ".join(
            f"{name}: {scale['formula']}" for name, scale in facts.scales.items()
        )
        or "there are no grey images",
        "What are missing values?": f"{facts.missing}; grey level 0 in images",
        "Which way is up?": facts.row_order,
        "Where is the transmitter?": _transmitter(facts),
        "How many frames, how far apart?": f"{facts.frames} frames, {facts.frame_interval_s:g} s"
        if facts.frames
        else "every map stands alone",
        "Which split?": _split(facts),
        "Which licence?": _licence(manifest),
        "How to cite it?": manifest.citation,
    }


def _transmitter(facts: Facts) -> str:
    height = facts.transmitter.get("placement", {}).get("height_m")
    where = f", {height:g} m above the street" if isinstance(height, int | float) else ""
    return (
        "columns tx_x_m, tx_y_m, tx_z_m (metres from the south-west corner) and tx_row, tx_col "
        f"(pixel) of index/*.csv{where}"
    )


def _split(facts: Facts) -> str:
    counts = ", ".join(f"{name} {found.maps:,} maps" for name, found in facts.sets.items())
    if facts.split is None:
        return "none"
    leak = f"; LEAKS: {facts.split.leaky_reason}" if facts.split.leaky else ""
    return f"{facts.split.name}: {counts}{leak}"


def _licence(manifest: ReleaseManifest) -> str:
    layers = "; ".join(
        f"{name}: {' and '.join(layer.licence)}" for name, layer in manifest.layers.items()
    )
    return f"{layers}. Name the source: {'; '.join(manifest.attribution)}"

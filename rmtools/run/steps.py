"""What each stage does: its units of work, and what is done before and instead of them.

:mod:`rmtools.run.stages` puts these functions together. Heavy modules are imported where they are
used, so that a run that finds everything up to date ends at once.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import numpy as np

from rmtools.errors import RecipeError
from rmtools.files import read_json, write_json
from rmtools.layouts.motion_format import LAYOUT_NAME
from rmtools.run.workspace import (
    AUDIT_NAME,
    REPORT_NAME,
    TILES_NAME,
    VALIDATION_NAME,
    Workspace,
)
from rmtools.splits.manifest import SPLIT_NAME
from rmtools.store import SCENES_NAME, STORE_NAME
from rmtools.store_format import PATHLOSS, STATIC_MAPS, TRACKS, TRANSMITTERS
from rmtools.store_place import StorePlace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from rmtools.city.sources import SourceReport
    from rmtools.run.recipe import Recipe
    from rmtools.scene import Scene
    from rmtools.store_format import ArraySpec
    from rmtools.traffic.tracks import Tracks


def one_unit(_: Workspace) -> list[str]:
    """The only unit of a stage that is done as a whole."""
    return ["all"]


def unit_name(*index: int) -> str:
    """Name of a unit from its indices, such as ``003_01``."""
    return "_".join(f"{i:03d}" if k == 0 else f"{i:02d}" for k, i in enumerate(index))


def indices(unit: str) -> tuple[int, ...]:
    """Indices that a unit's name stands for."""
    return tuple(int(part) for part in unit.split("_"))


def scene_units(space: Workspace) -> list[str]:
    """One unit a scene."""
    return [unit_name(s) for s in range(space.store.sizes.scene)]


def sequence_units(space: Workspace) -> list[str]:
    """One unit a scene and trajectory."""
    scenes, trajectories = space.store.sizes.scene, space.recipe.traffic.trajectories
    return [unit_name(s, t) for s in range(scenes) for t in range(trajectories)]


# -- scenes ----------------------------------------------------------------------------------


def scene_inputs(space: Workspace) -> Any:
    """What the scenes depend on: sources, rules, grid."""
    recipe = space.recipe
    return {
        "seed": recipe.seed,
        "title": recipe.title,
        "name": recipe.name,
        "grid": recipe.grid.model_dump(),
        "city": recipe.city.model_dump(mode="json", exclude={"source", "cache", "contact"}),
        "sources": [space.source_identities[source] for source in recipe.city.sources],
    }


def clear_scenes(space: Workspace) -> None:
    """Remove scenes and store."""
    StorePlace.of(space.root / STORE_NAME).remove()
    shutil.rmtree(space.root / SCENES_NAME, ignore_errors=True)
    space.reopen()


def read_scenes(space: Workspace) -> tuple[list[Scene], list[SourceReport]]:
    """Read the sources and cut the scenes, without writing anything."""
    from rmtools.city.sources import build_scenes

    recipe = space.recipe
    return build_scenes(recipe.city, recipe.grid.build(), recipe.seed)


def build_scenes(space: Workspace, _: str) -> list[Path]:
    """Write the vector scenes and a store with their static layers."""
    from rmtools.store import Store

    recipe = space.recipe
    scenes, reports = read_scenes(space)
    clear_scenes(space)
    for scene in scenes:
        scene.write(space.scene_path(scene.name))
    write_json(
        space.root / SCENES_NAME / TILES_NAME,
        [report.model_dump(mode="json") for report in reports],
    )
    attributes = {
        "title": recipe.title or recipe.name,
        "dataset": recipe.name,
        "seed": recipe.seed,
    }
    Store.create(space.root / STORE_NAME, scenes, attributes)
    space.reopen()
    static = [
        path
        for index in range(len(scenes))
        for name in ("buildings", "building_height", "roads")
        for path in space.store_files(name, index)
    ]
    return static + space.files_below(SCENES_NAME)


def scenes_found(space: Workspace) -> str:
    """How many scenes there are, and where there are fewer than asked for."""
    from rmtools.city.sources import SourceReport

    path = space.root / SCENES_NAME / TILES_NAME
    reports = [SourceReport.model_validate(item) for item in read_json(path)]
    wanted = space.recipe.city.tiles.count
    short = [r for r in reports if r.tiles and wanted and len(r.scenes) < wanted]
    text = f"{space.store.sizes.scene} scenes"
    for report in short:
        text += f"; {report.source} has {len(report.scenes)} of {wanted} wanted, see {path}"
    return text


# -- traffic ---------------------------------------------------------------------------------


def track_inputs(space: Workspace) -> Any:
    """What the tracks depend on besides the scenes: the rules, or the files and their content."""
    return space.recipe.traffic.describe(space.track_files)


def begin_tracks(space: Workspace, _: str) -> None:
    """Make the arrays of tracks and vehicle masks."""
    config = space.recipe.traffic
    space.store.create_tracks(
        config.trajectories,
        config.frames,
        config.vehicles,
        {
            "vehicle_length_m": config.vehicle_length_m,
            "vehicle_width_m": config.vehicle_width_m,
            "vehicle_height_m": config.vehicle_height_m,
            "traffic": track_inputs(space),
        },
    )


def track_units(space: Workspace) -> list[str]:
    """One unit a scene; none in a dataset without trajectories."""
    return scene_units(space) if space.recipe.traffic.trajectories else []


def generate_tracks(space: Workspace, unit: str) -> list[Path]:
    """Make or import all trajectories of one scene."""
    (s,) = indices(unit)
    written: list[Path] = []
    for t, tracks in enumerate(_tracks(space, s)):
        space.require_held()
        space.store.write_tracks(s, t, tracks)
        names = ("track_x", "track_y", "track_heading", "track_speed", "track_state", "vehicles")
        written += [path for name in names for path in space.store_files(name, s, t)]
    return written


def _tracks(space: Workspace, s: int) -> Iterable[Tracks]:
    """All trajectories of a scene."""
    scene, config = space.scene(s), space.recipe.traffic
    if config.tracks is not None:
        from rmtools.traffic.imports import import_tracks

        return import_tracks(scene, s, config)
    from rmtools.traffic.engine import generate_scene

    return generate_scene(scene, config, space.recipe.seed)


def vehicles_placed(space: Workspace) -> str:
    """How many vehicles found a place, or were imported."""
    if not space.recipe.traffic.trajectories:
        return "none: maps without vehicles only"
    placed, slots = space.store.vehicles_placed()
    if space.recipe.traffic.tracks is not None:
        return f"{placed} vehicles imported into {slots} slots"
    return f"{placed} of {slots} vehicles placed"


# -- radio -----------------------------------------------------------------------------------


def begin_transmitters(space: Workspace, _: str) -> None:
    """Make the arrays of transmitter positions."""
    config = space.recipe.transmitters
    space.store.create_transmitters(config.count, {"placement": config.model_dump(mode="json")})


def place_transmitters(space: Workspace, unit: str) -> list[Path]:
    """Place the transmitters of one scene."""
    from rmtools.radio.transmitters import place_scene

    (s,) = indices(unit)
    space.store.write_transmitters(
        s,
        place_scene(
            space.scene(s), space.recipe.transmitters, space.recipe.seed, space.recipe.traffic
        ),
    )
    return [path for axis in "xyz" for path in space.store_files(f"tx_{axis}", s)]


def pathloss_inputs(space: Workspace) -> Any:
    """What the radio maps depend on besides scenes, tracks and transmitters."""
    config = space.recipe.solver
    static = {"static_maps": True} if config.static_maps else {}
    return {**config.describe(space.antenna_pattern), **static}


def require_maps(space: Workspace) -> None:
    """Make sure that there is something to solve, and the solver can.

    Raises
    ------
    RecipeError
        Neither maps with nor maps without vehicles are wanted.
    """
    config = space.recipe.solver
    if not (space.recipe.traffic.trajectories or config.static_maps):
        raise RecipeError(
            "with traffic.trajectories 0 and solver.static_maps off there is no map to make.",
            remedy="Add --set solver.static_maps=true, or give at least one trajectory.",
        )
    config.require()


def pathloss_units(space: Workspace) -> list[str]:
    """One unit a scene and trajectory; one a scene where there are no trajectories."""
    return sequence_units(space) if space.recipe.traffic.trajectories else scene_units(space)


def begin_pathloss(space: Workspace, key: str) -> None:
    """Make the path-loss arrays, after a look whether there is something to solve and a solver."""
    require_maps(space)
    make_pathloss(space, key)


def make_pathloss(space: Workspace, key: str) -> None:
    """Make the path-loss arrays with the solver's constants and the key of their inputs."""
    config = space.recipe.solver
    attributes = {"solver": config.describe(space.antenna_pattern), "inputs_sha256": key}
    if space.recipe.traffic.trajectories:
        space.store.create_pathloss(attributes)
    if config.static_maps:
        space.store.create_static_maps(attributes)


def solve(space: Workspace, unit: str) -> list[Path]:
    """Solve all transmitters and frames of one trajectory of one scene.

    The maps without vehicles come with the first trajectory: the solver makes them anyway.
    """
    from rmtools.radio.solver import NO_OBSTACLES, Obstacles, Transmitter

    s, *trajectory = indices(unit)
    store, config = space.store, space.recipe.solver
    solver, antenna = config.build(), config.antenna.read() if config.antenna else None
    prepared = solver.prepare(space.scene(s))
    static = config.static_maps and not any(trajectory)
    frames = [NO_OBSTACLES] if static else []
    for t in trajectory:
        tracks = store.tracks(s, t)
        height_m = tracks.size.height_m
        frames += [Obstacles(tracks.outlines(f), height_m) for f in range(tracks.frames)]
    transmitters = [Transmitter(x, y, z, antenna) for x, y, z in store.transmitters(s).tolist()]
    pathloss_db = np.stack(list(solver.solve_sequences(prepared, transmitters, frames)))
    space.require_held()
    written = []
    if static:
        store.write_static_maps(s, pathloss_db[:, 0])
        written += space.store_files("pathloss_static", s)
    for t in trajectory:
        store.write_pathloss(s, t, pathloss_db[:, int(static) :])
        written += space.store_files("pathloss", s, t)
    return written


# -- layouts, split, audit, report -------------------------------------------------------------


def motion_units(space: Workspace) -> list[str]:
    """Scenes, then sequences, then the description; none without the layout."""
    if space.recipe.layouts.motion is None:
        return []
    return [*scene_units(space), *sequence_units(space), "description"]


def require_trajectories(space: Workspace) -> None:
    """Refuse the motion layout of a dataset without trajectories.

    Raises
    ------
    RecipeError
        Nothing moves in the dataset.
    """
    if space.recipe.layouts.motion is not None and not space.recipe.traffic.trajectories:
        raise RecipeError(
            "a dataset without trajectories has no motion layout.",
            remedy="Add --set layouts.motion=null, or give at least one trajectory.",
        )


def clear_motion(space: Workspace) -> None:
    """Remove the motion layout."""
    shutil.rmtree(space.root / LAYOUT_NAME, ignore_errors=True)


def write_motion(space: Workspace, unit: str) -> list[Path]:
    """Write what one unit contributes to the motion layout."""
    from rmtools.layouts import motion

    config = space.recipe.layouts.motion
    if config is None:
        return []
    root = space.root / LAYOUT_NAME
    if unit == "description":
        names = motion.write_description(space.store, root, names=config.names)
    elif len(index := indices(unit)) == 1:
        names = motion.write_scene(space.store, root, *index)
    else:
        names = motion.write_unit(space.store, root, *index, names=config.names)
    return [root / name for name in names]


def array_remover(specs: tuple[ArraySpec, ...]) -> Callable[[Workspace], None]:
    """What clears a stage that fills arrays of the store."""

    def clear(space: Workspace) -> None:
        if StorePlace.is_at(space.root):
            space.store.remove(spec.name for spec in specs)

    return clear


clear_tracks = array_remover(TRACKS)
clear_transmitters = array_remover(TRANSMITTERS)
clear_pathloss = array_remover(PATHLOSS + STATIC_MAPS)


def remover(name: str) -> Callable[[Workspace], None]:
    """What clears a stage that writes one file."""

    def clear(space: Workspace) -> None:
        (space.root / name).unlink(missing_ok=True)

    return clear


def write_split(space: Workspace, _: str) -> list[Path]:
    """Make the split and write its manifest."""
    from rmtools.splits.manifest import write_manifest

    path = space.root / SPLIT_NAME
    write_manifest(path, space.recipe.split.make(space.store, space.recipe.seed))
    return [path]


def audit_split(space: Workspace, _: str) -> list[Path]:
    """Look for what the sets of the split have in common, and write what was found."""
    from rmtools.audit import audit
    from rmtools.splits.inventory import inventory_of_store
    from rmtools.splits.manifest import read_manifest

    path = space.root / AUDIT_NAME
    manifest = read_manifest(space.root / SPLIT_NAME)
    buffer_m = space.recipe.split.buffer_m
    report = audit(manifest, inventory_of_store(space.store), buffer_m=buffer_m)
    write_json(path, report.model_dump(mode="json"))
    return [path]


def audit_verdict(space: Workspace) -> str:
    """What the audit found, in a sentence."""
    from rmtools.audit.model import AuditReport
    from rmtools.audit.text import verdict

    return verdict(AuditReport.read(space.root / AUDIT_NAME))


def public(recipe: Recipe) -> dict[str, Any]:
    """The recipe without folders of this machine."""
    from pathlib import PurePath

    plain = recipe.model_dump(mode="json")
    plain["city"]["source"] = [
        source if source.startswith(("place:", "bbox:")) else PurePath(source).name
        for source in recipe.city.sources
    ]
    plain["city"].pop("cache")
    for key, path in (plain["traffic"]["tracks"] or {}).items():
        if key in ("files", "net") and path is not None:
            plain["traffic"]["tracks"][key] = PurePath(path).name
    if antenna := plain["solver"]["antenna"]:
        antenna["pattern"] = PurePath(antenna["pattern"]).name
    return plain


def write_report(space: Workspace, _: str) -> list[Path]:
    """Write the report, if the recipe wants one."""
    if not space.recipe.report:
        return []
    from rmtools.audit.model import AuditReport
    from rmtools.findings import Report
    from rmtools.report.html import write_report
    from rmtools.splits.manifest import read_manifest

    path = space.root / REPORT_NAME
    write_report(
        space.store,
        path,
        split=read_manifest(space.root / SPLIT_NAME),
        validation=Report.read(space.root / VALIDATION_NAME),
        audit=AuditReport.read(space.root / AUDIT_NAME),
        recipe=public(space.recipe),
    )
    return [path]

"""Solving one frame of a finished dataset again, to learn the paths that its maps do not keep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from rmtools.errors import InputError
from rmtools.files import first_problem
from rmtools.radio.solver import NO_OBSTACLES, Obstacles

if TYPE_CHECKING:
    from rmtools.radio.antenna import Antenna
    from rmtools.radio.dpm.presets import Preset
    from rmtools.radio.dpm.solver import Detailed
    from rmtools.run.workspace import Workspace
    from rmtools.scene import Scene
    from rmtools.store import Store


def solve_again(space: Workspace, s: int, t: int, k: int, f: int) -> Detailed:
    """Path loss, classes and paths of one stored map.

    Parameters
    ----------
    space
        A dataset whose path loss is there.
    s, t, k, f
        Scene, trajectory, transmitter and frame.

    Returns
    -------
    Detailed
        Solved with the constants, the antenna and the vehicles that the store names, whatever the
        recipe says by now. The maps of a sequence are solved in another way, so a few pixels may
        differ from the stored ones (docs/dpm.md).

    Raises
    ------
    InputError
        Another solver made the maps, or the scene or the antenna pattern is not what it was.
    """
    from rmtools.radio.dpm.solver import DominantPathSolver
    from rmtools.radio.solver import Transmitter

    store = space.store
    described = store.solver
    solver = DominantPathSolver(_constants(store, described))
    antenna = _antenna(space, described.get("antenna")) if isinstance(described, dict) else None
    x, y, z = store.transmitters(s)[k].tolist()
    return solver.solve_detailed(
        solver.prepare(_scene(space, s)),
        Transmitter(x, y, z, antenna),
        _obstacles(store, s, t, f),
    )


def _obstacles(store: Store, s: int, t: int, f: int) -> Obstacles:
    """The vehicles of a stored map."""
    if not store.has("pathloss"):
        return NO_OBSTACLES
    tracks = store.tracks(s, t)
    return Obstacles(tracks.outlines(f), tracks.size.height_m)


def _constants(store: Store, described: Any) -> Preset:
    """The solver's constants as the store has them."""
    from rmtools.radio.dpm.presets import Preset

    name = described.get("solver") if isinstance(described, dict) else None
    if name != "dpm":
        raise InputError(
            f"the maps were made by the solver {name!r}; only the embedded one, 'dpm', tells its "
            "paths.",
            where=store.path,
            remedy="Draw the maps without their paths, or simulate with solver.name=dpm.",
        )
    try:
        return Preset.model_validate(
            {key: value for key, value in described.items() if key not in ("solver", "antenna")}
        )
    except ValidationError as error:
        raise InputError(
            f"the constants of its solver cannot be used ({first_problem(error)}).",
            where=store.path,
            remedy="Use the rmtools version that wrote it, or run `rmtools simulate` again.",
        ) from error


def _scene(space: Workspace, s: int) -> Scene:
    """The vector scene, if it is the one the store was made of."""
    scene = space.scene(s)
    if scene.digest() != space.store.attributes["scenes"][s]["sha256"]:
        raise InputError(
            "not the scene that the maps were made of.",
            where=space.scene_path(scene.name),
            remedy="Restore it, or run `rmtools build-scenes --overwrite`.",
        )
    return scene


def _antenna(space: Workspace, described: Any) -> Antenna | None:
    """The antenna that the store names, read from the pattern that the recipe names."""
    if not described:
        return None
    config = space.recipe.solver.antenna
    if config is None or config.identify()["sha256"] != described["sha256"]:
        raise InputError(
            f"the recipe does not name the antenna pattern {described['pattern']!r} that the maps "
            "were made with.",
            where=space.root,
            remedy="Put it back where solver.antenna.pattern says.",
        )
    mounted = {key: described[key] for key in ("azimuth_deg", "downtilt_deg")}
    return config.model_copy(update=mounted).read()

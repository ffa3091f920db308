"""Which jobs a dataset needs: one for every car state, or one for every scene."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rmtools.errors import InputError, RecipeError
from rmtools.winprop.manifest import (
    Job,
    JobGrid,
    JobManifest,
    JobScene,
    JobTransmitter,
    Solver,
    TemplateFile,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rmtools.run.recipe import Recipe
    from rmtools.store import Store

_RESULTS: dict[Solver, tuple[str, ...]] = {
    # the API of WinProp 2022 appends the number of the time step
    "winprop": ("{} Path Loss.txt", "{} Path Loss(0).txt"),
    "neutral": ("{}.npz", "{}.csv"),
}


class JobOptions(NamedTuple):
    """What is asked besides what the dataset says.

    Attributes
    ----------
    frequency_mhz, receiver_height_m
        Those of the dataset's solver when None.
    power_dbm
        Output power of every transmitter.
    static
        Leave the vehicles out: one job for every scene, and no other. It is made beside the
        others as well where the dataset's recipe wants maps without vehicles.
    keep_antenna
        Use the antenna of the template instead of an isotropic one.
    """

    frequency_mhz: float | None = None
    receiver_height_m: float | None = None
    power_dbm: float = 23.0
    static: bool = False
    keep_antenna: bool = False


def plan_jobs(
    dataset: Path, solver: Solver, options: JobOptions, template: tuple[TemplateFile, ...] = ()
) -> JobManifest:
    """The manifest of all jobs of a dataset.

    Parameters
    ----------
    dataset
        Dataset folder with scenes, transmitters and, unless static, vehicles.
    solver
        Who is to solve them.
    options
        What the dataset does not say.
    template
        Files of the project that WinProp's jobs are cloned from.

    Raises
    ------
    InputError
        There is no dataset, or one of its stages has not been finished.
    RecipeError
        The frequency or the height of the receivers is not known, or the dataset's antenna cannot
        be expressed.
    """
    from rmtools.splits.manifest import dataset_digest
    from rmtools.store import Store

    store = Store.open(dataset)
    sizes = store.sizes
    if not sizes.tx:
        raise _unfinished(dataset, "transmitters", "place-transmitters")
    moving = sizes.traj > 0 and not options.static
    if moving and not _has_all_tracks(dataset, sizes.scene):
        raise _unfinished(dataset, "vehicles", "generate-trajectories")
    recipe = _recipe(dataset)
    described = store.solver or (recipe.solver.describe() if recipe else {})
    if described.get("antenna") and not options.keep_antenna:
        raise RecipeError(
            "the transmitters of this dataset have an antenna pattern, and exported ones are "
            "isotropic.",
            where=dataset,
            remedy="For WinProp, set the pattern up in the template and add --keep-antenna.",
        )
    scenes = tuple(_scene(dataset, store, index, solver, moving) for index in range(sizes.scene))
    return JobManifest(
        solver=solver,
        dataset=store.attributes.get("title") or dataset.resolve().name,
        dataset_sha256=dataset_digest(store),
        grid=JobGrid(n=store.grid.n, resolution_m=store.grid.resolution_m),
        frequency_mhz=_known("frequency", options.frequency_mhz, described, "frequency_mhz"),
        receiver_height_m=_known(
            "height of the receivers", options.receiver_height_m, described, "receiver_height_m"
        ),
        power_dbm=options.power_dbm,
        antenna="template" if options.keep_antenna else "isotropic",
        sign="either" if solver == "winprop" else "loss",
        template=template,
        scenes=scenes,
        jobs=tuple(
            _jobs(
                scenes,
                sizes.traj if moving else 0,
                sizes.frame,
                static=not moving or (recipe is not None and recipe.solver.static_maps),
            )
        ),
    )


def _jobs(
    scenes: tuple[JobScene, ...], trajectories: int, frames: int, *, static: bool
) -> Iterator[Job]:
    s_width, t_width, f_width = (
        len(str(max(n - 1, 0))) for n in (len(scenes), trajectories, frames)
    )
    for scene in scenes:
        s = f"s{scene.index:0{s_width}d}"
        if static:
            yield Job(
                id=f"{s}_static",
                scene=scene.name,
                trajectory=None,
                frame=None,
                folder=f"jobs/{s}/static",
            )
        for traj in range(trajectories):
            for frame in range(frames):
                name = f"t{traj:0{t_width}d}_f{frame:0{f_width}d}"
                yield Job(
                    id=f"{s}_{name}",
                    scene=scene.name,
                    trajectory=traj,
                    frame=frame,
                    folder=f"jobs/{s}/{name}",
                )


def _scene(dataset: Path, store: Store, index: int, solver: Solver, moving: bool) -> JobScene:  # noqa: FBT001 - private
    positions = store.transmitters(index)
    if not np.isfinite(positions).all():
        raise _unfinished(dataset, "transmitters", "place-transmitters")
    width = len(str(len(positions) - 1))
    transmitters = []
    for i, (x, y, z) in enumerate(positions.tolist()):
        name = f"tx{i:0{width}d}"
        files = tuple(pattern.format(name) for pattern in _RESULTS[solver])
        transmitters.append(JobTransmitter(index=i, name=name, x=x, y=y, z_m=z, files=files))
    about = store.attributes["scenes"][index]
    return JobScene(
        name=about["name"],
        index=index,
        sha256=about["sha256"],
        tracks_sha256=tracks_digest(store, index) if moving else None,
        transmitters=tuple(transmitters),
    )


def _has_all_tracks(dataset: Path, scenes: int) -> bool:
    """Whether the ledger knows all trajectories; a dataset made elsewhere has no ledger."""
    from rmtools.run.ledger import LEDGER_FOLDER, Ledger

    known = (dataset / LEDGER_FOLDER).is_dir()
    return not known or len(Ledger(dataset).entries("tracks")) >= scenes


def tracks_digest(store: Store, scene: int) -> str:
    """SHA-256 over size, place and heading of all vehicles of a scene in all frames."""
    digest = hashlib.sha256()
    for traj in range(store.sizes.traj):
        tracks = store.tracks(scene, traj)
        size = tracks.size
        digest.update(np.array([size.length_m, size.width_m, size.height_m]).tobytes())
        for values in (tracks.x, tracks.y, tracks.heading_deg):
            digest.update(np.ascontiguousarray(values, np.float64).tobytes())
    return digest.hexdigest()


def _recipe(dataset: Path) -> Recipe | None:
    """The recipe of a dataset; one that was made elsewhere has none."""
    from rmtools.run.recipe import load_recipe
    from rmtools.run.workspace import RECIPE_NAME

    path = dataset / RECIPE_NAME
    return load_recipe(path) if path.is_file() else None


def _known(what: str, given: float | None, described: dict[str, Any], key: str) -> float:
    if given is not None:
        return given
    value = described.get(key)
    if not isinstance(value, int | float):
        option = key.removesuffix("_mhz").removesuffix("_m").replace("_", "-")
        raise RecipeError(
            f"the dataset does not say the {what}.", remedy=f"Give it with --{option}."
        )
    return float(value)


def _unfinished(dataset: Path, what: str, verb: str) -> InputError:
    return InputError(
        f"the dataset has no {what} yet, or not for all scenes.",
        where=dataset,
        remedy=f"Run `rmtools {verb} {dataset}` first.",
    )

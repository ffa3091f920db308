"""The stages of a dataset, from the city to the report.

A stage has units of work that are independent of each other, and a key: the SHA-256 of
everything its result depends on, the keys of the stages before it included. Stages whose units
are all in the ledger under the present key are up to date.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from rmtools import __version__
from rmtools.files import sha256_json
from rmtools.run import check_steps, file_steps, seer_steps, steps
from rmtools.run.workspace import AUDIT_NAME, REPORT_NAME, VALIDATION_NAME, Workspace
from rmtools.splits.manifest import SPLIT_NAME

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True)
class Stage:
    """One step of the road from a recipe to a dataset.

    Attributes
    ----------
    name
        As in the ledger.
    label
        What the progress display says.
    needs
        Stages it depends on.
    inputs
        What its result depends on besides `needs`, as a JSON value: a part of the recipe.
    work
        Does one unit and returns every file it wrote. Runs in any process.
    units
        Names of the units.
    begin
        Done once, with the stage's key, in the main process before pending units start; must be
        repeatable.
    ready
        Done first of all when nothing of the stage has been made under this recipe; raises when
        something outside that it needs is missing.
    check
        Done before anything of an earlier recipe is removed; raises when the input is bad.
    clear
        Removes what an earlier, different recipe left behind.
    note
        What to tell the person when the stage is complete.
    cheap
        Made quickly from the rest, so it may be remade without asking.
    """

    name: str
    label: str
    needs: tuple[str, ...]
    inputs: Callable[[Workspace], Any]
    work: Callable[[Workspace, str], list[Path]]
    units: Callable[[Workspace], list[str]] = field(default=steps.one_unit)
    begin: Callable[[Workspace, str], None] = field(default=lambda _, __: None)
    ready: Callable[[Workspace], object] = field(default=lambda _: None)
    check: Callable[[Workspace], object] = field(default=lambda _: None)
    clear: Callable[[Workspace], None] = field(default=lambda _: None)
    note: Callable[[Workspace], str] = field(default=lambda _: "")
    cheap: bool = False


def stage_keys(space: Workspace) -> dict[str, str]:
    """Keys of all stages of a dataset under its recipe."""
    keys: dict[str, str] = {}
    for stage in STAGES.values():
        parts = {
            "stage": stage.name,
            "version": __version__,
            "inputs": stage.inputs(space),
            "needs": [keys[name] for name in stage.needs],
        }
        keys[stage.name] = sha256_json(parts)
    return keys


STAGES: dict[str, Stage] = {
    stage.name: stage
    for stage in (
        Stage(
            "scenes",
            "scenes",
            (),
            steps.scene_inputs,
            steps.build_scenes,
            check=steps.read_scenes,
            clear=steps.clear_scenes,
            note=steps.scenes_found,
        ),
        Stage(
            "tracks",
            "trajectories",
            ("scenes",),
            steps.track_inputs,
            steps.generate_tracks,
            steps.track_units,
            steps.begin_tracks,
            clear=steps.clear_tracks,
            note=steps.vehicles_placed,
            cheap=True,
        ),
        Stage(
            "transmitters",
            "transmitters",
            ("scenes",),
            lambda space: {
                "placement": space.recipe.transmitters.model_dump(mode="json"),
                "vehicle": asdict(space.recipe.traffic.size),
            },
            steps.place_transmitters,
            steps.scene_units,
            steps.begin_transmitters,
            clear=steps.clear_transmitters,
            cheap=True,
        ),
        Stage(
            "split",
            "split",
            ("tracks", "transmitters"),
            lambda space: [*space.recipe.split.ratios, space.recipe.split.model_dump(mode="json")],
            steps.write_split,
            clear=steps.remover(SPLIT_NAME),
            cheap=True,
        ),
        Stage(
            "pathloss",
            "radio maps",
            ("tracks", "transmitters"),
            steps.pathloss_inputs,
            steps.solve,
            steps.pathloss_units,
            steps.begin_pathloss,
            ready=steps.require_maps,
            clear=steps.clear_pathloss,
        ),
        Stage(
            "motion",
            "motion layout",
            ("pathloss",),
            lambda space: space.recipe.layouts.model_dump(mode="json")["motion"],
            steps.write_motion,
            steps.motion_units,
            ready=steps.require_trajectories,
            clear=steps.clear_motion,
        ),
        Stage(
            "seer",
            "seer layout",
            ("pathloss",),
            lambda space: space.recipe.layouts.model_dump(mode="json")["seer"],
            seer_steps.write_seer,
            seer_steps.seer_units,
            ready=seer_steps.require_static_maps,
            clear=seer_steps.clear_seer,
        ),
        Stage(
            "hdf5",
            "hdf5 file",
            ("pathloss",),
            lambda space: space.recipe.layouts.model_dump(mode="json")["hdf5"],
            file_steps.write_hdf5,
            file_steps.hdf5_units,
            clear=file_steps.clear_hdf5,
        ),
        Stage(
            "packed",
            "packed cache",
            ("pathloss",),
            lambda space: space.recipe.layouts.model_dump(mode="json")["packed"],
            file_steps.write_packed,
            file_steps.packed_units,
            clear=file_steps.clear_packed,
            cheap=True,
        ),
        Stage(
            "checks",
            "validation",
            ("motion", "seer", "split"),
            lambda _: None,
            check_steps.check_part,
            check_steps.check_units,
            clear=check_steps.clear_checks,
            cheap=True,
        ),
        Stage(
            "validation",
            "findings",
            ("checks",),
            lambda _: None,
            check_steps.write_findings,
            clear=steps.remover(VALIDATION_NAME),
            cheap=True,
        ),
        Stage(
            "audit",
            "audit",
            ("split",),
            lambda _: None,
            steps.audit_split,
            clear=steps.remover(AUDIT_NAME),
            note=steps.audit_verdict,
            cheap=True,
        ),
        Stage(
            "report",
            "report",
            ("validation", "audit"),
            lambda space: space.recipe.report,
            steps.write_report,
            clear=steps.remover(REPORT_NAME),
            cheap=True,
        ),
    )
}
"""All stages in the order they run."""

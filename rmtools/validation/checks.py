"""The parts of a validation: each can be checked by itself, in any process, in any order.

The parts of a subject (store, motion layout, seer layout, split) are the whole, which is what it
says of itself, and one for each of its scenes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from rmtools.errors import InputError
from rmtools.findings import Report
from rmtools.layouts.motion_format import DESCRIPTION_NAME, LAYOUT_NAME
from rmtools.layouts.seer_format import LAYOUT_NAME as SEER_NAME
from rmtools.layouts.seer_reader import is_layout as is_seer
from rmtools.splits import SPLIT_NAME, check_manifest, read_manifest
from rmtools.store import STORE_NAME, Store
from rmtools.store_place import StorePlace
from rmtools.validation.motion import MotionChecker, open_motion
from rmtools.validation.parts import Partial, index_of, part_name, subject_of
from rmtools.validation.seer import check_map, open_seer
from rmtools.validation.store import StoreFacts, check_root
from rmtools.validation.store_scene import check_scene

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from rmtools.layouts.motion_reader import MotionLayout
    from rmtools.validation.seer_tree import Tree

STORE, MOTION, SEER, SPLIT = "store", "motion", "seer", "split"
"""The subjects, in the order in which their findings are listed."""


@lru_cache(maxsize=1)
def checks_of(path: Path, run: str) -> Checks:
    """The checks of a path that this process keeps for all its parts.

    Parameters
    ----------
    path
        What is checked.
    run
        Anything that is another for each validation, so that none sees what was read for an
        earlier one.
    """
    del run
    return Checks(path)


@dataclass(frozen=True)
class Checks:
    """All checks of a dataset folder, a store, or a layout.

    What is read of a subject as a whole is kept, so an instance is of use as long as nothing
    changes.

    Attributes
    ----------
    path
        What is checked.
    """

    path: Path

    @cached_property
    def parts(self) -> list[str]:
        """Names of the parts, in the order in which their findings are listed.

        Raises
        ------
        InputError
            There is nothing to check.
        """
        of_subject: dict[str, Iterable[int]] = {}
        if StorePlace.is_at(self.path):
            facts = self._store[1]
            of_subject[STORE] = range(facts.sizes.scene) if facts else ()
        if self._motion_root is not None:
            layout = self._motion[1]
            of_subject[MOTION] = range(layout.sizes.scene) if layout else ()
        if self._seer_root is not None:
            of_subject[SEER] = self._seer[1].maps
        if not of_subject:
            raise InputError(
                "neither a dataset, nor a store, nor a layout.",
                where=self.path,
                remedy=f"Give a folder that holds {STORE_NAME}, {DESCRIPTION_NAME}, or gain/, "
                "png/, polygon/ and antenna/ as RadioMapSeer has them.",
            )
        if (self.path / LAYOUT_NAME).is_dir():
            of_subject.setdefault(MOTION, ())
        if (self.path / SPLIT_NAME).is_file():
            of_subject[SPLIT] = ()
        return [
            part
            for subject in (STORE, MOTION, SEER, SPLIT)
            if subject in of_subject
            for part in (subject, *(part_name(subject, i) for i in of_subject[subject]))
        ]

    def check(self, part: str) -> Partial:
        """Check one of the parts."""
        report, index = Report(path=part), index_of(part)
        match subject_of(part):
            case "store":
                return self._check_store(report, index)
            case "motion":
                return self._check_motion(report, index)
            case "seer":
                return self._check_seer(report, index)
            case _:
                return self._check_split(report)

    # -- the store ---------------------------------------------------------------------------

    @cached_property
    def _store(self) -> tuple[Report, StoreFacts | None]:
        """What was found in the whole; None when there is nothing to compare with."""
        report = Report(path=STORE)
        try:
            store = Store.open(self.path)
        except InputError as error:
            report.error(STORE_NAME, error.what)
            return report, None
        return report, check_root(store, report)

    @property
    def _sound_store(self) -> Store | None:
        if not StorePlace.is_at(self.path):
            return None
        facts = self._store[1]
        return None if facts is None else facts.store

    def _check_store(self, report: Report, scene: int | None) -> Partial:
        whole, facts = self._store
        if scene is None or facts is None:
            return Partial(report=whole)
        blind = check_scene(facts, scene, report)
        return Partial(report=report, blind=blind)

    # -- layouts -----------------------------------------------------------------------------

    @cached_property
    def _motion_root(self) -> Path | None:
        places = (self.path / LAYOUT_NAME, self.path)
        layouts = (place for place in places if place != self._seer_root)
        return next((place for place in layouts if (place / DESCRIPTION_NAME).is_file()), None)

    @cached_property
    def _motion(self) -> tuple[Report, MotionLayout | None]:
        """What was found when the layout was opened; None when it could not be."""
        report = Report(path=MOTION)
        if self._motion_root is None:
            report.error(f"{LAYOUT_NAME}/{DESCRIPTION_NAME}", "it is missing")
            return report, None
        return report, open_motion(self._motion_root, report)

    def _check_motion(self, report: Report, env: int | None) -> Partial:
        opening, layout = self._motion
        if layout is None or layout.description is None:
            return Partial(report=opening)
        checker = MotionChecker(layout, layout.description, report, self._sound_store)
        if env is None:
            checker.check_whole()
        else:
            checker.check_environment(env)
        return Partial(report=report)

    @cached_property
    def _seer_root(self) -> Path | None:
        return next((place for place in (self.path / SEER_NAME, self.path) if is_seer(place)), None)

    @cached_property
    def _seer(self) -> tuple[Report, Tree, bool]:
        """What was found in the whole, its files, and whether rmtools wrote them."""
        report = Report(path=SEER)
        return report, *open_seer(self._seer_root or self.path, report)

    def _check_seer(self, report: Report, map_id: int | None) -> Partial:
        whole, tree, ours = self._seer
        if map_id is None:
            return Partial(report=whole)
        tolerated = check_map(tree, map_id, report, ours=ours)
        return Partial(report=report, tolerated=tolerated)

    # -- the split ---------------------------------------------------------------------------

    def _check_split(self, report: Report) -> Partial:
        report.count("splits")
        try:
            manifest = read_manifest(self.path / SPLIT_NAME)
        except InputError as error:
            report.error(SPLIT_NAME, error.what)
            return Partial(report=report)
        store = self._sound_store
        if store is None:
            report.warning(SPLIT_NAME, "there is no sound store to compare it with")
        else:
            report.include(check_manifest(manifest, store), f"{SPLIT_NAME}: ")
        return Partial(report=report)

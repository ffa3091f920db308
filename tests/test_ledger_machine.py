"""Whatever runs, workers, crashes and damage do in any order: the ledger loses and forges nothing.

A state machine drives the real runner, the real units of work and the real ledger over one stage
that writes two small files a unit. Runs are "killed" as soon as they have handed out their units,
so that their workers live on, as on a cluster. The model knows what lies in every file.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from rmtools.errors import BusyError
from rmtools.files import write_bytes
from rmtools.run import ledger as ledger_module
from rmtools.run.holding import RUN_NAME
from rmtools.run.ledger import LEDGER_FOLDER, Ledger
from rmtools.run.recipe import Recipe
from rmtools.run.runner import run
from rmtools.run.stages import STAGES, Stage, stage_keys
from rmtools.run.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

UNITS = ("000", "001", "002")
PARTS = ("a", "b")
SEEDS = (1, 2)
CRASHES = ("claimed", "half written", "written", "entering")


class KilledError(BaseException):
    """What SIGKILL looks like from inside: nothing after it happens."""


def content(seed: int, unit: str, part: str) -> bytes:
    """What a unit writes: other bytes under another recipe, but as many."""
    return f"{seed} {unit} {part}\n".encode()


class FakeWork:
    """The work of the stage, with something that may happen at each point of it."""

    def __init__(self) -> None:
        self.happens: dict[str, Callable[[], None]] = {}

    def at(self, point: str) -> None:
        self.happens.pop(point, lambda: None)()

    def __call__(self, space: Workspace, unit: str) -> list[Path]:
        self.at("claimed")
        written = []
        for part in PARTS:
            space.require_held()
            path = space.root / "data" / f"{unit}_{part}"
            write_bytes(path, content(space.recipe.seed, unit, part))
            written.append(path)
            self.at("half written" if part == "a" else "written")
        return written


class HandOut:
    """An executor that hands the units out and is killed."""

    def __init__(self) -> None:
        self.work: Any = None
        self.units: list[str] = []

    def __enter__(self) -> HandOut:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def run(self, work: Callable[[str], Any], units: Sequence[str], _: object) -> None:
        self.work, self.units = work, list(units)
        raise KilledError


class LedgerMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp()) / "dataset"
        self.work = FakeWork()
        self.stages = dict(STAGES)
        STAGES.clear()
        STAGES["fake"] = Stage(
            "fake",
            "fake",
            (),
            lambda space: space.recipe.seed,
            self.work,
            lambda _: list(UNITS),
            clear=lambda space: shutil.rmtree(space.root / "data", ignore_errors=True),
        )
        self.seed, self.generation = 0, 0
        self.jobs: list[tuple[int, int, Any, str]] = []  # generation, seed, work, unit
        self.entries: dict[str, int] = {}  # unit -> seed it was finished under
        self.files: dict[tuple[str, str], bytes] = {}
        self.start(1)

    def teardown(self) -> None:
        STAGES.clear()
        STAGES.update(self.stages)
        shutil.rmtree(self.root.parent)

    # -- the model ---------------------------------------------------------------------------

    def model_done(self) -> set[str]:
        """Units that are finished under the present recipe and whose files have their sizes."""
        return {
            unit
            for unit, seed in self.entries.items()
            if seed == self.seed
            and all(
                len(self.files.get((unit, part), b"")) == len(content(seed, unit, part))
                for part in PARTS
            )
        }

    def model_write(self, unit: str, *parts: str) -> None:
        for part in parts:
            self.files[unit, part] = content(self.seed, unit, part)

    # -- rules -------------------------------------------------------------------------------

    @rule(seed=st.sampled_from(SEEDS))
    def start(self, seed: int) -> None:
        """A run begins, or resumes: it hands out exactly what is not done, and is killed."""
        hands = HandOut()
        with contextlib.suppress(KilledError):
            run(self.root, Recipe(seed=seed), executor=hands, overwrite=True)
        if hands.work is not None:
            (self.root / RUN_NAME).write_text(hands.work.token)  # as a kill leaves it
        if set(self.entries.values()) - {seed}:  # something was made under another recipe
            self.entries, self.files = {}, {}
        self.seed, self.generation = seed, self.generation + 1
        assert set(hands.units) == set(UNITS) - self.model_done()
        self.jobs += [(self.generation, seed, hands.work, unit) for unit in hands.units]

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        """A worker does what it was given, perhaps for the second time, perhaps far too late."""
        generation, _, work, unit = data.draw(st.sampled_from(self.jobs))
        if generation != self.generation:
            before = self.tree()
            self.must_be_refused(work, unit)
            assert self.tree() == before
            return
        work(unit)
        if unit not in self.model_done():
            self.model_write(unit, *PARTS)
            self.entries[unit] = self.seed

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), point=st.sampled_from(CRASHES))
    def crash(self, data: st.DataObject, point: str) -> None:
        """A worker is killed somewhere in its work, which leaves half-written files behind."""
        generation, _, work, unit = data.draw(st.sampled_from(self.jobs))
        if generation != self.generation or unit in self.model_done():
            return
        with contextlib.suppress(KilledError), self.killed_at(point):
            work(unit)
        (self.root / "data").mkdir(exist_ok=True)
        (self.root / "data" / f"{unit}_b.0123456789abcdef.partial").write_bytes(b"half")
        done = {"claimed": (), "half written": ("a",)}.get(point, PARTS)
        self.model_write(unit, *done)

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), seed=st.sampled_from(SEEDS))
    def overtake(self, data: st.DataObject, seed: int) -> None:
        """While a worker is in the middle of a unit, its run is gone and another one begins."""
        generation, _, work, unit = data.draw(st.sampled_from(self.jobs))
        if generation != self.generation or unit in self.model_done():
            return

        def begin() -> None:
            self.model_write(unit, "a")
            self.start(seed)

        self.work.happens["half written"] = begin
        self.must_be_refused(work, unit)

    @rule(unit=st.sampled_from(UNITS), part=st.sampled_from(PARTS), cut=st.booleans())
    def damage_file(self, unit: str, part: str, cut: bool) -> None:  # noqa: FBT001 - drawn
        """A file is cut short or lost."""
        path = self.root / "data" / f"{unit}_{part}"
        if (unit, part) not in self.files:
            return
        if cut:
            self.files[unit, part] = self.files[unit, part][:-2]
            path.write_bytes(self.files[unit, part])
        else:
            del self.files[unit, part]
            path.unlink()

    @rule(
        unit=st.sampled_from(UNITS),
        how=st.sampled_from(["lost", "empty", "cut", "not JSON", "of another unit"]),
    )
    def damage_entry(self, unit: str, how: str) -> None:
        """An entry of the ledger is lost, cut, garbled, or a copy of another unit's."""
        path = self.root / LEDGER_FOLDER / "fake" / f"{unit}.json"
        if unit not in self.entries:
            return
        text = path.read_bytes()
        del self.entries[unit]
        if how == "lost":
            path.unlink()
        elif how == "of another unit":
            other = next(name for name in UNITS if name != unit)
            path.write_bytes(
                text.replace(f'"unit": "{unit}"'.encode(), f'"unit": "{other}"'.encode())
            )
        else:
            path.write_bytes({"empty": b"", "cut": text[:-9], "not JSON": b"\xff\x00"}[how])

    # -- what must hold ----------------------------------------------------------------------

    @invariant()
    def nothing_lost_nothing_forged(self) -> None:
        space = Workspace(self.root, Recipe(seed=self.seed))
        ledger, key = Ledger(self.root), stage_keys(space)["fake"]
        done = ledger.done("fake", UNITS, key)
        assert done == self.model_done()
        assert done == {unit for unit in UNITS if ledger.is_done("fake", unit, key)}
        for unit in done:
            for part in PARTS:
                found = (self.root / "data" / f"{unit}_{part}").read_bytes()
                assert found == content(self.seed, unit, part)

    # -- tools -------------------------------------------------------------------------------

    def must_be_refused(self, work: Callable[[str], None], unit: str) -> None:
        try:
            work(unit)
        except BusyError:
            return
        raise AssertionError("work for a run that is gone was accepted")

    def tree(self) -> dict[str, bytes]:
        files = (path for path in self.root.rglob("*") if path.is_file())
        return {path.relative_to(self.root).as_posix(): path.read_bytes() for path in files}

    @contextlib.contextmanager
    def killed_at(self, point: str) -> Iterator[None]:
        def die(*_: object) -> None:
            raise KilledError

        write = ledger_module.write_json
        if point == "entering":
            ledger_module.write_json = die
        else:
            self.work.happens[point] = die
        try:
            yield
        finally:
            ledger_module.write_json = write


TestLedger = LedgerMachine.TestCase
TestLedger.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)

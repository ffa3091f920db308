"""``rmtools benchmark``: train or load, judge, time, and set the papers' tables beside ours.

Every model that is finished has its file in ``OUT/judged``; a second run with the same settings
reads it instead of judging again.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import torch

from rmtools import __version__
from rmtools.errors import InputError, RecipeError, RmtoolsError
from rmtools.files import (
    read_model,
    sha256_file,
    sha256_json,
    to_json,
    write_bytes,
    write_json,
    write_text,
)
from rmtools.layouts.datasets import collate
from rmtools.layouts.maps import open_maps
from rmtools.metrics import REFERENCE, load_protocol
from rmtools.metrics.evaluation import SplitUse
from rmtools.report.pictures import encode

from .. import build, find
from ..interface import count_parameters
from ..training.cache import cached
from ..training.prepare import find_kind
from .leaks import audited
from .pictures import Snapshot, contact_sheet, read_snapshot, write_snapshot
from .plan import Candidate
from .plot import svg
from .predictions import JudgedMaps, score
from .published import beside
from .results import RESULT_NAME, Benchmark, DatasetUse, Judged, Machine, Study, Training
from .tables import LEAKY, markdown
from .timing import device_name, measure

if TYPE_CHECKING:
    from collections.abc import Callable

    from rmtools.layouts.maps import MapSource

    from ..interface import Batch, RadioModel
    from ..training.record import DatasetIdentity
    from .plan import Place, Plan

JUDGED = "judged"
"""Folder of what is finished."""

TABLES_NAME, PLOT_NAME, SHEET_NAME = "benchmark.md", "benchmark.svg", "predictions.png"


class Maps(NamedTuple):
    """The maps of a place, the family that is meant, and what they are known by."""

    source: MapSource
    kind: str
    identity: DatasetIdentity


class Trained(NamedTuple):
    """A model with its weights, and where they are from; None for what is not trained."""

    model: RadioModel
    training: Training | None


class Trainer(Protocol):
    """What makes a candidate's weights or finds them."""

    def __call__(self, candidate: Candidate, bench: Bench) -> Trained:
        """Give the model, ready to predict."""


class Bench:
    """A benchmark at work.

    Parameters
    ----------
    plan
        What is asked for.
    out
        Folder of the results.
    trainer
        What makes weights or finds them, by default
        :func:`~rmtools.models.judging.weights.train_or_load`.
    say
        Told about every step.

    Raises
    ------
    LeakError
        The split leaks and that is not allowed.
    RecipeError
        A model cannot do the task, or models would be judged on different problems.
    """

    def __init__(
        self,
        plan: Plan,
        out: Path,
        trainer: Trainer | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        from .weights import train_or_load

        self.plan, self.out, self.say = plan, out, say
        self.trainer = trainer or train_or_load
        self.source = open_maps(plan.place.data)
        self.audit = audited(plan.split, self.source, allow=plan.allow_leaky)
        self.failed: dict[str, str] = {}
        self.protocols = [
            load_protocol(name) for name in dict.fromkeys([*plan.protocols, REFERENCE])
        ]
        self._opened: dict[Place, Maps] = {}
        self.candidates = [
            Candidate(name, plan.place, plan.options.get(name, {})) for name in plan.models
        ]
        self.conventions = {each.label: self.make(each).convention for each in self.candidates}
        self.samples = self._samples()
        self._check_windows()
        self.shots: list[tuple[str, Snapshot]] = []

    # -- what is judged on what --------------------------------------------------------------

    def make(self, candidate: Candidate) -> RadioModel:
        """A model of a candidate as it is before training."""
        return build(candidate.model, **self.constructor(candidate))

    def constructor(self, candidate: Candidate) -> dict[str, Any]:
        """All arguments of a candidate's constructor."""
        wanted = find(candidate.model).options()
        given: dict[str, Any] = {"task": self.plan.task}
        if "size" in wanted:
            given["size"] = self.open(candidate.place).source.grid.n
        samples = candidate.samples or self.plan.samples
        if "samples" in wanted and samples is not None and samples[0] == samples[1]:
            given["samples"] = samples[0]
        if "context" in wanted and candidate.context is not None:
            given["context"] = candidate.context
        return {**given, **candidate.options}

    def open(self, place: Place) -> Maps:
        """The maps of a place, read from a packed cache that is made once."""
        if place not in self._opened:
            source = open_maps(place.data)
            kind = find_kind(source, self.plan.task, place.kind)
            packed, identity = cached(source, kind, self.out, self.say)
            self._opened[place] = Maps(packed, kind, identity)
        return self._opened[place]

    def maps(
        self,
        place: Place,
        *,
        samples: tuple[int, int] | None = None,
        window: tuple[int, int, int] | None = None,
    ) -> JudgedMaps:
        """The test set."""
        opened = self.open(place)
        return JudgedMaps(
            opened.source,
            self.plan.split,
            self.plan.test,
            self.plan.task,
            opened.kind,
            self.plan.frames,
            samples or self.samples,
            self.plan.seed,
            window,
        )

    def _samples(self) -> tuple[int, int] | None:
        """The number of samples that all models are judged with."""
        if not self.plan.task.startswith("sparse"):
            return None
        if self.plan.samples is not None:
            return self.plan.samples
        wanted = {label: c.samples for label, c in self.conventions.items()}
        if len(set(wanted.values())) > 1:
            raise RecipeError(
                "the models are made for different numbers of samples ("
                + ", ".join(f"{label}: {samples}" for label, samples in wanted.items())
                + "), and a table of them would compare different problems.",
                remedy="Give one number for all, such as --samples 9 or --samples 10-299.",
            )
        return next(iter(wanted.values()))

    def _check_windows(self) -> None:
        if self.plan.task != "forecast":
            return
        goals: dict[str, tuple[int, int]] = {}
        for label, convention in self.conventions.items():
            first, context, horizon = convention.window or (0, 10, 5)
            goals[label] = (first + context, horizon)
        if len(set(goals.values())) > 1:
            raise RecipeError(
                "the models predict different frames ("
                + ", ".join(f"{k}: {n} from frame {first}" for k, (first, n) in goals.items())
                + ").",
                remedy="Judge them apart, or give them equal options.",
            )

    # -- judging -----------------------------------------------------------------------------

    def judge(self, candidate: Candidate, maps: JudgedMaps, *, main: bool = False) -> Judged:
        """Judge a candidate, or read what was found before.

        Parameters
        ----------
        candidate, maps
            Who on what.
        main
            Whether it is a row of the first table: then it is timed and has its pictures taken.
        """
        key = self._key(candidate, maps)
        path = self.out / JUDGED / f"{candidate.folder}-{key[:10]}.json"
        snapshot = path.with_suffix(".npz")
        found = _finished(path, key)
        if found is not None and not (main and self._lacks(found, snapshot)):
            self.say(f"{candidate.label}: finished before")
            if main and self.plan.pictures:
                self.shots.append((candidate.label, read_snapshot(snapshot)))
            return found
        trained = self.trainer(candidate, self)
        self.say(f"{candidate.label}: judging")
        judged = self._judged(candidate, trained, maps, key, snapshot if main else None)
        write_json(path, judged.model_dump(mode="json"))
        return judged

    def _lacks(self, found: Judged, snapshot: Path) -> bool:
        """Whether a row of the first table has no time or no pictures yet."""
        untimed = self.plan.timing is not None and found.timing is None
        return untimed or (bool(self.plan.pictures) and not snapshot.is_file())

    def _judged(
        self,
        candidate: Candidate,
        trained: Trained,
        maps: JudgedMaps,
        key: str,
        snapshot: Path | None,
    ) -> Judged:
        plan, model = self.plan, trained.model
        device = torch.device(plan.device)
        data = maps.of(model.convention)
        shots = Snapshot.of(data, self.plan.pictures if snapshot is not None else 0)
        scores = score(
            model,
            maps,
            self.protocols,
            batch=plan.batch,
            device=device,
            precision=plan.precision,
            workers=plan.workers,
            see=shots.see,
        )
        timing = None
        if plan.timing is not None and snapshot is not None:
            self.say(f"{candidate.label}: taking the time")

            def batches(count: int) -> Batch:
                raw = collate(data.__getitems__([k % len(data) for k in range(count)]))
                return data.finish(raw)

            timing = measure(
                model,
                batches,
                device=device,
                precision=plan.precision,
                compiled=plan.compiled,
                budget=plan.timing,
            )
        if snapshot is not None and plan.pictures:
            write_snapshot(snapshot, shots)
            self.shots.append((candidate.label, shots))
        model.cpu()
        return Judged(
            label=candidate.label,
            model=candidate.model,
            title=model.title,
            source=model.source,
            options=dict(candidate.options),
            parameters=count_parameters(model),
            trainable=count_parameters(model, trainable=True),
            channels=list(model.convention.channels),
            samples=maps.samples,
            window=maps.window or model.convention.window,
            training=trained.training,
            scores=scores,
            timing=timing,
            key=key,
        )

    def _key(self, candidate: Candidate, maps: JudgedMaps) -> str:
        """Digest of everything that decides a result."""
        plan = self.plan
        return sha256_json(
            {
                "rmtools": __version__,
                "candidate": candidate.describe(),
                "constructor": {k: str(v) for k, v in self.constructor(candidate).items()},
                "trained on": self.open(candidate.place).identity.content_sha256,
                "judged on": next(
                    o.identity.content_sha256
                    for o in self._opened.values()
                    if o.source is maps.source
                ),
                "split": plan.split.sha256,
                "sets": [plan.train, plan.val, plan.test],
                "recipe": plan.recipe,
                "seed": plan.seed,
                "frames": plan.frames,
                "samples": maps.samples,
                "window": maps.window,
                "protocols": [p.model_dump(mode="json") for p in self.protocols],
                "device": device_name(torch.device(plan.device)),
                "precision": plan.precision,
                "compiled": plan.compiled,
                "changes": {k: str(v) for k, v in plan.changes.items()},
                "force": plan.force,
            }
        )

    def attempt(
        self, candidate: Candidate, maps: JudgedMaps, *, main: bool = False
    ) -> Judged | None:
        """Judge, and note a failure instead of losing what the others have."""
        try:
            return self.judge(candidate, maps, main=main)
        except (RmtoolsError, torch.cuda.OutOfMemoryError) as error:
            self.failed[candidate.label] = str(error)
            self.say(f"{candidate.label}: failed: {error}")
            return None

    # -- the result --------------------------------------------------------------------------

    def run(self) -> Benchmark:
        """Judge everything and put it together."""
        from .studies import carry_out

        plan = self.plan
        maps = self.maps(plan.place)
        models = [
            found
            for candidate in self.candidates
            if (found := self.attempt(candidate, maps, main=True)) is not None
        ]
        studies: list[Study] = [carry_out(study, self, models) for study in plan.studies]
        result = Benchmark(
            rmtools_version=__version__,
            task=plan.task,
            recipe=plan.recipe,
            seed=plan.seed,
            dataset=DatasetUse(
                title=self.source.title,
                kind=str(maps.kind),
                layout=self.source.layout,
                pixels=self.source.grid.n,
                resolution_m=self.source.grid.resolution_m,
                scenes=len(self.source.scene_names),
                identity=self.open(plan.place).identity.content_sha256,
            ),
            split=SplitUse(
                name=plan.split.name,
                set=plan.test,
                sha256=plan.split.sha256,
                leaky=plan.split.leaky,
            ),
            training_set=plan.train,
            audit=self.audit,
            leaky=self.audit.leaky,
            frames=None if plan.frames is None else list(plan.frames),
            samples=self.samples,
            window=self._window(),
            protocols=[protocol.name for protocol in self.protocols],
            machine=Machine(
                device=device_name(torch.device(plan.device)),
                torch=torch.__version__,
                precision=plan.precision,
            ),
            models=models,
            studies=studies,
            failed=self.failed,
        )
        return result.model_copy(update={"beside": beside(result)})

    def write(self, result: Benchmark) -> list[Path]:
        """Write result, tables, plot and contact sheet; give their paths."""
        texts = {
            RESULT_NAME: to_json(result.model_dump(mode="json")),
            TABLES_NAME: markdown(result),
        }
        texts[PLOT_NAME] = svg(result)
        for name, text in texts.items():
            write_text(self.out / name, text)
        paths = [self.out / name for name in texts]
        if self.shots:
            sheet = contact_sheet(
                self.shots, self.source.scale, mark=LEAKY if result.leaky else None
            )
            write_bytes(self.out / SHEET_NAME, encode(sheet, ".png"))
            paths.append(self.out / SHEET_NAME)
        return paths

    def _window(self) -> tuple[int, int, int] | None:
        windows = {convention.window for convention in self.conventions.values()}
        return windows.pop() if self.plan.task == "forecast" and len(windows) == 1 else None


def _finished(path: Path, key: str) -> Judged | None:
    """What was judged before, if its weights are still those."""
    if not path.is_file():
        return None
    try:
        found = read_model(path, Judged, "a judged model", "Delete it and run again.")
    except InputError:
        return None
    if found.key != key or (found.training is not None and _changed(found.training)):
        return None
    return found


def _changed(training: Training) -> bool:
    """Whether the weights are others now; if they are gone the result stays."""
    path = Path(training.checkpoint)
    return path.is_file() and sha256_file(path) != training.sha256

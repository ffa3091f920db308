"""Predictions of a model for a set of a split, and the evaluator's numbers of them.

Truth and predictions meet on one scale, whatever the model was trained on: grey level / 255 in
[0, 1] without threshold, as docs/metrics.md wants it. The truth is taken from the dataset's grey
levels, never from a model's target.
"""

from __future__ import annotations

import contextlib
import functools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from rmtools.errors import RecipeError
from rmtools.layouts.datasets import SequenceForecast, collate
from rmtools.layouts.maps import LayerMissingError
from rmtools.layouts.tensors import move, to_reference
from rmtools.metrics import Evaluator
from rmtools.metrics.evaluation import OUTSIDE_BUILDINGS, ScaleUse, protocol_result
from rmtools.metrics.surroundings import LINE_OF_SIGHT, SHADOW, visible_from

from ..training.data import dataset_of
from .results import Scores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rmtools.layouts.conventions import Convention, GreyTransform, Task
    from rmtools.layouts.datasets import MapDataset
    from rmtools.layouts.maps import MapSource
    from rmtools.metrics import Protocol
    from rmtools.splits.manifest import SplitManifest
    from rmtools.types import BoolArray, FloatArray

    from ..interface import Batch, RadioModel

Precision = Literal["32-true", "16-mixed", "bf16-mixed"]
"""As in :class:`~rmtools.models.recipe.Recipe`."""

HALF = {"16-mixed": torch.float16, "bf16-mixed": torch.bfloat16}


@dataclass(frozen=True)
class JudgedMaps:
    """What models are judged on: the maps of a set of a split.

    Attributes
    ----------
    source
        The dataset.
    manifest, subset
        A split and the name of its set; neither for all maps.
    task, kind
        See :class:`~rmtools.layouts.datasets.StaticMaps`.
    frames
        Frames of each sequence, for the dynamic tasks; None for all.
    samples, seed
        Least and largest number of samples, for the sparse tasks, and the seed of their places:
        all models see the same samples. None for what a model's convention says.
    window
        First frame, context, horizon, for forecasts; None for what a model's convention says.
    """

    source: MapSource
    manifest: SplitManifest | None
    subset: str | None
    task: Task
    kind: str | None = None
    frames: tuple[int, ...] | None = None
    samples: tuple[int, int] | None = None
    seed: int = 0
    window: tuple[int, int, int] | None = None

    def of(self, convention: Convention) -> MapDataset:
        """The maps in the channels of a convention, as grey levels until ``finish``."""
        asked = replace(
            convention,
            samples=self.samples or convention.samples,
            window=self.window or convention.window,
        )
        return dataset_of(
            self.source,
            self.manifest,
            self.subset,
            task=self.task,
            convention=asked,
            kind=self.kind,
            seed=self.seed,
            frames=self.frames,
        )


def in_words(grey: GreyTransform) -> str:
    """What happened to predictions before they were compared."""
    if grey.threshold:
        return (
            f"trained on maps cut at {grey.threshold:g} of the scale; of what is weaker, buildings "
            "included, it predicts that threshold"
        )
    return "none: grey level / 255" if grey.divisor == 255.0 else "levels / 256 brought to / 255"


@dataclass(frozen=True)
class Predicted:
    """A batch of predictions beside the truth.

    Attributes
    ----------
    first
        Position of the first sample in the set.
    pred, truth
        float32, shape (B, frames, 1, n, n), on the reference scale; one frame but for forecasts.
    meta
        Of the batch.
    """

    first: int
    pred: FloatArray
    truth: FloatArray
    meta: dict[str, Tensor]


def predict(
    model: RadioModel,
    data: MapDataset,
    *,
    batch: int = 16,
    device: str | torch.device = "cpu",
    precision: Precision = "32-true",
    workers: int = 0,
) -> Iterator[Predicted]:
    """Predict every sample of a dataset in its order.

    Parameters
    ----------
    model
        Is moved to the device and left in evaluation mode.
    data
        From :meth:`JudgedMaps.of`.
    batch
        Samples at a time; a model's prediction may not depend on it.
    device
        Where the model runs.
    precision
        ``"bf16-mixed"`` and ``"16-mixed"`` run under autocast.
    workers
        Processes that read.

    Raises
    ------
    RecipeError
        The model gives another shape than that of the target.
    """
    place = torch.device(device)
    model.to(place).eval()
    loader = DataLoader(data, batch_size=batch, num_workers=workers, collate_fn=collate)
    first = 0
    for raw in loader:
        truth = _truth(raw, data)
        ready = data.finish(move(raw, place))
        with torch.no_grad(), autocast(place, precision):
            out = model.predict(ready).detach()  # a view of a weight would still ask for gradients
        if out.shape != ready["target"].shape:
            raise RecipeError(
                f"it predicts the shape {tuple(out.shape)}, the target has "
                f"{tuple(ready['target'].shape)}.",
                where=f"model {model.title}",
                remedy="A model's predict must give the shape of the target.",
            )
        pred = to_reference(out, model.convention.grey).cpu().reshape(truth.shape)
        yield Predicted(first, pred.numpy(), truth.numpy(), ready["meta"])
        first += len(truth)


def _truth(raw: Batch, data: MapDataset) -> Tensor:
    """Level / 255 of the frames to be predicted, float32, shape (B, frames, 1, n, n)."""
    if isinstance(data, SequenceForecast):
        levels = raw["frames"][:, data.context :]
    else:
        levels = raw["target"][:, None]
    return levels.to(torch.float32) / 255.0


def autocast(device: torch.device, precision: Precision) -> contextlib.AbstractContextManager[Any]:
    """Half precision where a precision asks for it."""
    if precision == "32-true":
        return contextlib.nullcontext()
    return torch.autocast(device.type, HALF[precision])


class Regions:
    """The parts of a map that have numbers of their own: outside buildings, in sight, in shadow.

    Parameters
    ----------
    source
        The dataset; where it has no buildings or transmitters there are no parts.
    """

    def __init__(self, source: MapSource) -> None:
        self._of_map = functools.lru_cache(maxsize=1024)(functools.partial(_regions, source))

    def of(self, meta: dict[str, Tensor]) -> dict[str, BoolArray]:
        """Masks by name, bool, shape (B, 1, n, n)."""
        keys = [meta[key].tolist() for key in ("scene", "tx_row", "tx_col")]
        each = [self._of_map(*ids) for ids in zip(*keys, strict=True)]
        return {name: np.stack([parts[name] for parts in each])[:, None] for name in each[0]}


def _regions(source: MapSource, scene: int, row: int, col: int) -> dict[str, BoolArray]:
    try:
        inside = source.inside_buildings(scene)
    except LayerMissingError:
        return {}
    outside = ~inside
    if row < 0:
        return {OUTSIDE_BUILDINGS: outside}
    seen = visible_from(inside, row, col)
    return {
        OUTSIDE_BUILDINGS: outside,
        LINE_OF_SIGHT: outside & seen,
        SHADOW: outside & ~seen,
    }


def score(
    model: RadioModel,
    maps: JudgedMaps,
    protocols: Sequence[Protocol],
    *,
    batch: int = 16,
    device: str | torch.device = "cpu",
    precision: Precision = "32-true",
    workers: int = 0,
    see: Callable[[Predicted], None] = lambda _: None,
) -> Scores:
    """Judge a model.

    Parameters
    ----------
    model, maps
        Who is judged on what.
    protocols
        How, see docs/metrics.md.
    batch, device, precision, workers
        See :func:`predict`; `batch` changes no number but those that float arithmetic does.
    see
        Called with every batch, for pictures and progress.

    Raises
    ------
    InputError
        A prediction is not finite.
    RecipeError
        A prediction has another shape than the target.
    """
    data = maps.of(model.convention)
    scale = maps.source.scale
    evaluators = [Evaluator(protocol, scale=scale) for protocol in protocols]
    regions = Regions(maps.source)
    for found in predict(
        model, data, batch=batch, device=device, precision=precision, workers=workers
    ):
        frames = found.truth.shape[1]
        first = int(found.meta["frame"][0])  # windows all begin with the same frame
        names = [f"frame {first + k}" for k in range(frames)]
        for evaluator in evaluators:
            evaluator.update(
                found.pred,
                found.truth,
                parts=regions.of(found.meta),
                group=names if maps.task == "forecast" else None,
                index=found.first * frames,
            )
        see(found)
    return Scores(
        maps=evaluators[0].images(),
        rows=data.n,
        cols=data.n,
        scale=ScaleUse(name=scale.name, span_db=scale.span_db),
        target=in_words(model.convention.grey),
        clamped_pixels=evaluators[0].clamped,
        results=[protocol_result(evaluator) for evaluator in evaluators],
    )

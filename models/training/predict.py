"""Predictions of a trained model as files that ``rmtools evaluate`` reads."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from rmtools.errors import InputError
from rmtools.files import write_bytes
from rmtools.images import grey_png
from rmtools.layouts.maps import open_maps
from rmtools.layouts.tensors import move, to_reference
from rmtools.metrics.maps import sequence_id

from .checkpoint import check_matches
from .data import dataset_of, in_order, loader
from .prepare import find_kind, find_split

if TYPE_CHECKING:
    from pathlib import Path

    from rmtools.layouts.maps import MapSource
    from rmtools.types import FloatArray

    from ..interface import RadioModel
    from .checkpoint import Checkpoint


@dataclass(frozen=True)
class Written:
    """What was predicted.

    Attributes
    ----------
    maps
        How many.
    comparable
        Whether ``rmtools evaluate`` finds the truth of these maps in the dataset.
    frames
        Of forecasts, as its ``--frames`` wants them; empty otherwise.
    differences
        See :func:`~rmtools.models.training.checkpoint.check_matches`.
    """

    maps: int
    comparable: bool
    frames: str
    differences: list[str]


@dataclass(frozen=True)
class Chosen:
    """Which maps: as for :class:`~rmtools.models.training.prepare.Training`, and the set."""

    data: Path
    split: str | None = None
    subset: str = "test"
    kind: str | None = None


def predict_set(
    found: Checkpoint,
    made: RadioModel,
    chosen: Chosen,
    out: Path,
    *,
    form: Literal["npy", "png"] = "npy",
    batch: int = 16,
    accelerator: str = "auto",
    force: bool = False,
) -> Written:
    """Predict all maps of a set and write one file for each.

    Files are called as ``rmtools evaluate`` wants them: ``env_003/traj_00/tx_01/12.npy``, or
    ``<map>_<tx>.npy`` for datasets in RadioMapSeer's layout; maps without vehicles of our own
    datasets ``<scene>/tx_01.npy``. They hold grey level / 255, whatever the model was trained on;
    what lies below the threshold of a convention is that threshold.

    Parameters
    ----------
    found, made
        A checkpoint and the model that it built.
    chosen
        The maps.
    out
        Folder to make; it must be new or empty.
    form
        ``npy`` for float32, ``png`` for 8-bit grey levels.
    batch
        Maps at a time; the prediction does not depend on it.
    accelerator
        ``auto``, ``cpu`` or ``gpu``.
    force
        Also on another dataset, split, or a set it was trained with.

    Raises
    ------
    InputError
        Something cannot be read, or `out` holds something.
    RecipeError, LeakError
        See :func:`~rmtools.models.training.checkpoint.check_matches`.
    """
    if out.exists() and any(out.iterdir()):
        raise InputError("the folder is not empty.", where=out, remedy="Choose another --out.")
    task, subset = found.info.setup.task, chosen.subset
    source, manifest = open_maps(chosen.data), find_split(chosen.split, chosen.data)
    kind = find_kind(source, task, chosen.kind)
    differences = check_matches(found, source, kind, manifest, subset, force=force)
    maps = dataset_of(source, manifest, subset, task=task, convention=made.convention, kind=kind)
    device = torch.device("cuda" if accelerator != "cpu" and torch.cuda.is_available() else "cpu")
    made.to(device).eval()
    count, frames = 0, set()
    for raw in loader(maps, in_order(range(len(maps)), batch)):
        ready = maps.finish(move(raw, device))
        with torch.no_grad():
            values = made.predict(ready)
        levels = to_reference(values, made.convention.grey).cpu().numpy().astype(np.float32)
        meta = {name: value.tolist() for name, value in raw["meta"].items()}
        for i, images in enumerate(levels.reshape(len(levels), -1, *levels.shape[-2:])):
            for later, image in enumerate(images):
                at = (meta["scene"][i], meta["traj"][i], meta["tx"][i], meta["frame"][i] + later)
                _write(out / f"{_map_id(source, kind, *at)}.{form}", image, source)
                frames.add(at[3])
                count += 1
    forecast = task == "forecast" and frames
    comparable = source.kinds[kind].vehicles or source.layout == "seer"
    return Written(
        count, comparable, f"{min(frames)}-{max(frames)}" if forecast else "", differences
    )


def _map_id(source: MapSource, kind: str, scene: int, traj: int, tx: int, frame: int) -> str:
    name = source.scene_names[scene]
    if name.isdigit():  # RadioMapSeer's maps
        return f"{name}_{tx}"
    if source.kinds[kind].vehicles:
        return sequence_id(scene, traj, tx, frame)
    return f"{name}/tx_{tx:02d}"  # must not be taken for the first frame of a sequence


def _write(path: Path, image: FloatArray, source: MapSource) -> None:
    if path.suffix == ".png":
        levels = np.rint(np.clip(image, 0.0, 1.0) * 255.0).astype(np.uint8)
        write_bytes(path, grey_png(levels, {"scale": source.scale.name}))
        return
    data = io.BytesIO()
    np.save(data, image, allow_pickle=False)
    write_bytes(path, data.getvalue())

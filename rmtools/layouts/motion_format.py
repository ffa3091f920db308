"""The RadioMapMotion layout in words: folder and file names, npz keys, and ``dataset.json``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rmtools.errors import InputError
from rmtools.files import first_problem, read_model
from rmtools.grid import Grid
from rmtools.names import SafeName
from rmtools.traffic.tracks import FRAME_INTERVAL_S
from rmtools.units import MOTION_SCALE

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import ArrayLike

    from rmtools.store import Store

LAYOUT_NAME = "motion"
DESCRIPTION_NAME = "dataset.json"

Names = Literal["paper", "loader", "both"]

ROW_ORDER = "[row, col]; row 0 is north, column 0 is west"
SIGN = "positive loss; gain = -path loss"
MISSING = "NaN = not computed (inside a building)"

# -- names of folders and files ------------------------------------------------------------------


def sequence_folder(env: int, traj: int, tx: int) -> str:
    """Folder of a sequence below one of the trees, as in the paper's footnote 1."""
    return f"env_{env:03d}/traj_{traj:02d}/tx_{tx:02d}"


def png_name(env: int, traj: int, tx: int, frame: int) -> str:
    """Grey image of a frame under the paper's name."""
    return f"png/{sequence_folder(env, traj, tx)}/{frame:02d}.png"


def loader_name(env: int, traj: int, tx: int, frame: int) -> str:
    """Grey image of a frame under the name the released loader documents (not padded)."""
    return f"gain/{sequence_folder(env, traj, tx)}/frame_{frame}.png"


def npz_name(env: int, traj: int, tx: int, frame: int) -> str:
    """Path loss of a frame under the paper's name."""
    return f"npz/{sequence_folder(env, traj, tx)}/{frame:02d}.npz"


def vehicles_name(env: int, traj: int, frame: int) -> str:
    """Vehicle mask of a frame."""
    return f"vehicles/env_{env:03d}/traj_{traj:02d}/{frame:02d}.png"


def environment_name(env: int, name: str) -> str:
    """A file about one environment."""
    return f"environment/env_{env:03d}/{name}"


def tracks_name(env: int, traj: int) -> str:
    """Vehicle table of a trajectory."""
    return environment_name(env, f"traj_{traj:02d}/tracks.csv")


BUILDINGS, ROADS = "buildings.png", "roads.png"
HEIGHT, TRANSMITTERS = "building_height.npz", "transmitters.csv"

TRANSMITTER_COLUMNS = ("tx", "x_m", "y_m", "z_m", "row", "col")
TRACK_COLUMNS = (
    *("frame", "time_s", "vehicle", "x_m", "y_m"),
    *("heading_deg", "speed_mps", "state"),
)

TREES = {
    "png": "png/env_EEE/traj_TT/tx_KK/FF.png: 8-bit grey of the path gain (paper)",
    "gain": "gain/env_EEE/traj_TT/tx_KK/frame_F.png: the same images as the released loader "
    "expects them",
    "npz": "npz/env_EEE/traj_TT/tx_KK/FF.npz: path loss in dB",
    "vehicles": "vehicles/env_EEE/traj_TT/FF.png: vehicle masks, 0 = free, 255 = vehicle",
    "environment": "environment/env_EEE/: buildings.png, roads.png (0 or 255), "
    "building_height.npz, transmitters.csv, traj_TT/tracks.csv",
}

NPZ_KEYS = {
    "pathloss_db": "float32 (n, n): path loss in dB, positive; NaN = not computed",
    "unit": "str: 'dB'",
    "sign": f"str: '{SIGN}'",
    "missing": f"str: '{MISSING}'",
    "row_order": f"str: '{ROW_ORDER}'",
    "resolution_m": "float64: side of a pixel in metres",
    "scene": "str: name of the scene",
    "env": "int64: index of the environment",
    "traj": "int64: index of the trajectory",
    "tx": "int64: index of the transmitter",
    "frame": "int64: index of the frame",
    "time_s": "float64: seconds since frame 0",
    "tx_x_m": "float64: transmitter, metres east of the tile's south-west corner",
    "tx_y_m": "float64: transmitter, metres north of the tile's south-west corner",
    "tx_z_m": "float64: transmitter, metres above the street",
    "scale": "str: JSON of the grey scale of the PNG of the same frame",
    "licence": "str: licences of the source data, joined by '; '",
    "attribution": "str: attributions that must accompany the data, joined by '; '",
    "rmtools_version": "str: version that wrote the file",
}

BUILDING_MASK, ROAD_MASK, VEHICLE_MASK = "building mask", "drivable area", "vehicle mask"
"""What the mask images call themselves."""


def frame_time_s(frame: int) -> float:
    """Seconds from frame 0."""
    return round(frame * FRAME_INTERVAL_S, 6)


def gain_text(resolution_m: float) -> dict[str, str]:
    """Text chunks of an image of path gain."""
    return _text(**describe_scale().model_dump(), resolution_m=resolution_m)


def mask_text(quantity: str, resolution_m: float) -> dict[str, str]:
    """Text chunks of a mask image."""
    return _text(quantity=quantity, levels="0 = no, 255 = yes", resolution_m=resolution_m)


def _text(**fields: object) -> dict[str, str]:
    from rmtools import __version__

    fields = {"Software": f"rmtools {__version__}", **fields, "row_order": ROW_ORDER}
    return {key: str(value) for key, value in fields.items()}


def npz_metadata(
    *,
    scene: str,
    env: int,
    traj: int,
    resolution_m: float,
    licence: list[str],
    attribution: list[str],
) -> dict[str, ArrayLike]:
    """What the npz files of a unit have in common, see :data:`NPZ_KEYS`.

    The caller fills in ``tx``, ``frame``, ``time_s`` and the transmitter's position.
    """
    from rmtools import __version__

    return {
        "unit": "dB",
        "sign": SIGN,
        "missing": MISSING,
        "row_order": ROW_ORDER,
        "resolution_m": resolution_m,
        "scene": scene,
        "env": env,
        "traj": traj,
        "scale": json.dumps(describe_scale().model_dump()),
        "licence": "; ".join(licence),
        "attribution": "; ".join(attribution),
        "rmtools_version": __version__,
    }


# -- dataset.json --------------------------------------------------------------------------------


class MotionSizes(BaseModel):
    """Number of folders on each level, frames of a sequence and vehicle slots."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    scene: int = Field(ge=1, le=1_000_000)
    traj: int = Field(ge=1, le=10_000)
    tx: int = Field(ge=1, le=10_000)
    frame: int = Field(ge=1, le=100_000)
    vehicle: int = Field(ge=0, le=1_000_000)


class MotionGrid(BaseModel):
    """The raster frame of every map."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    n: int = Field(ge=8, le=8192, description="Pixels per side")
    resolution_m: float = Field(gt=0, allow_inf_nan=False, description="Side of a pixel in metres")
    row_order: str = ROW_ORDER
    origin: str = "x east, y north in metres from the tile's south-west corner"


class MotionScale(BaseModel):
    """How a grey level becomes dB."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    scale: str
    quantity: str
    unit: str
    sign: str
    gain_min_db: float
    gain_max_db: float
    step_db: float
    formula: str
    decode: str
    level_zero: str


class MotionScene(BaseModel):
    """One environment: what ``env_EEE`` is and where it lies."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    env: int = Field(ge=0)
    name: SafeName
    crs: str | None = None
    easting_m: float | None = None
    northing_m: float | None = None
    sha256: str = Field(description="Digest of the scene file it was made from")
    provenance: dict[str, Any] = Field(description="Source, its hash and date, licence")


class MotionDescription(BaseModel):
    """``dataset.json``: everything one needs to read a dataset in the motion layout."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["motion"] = "motion"
    format: Literal[1] = 1
    title: str
    rmtools_version: str
    names: Names = Field(description="Which image trees are there: png, gain, or both")
    sizes: MotionSizes
    grid: MotionGrid
    frame_interval_s: float = Field(gt=0)
    trees: dict[str, str] = Field(description="What each folder holds")
    npz_keys: dict[str, str] = Field(description="Keys of the npz files of the tree npz")
    scale: MotionScale = Field(description="Scale of the grey images of path gain")
    solver: dict[str, Any] = Field(description="Attributes of the path loss: solver, preset, unit")
    vehicle: dict[str, Any] = Field(description="Attributes of the vehicles: length_m and so on")
    transmitters: dict[str, Any] = Field(description="How the transmitters were placed")
    scenes: list[MotionScene]
    licence: list[str] = Field(min_length=1, description="Licences of the source data")
    attribution: list[str] = Field(min_length=1)
    provenance: dict[str, Any] = Field(description="Other root attributes of the store")

    def raster_grid(self) -> Grid:
        """The grid of all maps."""
        return Grid(self.grid.n, self.grid.resolution_m)


def describe_scale() -> MotionScale:
    """The grey scale in words: RadioMapMotion paper, equations 5 and 6."""
    scale = MOTION_SCALE
    return MotionScale(
        **scale.describe(),  # type: ignore[arg-type]  # checked by pydantic at run time
        step_db=scale.step_db,
        decode=f"gain = {scale.gain_min_db:g} + {scale.step_db:.6f} * (level + 0.5), the middle "
        "of the level's range; level 255 is the upper clip limit",
    )


def describe(store: Store, names: Names) -> MotionDescription:
    """Describe the layout that :mod:`rmtools.layouts.motion` makes of a store.

    Raises
    ------
    InputError
        A stage has not run yet, or licence and attribution are missing.
    """
    from rmtools import __version__

    sizes, attrs = store.sizes, store.attributes
    mask = store.array_attributes("vehicles")
    loss = store.array_attributes("pathloss")
    known = {"scenes", "licence", "attribution", "title", "resolution_m", "row_order"}
    try:
        return MotionDescription(
            title=str(attrs.get("title", "Radio maps in motion")),
            rmtools_version=__version__,
            names=names,
            sizes=MotionSizes(
                scene=sizes.scene,
                traj=sizes.traj,
                tx=sizes.tx,
                frame=sizes.frame,
                vehicle=sizes.vehicle,
            ),
            grid=MotionGrid(n=store.grid.n, resolution_m=store.grid.resolution_m),
            frame_interval_s=FRAME_INTERVAL_S,
            trees={
                tree: text
                for tree, text in TREES.items()
                if tree not in {"paper": {"gain"}, "loader": {"png"}, "both": set()}[names]
            },
            npz_keys=NPZ_KEYS,
            scale=describe_scale(),
            solver=loss,
            vehicle={
                key.removeprefix("vehicle_"): value
                for key, value in mask.items()
                if key not in {"long_name", "flag_values", "flag_meanings"}
            },
            transmitters={
                key: value
                for key, value in store.array_attributes("tx_x").items()
                if key not in {"long_name", "units"}
            },
            scenes=[
                MotionScene(
                    env=env, **{k: v for k, v in scene.items() if k in MotionScene.model_fields}
                )
                for env, scene in enumerate(attrs["scenes"])
            ],
            licence=attrs["licence"],
            attribution=attrs["attribution"],
            provenance={key: value for key, value in attrs.items() if key not in known},
        )
    except (ValidationError, KeyError) as error:
        problem = f"no {error}" if isinstance(error, KeyError) else first_problem(error)
        raise InputError(
            f"the store cannot be laid out yet ({problem}).",
            where=store.path,
            remedy="Run the earlier stages first: build-scenes, generate-trajectories, "
            "place-transmitters, simulate.",
        ) from error


def read_description(root: Path) -> MotionDescription:
    """Read and check ``dataset.json`` in the layout's folder.

    Raises
    ------
    InputError
        Missing, not JSON, or a member is missing or wrong.
    """
    return read_model(
        root / DESCRIPTION_NAME,
        MotionDescription,
        "a description of the motion layout",
        "Write it again with `rmtools package`.",
    )

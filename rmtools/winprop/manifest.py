"""The job manifest: what an outside solver is asked, and which file answers what.

``jobs.json`` stands in the root of an exported folder and maps every result file that is
expected to its scene, trajectory, frame and transmitter. It serves WinProp and, with other
result files, every other solver.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from rmtools.files import read_model, write_json
from rmtools.grid import Grid

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

JOBS_NAME = "jobs.json"
RESULTS_NAME = "results"
DONE_NAME = "done"
"""In a job's folder after the run scripts have seen all of its result files."""

Index = Annotated[int, Field(ge=0)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Solver = Literal["winprop", "neutral"]


def _below(name: str) -> str:
    """Refuse a path that could leave the exported folder."""
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name:
        raise ValueError(f"{name!r} is not a relative path with forward slashes")
    return name


RelativePath = Annotated[str, AfterValidator(_below)]


class JobGrid(BaseModel):
    """The pixels of every expected result."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    n: int = Field(ge=8, le=8192, description="Pixels per side")
    resolution_m: float = Field(gt=0, description="Side of a pixel in metres")
    lower_left: tuple[float, float] = Field(
        default=(0.0, 0.0), description="South-west corner of the area, local metres"
    )

    @property
    def grid(self) -> Grid:
        """As the raster grid of a scene."""
        return Grid(self.n, self.resolution_m)


class JobTransmitter(BaseModel):
    """One transmitter, and the names of the files that may hold its result."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    index: Index = Field(description="Index in the dataset")
    name: str = Field(
        pattern=r"^[A-Za-z0-9_]+$", description="Name of its antenna and site in the job"
    )
    x: float = Field(description="Local metres, east of the scene's south-west corner")
    y: float = Field(description="Local metres, north of the scene's south-west corner")
    z_m: float = Field(ge=0, description="Height above the street")
    files: tuple[RelativePath, ...] = Field(
        min_length=1,
        description="Names the result may have below the results folder; any one is enough",
    )


class JobScene(BaseModel):
    """A scene and its transmitters, which all of its jobs share."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=200)
    index: Index = Field(description="Index in the dataset")
    sha256: Sha256 = Field(description="Digest of the scene, as in the dataset's store")
    tracks_sha256: Sha256 | None = Field(
        default=None, description="Digest of its vehicles in all frames, null without vehicles"
    )
    transmitters: tuple[JobTransmitter, ...] = Field(min_length=1)


class Job(BaseModel):
    """One run of the solver: a scene, with the vehicles of one frame or without any."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(min_length=1, pattern=r"^[A-Za-z0-9_]+$")
    scene: str = Field(description="Name of the scene")
    trajectory: Index | None = Field(description="Index in the dataset, null without vehicles")
    frame: Index | None = Field(description="Index in the dataset, null without vehicles")
    folder: RelativePath = Field(description="Folder of the job, below the manifest's")

    @model_validator(mode="after")
    def _consistent(self) -> Job:
        if (self.trajectory is None) != (self.frame is None):
            raise ValueError("a job has both trajectory and frame, or neither")
        return self


class TemplateFile(BaseModel):
    """One file of the project that the jobs were cloned from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    sha256: Sha256


@dataclass(frozen=True)
class Expected:
    """One result to come: `paths` are relative to the manifest's folder, any one is enough."""

    job: Job
    transmitter: JobTransmitter
    paths: tuple[str, ...]


class JobManifest(BaseModel):
    """All jobs of a dataset, and the mapping from result files to the dataset."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    kind: Literal["jobs"] = "jobs"
    format: Literal[1] = 1
    solver: Solver = Field(description="winprop, or neutral for any other program")
    dataset: str = Field(description="Title of the dataset")
    dataset_sha256: Sha256 = Field(description="Digest of its scenes and sizes")
    grid: JobGrid
    frequency_mhz: float = Field(gt=0)
    receiver_height_m: float = Field(gt=0, description="Height of the pixels above the street")
    power_dbm: float = Field(description="Output power of every transmitter; antennas are as below")
    antenna: Literal["isotropic", "template"] = Field(
        description="Isotropic with 0 dBi, or as in the user's template"
    )
    quantity: Literal["pathloss"] = "pathloss"
    unit: Literal["dB"] = "dB"
    sign: Literal["loss", "either"] = Field(
        description="loss: positive; either: WinProp versions differ, so the data decide"
    )
    results: RelativePath = Field(
        default=RESULTS_NAME, description="Folder of the results below a job's folder"
    )
    template: tuple[TemplateFile, ...] = Field(
        default=(), description="The cloned project, empty for other solvers"
    )
    place: str = Field(
        default="",
        description="Folder of the jobs on the machine that solves them, as the projects name it; "
        "empty for names without a folder",
    )
    scenes: tuple[JobScene, ...] = Field(min_length=1)
    jobs: tuple[Job, ...] = Field(min_length=1)
    notes: tuple[str, ...] = Field(default=(), description="What a person should know")

    @model_validator(mode="after")
    def _consistent(self) -> JobManifest:
        names = [scene.name for scene in self.scenes]
        for what, values in (
            ("scene", names),
            ("job", [job.id for job in self.jobs]),
            ("folder", [job.folder for job in self.jobs]),
        ):
            if len(set(values)) != len(values):
                raise ValueError(f"a {what} is listed twice")
        if missing := {job.scene for job in self.jobs} - set(names):
            raise ValueError(f"jobs of scene {min(missing)!r}, which is not listed")
        return self

    def scene(self, name: str) -> JobScene:
        """A scene by its name."""
        return next(scene for scene in self.scenes if scene.name == name)

    def only(self, job: Job) -> JobManifest:
        """The manifest of one job, for its own folder."""
        alone = job.model_copy(update={"folder": "."})
        return self.model_copy(update={"scenes": (self.scene(job.scene),), "jobs": (alone,)})

    def expected(self) -> Iterator[Expected]:
        """All results to come: job by job, transmitter by transmitter."""
        scenes = {scene.name: scene for scene in self.scenes}
        for job in self.jobs:
            for transmitter in scenes[job.scene].transmitters:
                folder = f"{job.folder}/{self.results}"
                paths = tuple(f"{folder}/{name}" for name in transmitter.files)
                yield Expected(job, transmitter, paths)


def write_jobs(root: Path, manifest: JobManifest) -> Path:
    """Write the manifest into the root of an exported folder."""
    path = root / JOBS_NAME
    write_json(path, manifest.model_dump(mode="json"))
    return path


def read_jobs(path: Path) -> JobManifest:
    """Read the manifest at `path`, or the one in the folder `path`.

    Raises
    ------
    InputError
        Missing, not JSON, or a member is missing or wrong.
    """
    return read_model(
        path / JOBS_NAME if path.is_dir() else path,
        JobManifest,
        "a job manifest",
        "Give the folder that `rmtools export-winprop` or `rmtools export-jobs` wrote.",
    )

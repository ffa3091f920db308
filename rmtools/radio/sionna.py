"""Sionna RT, a ray tracer, behind the solver protocol; an optional second solver.

It is the kind of model that WinProp calls Intelligent Ray Tracing (IRT): reflections and
diffraction at walls with electrical constants. docs/sionna.md says how far it is from IRT maps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from rmtools.city.rasters import building_height
from rmtools.errors import InputError, MissingError
from rmtools.radio import prisms
from rmtools.radio.checks import check_buildings, check_obstacles, check_transmitter
from rmtools.radio.sionna_presets import RayPreset, resolve
from rmtools.radio.solver import NO_OBSTACLES, Obstacles, Transmitter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rmtools.radio.prisms import Mesh
    from rmtools.scene import Scene
    from rmtools.types import BoolArray, FloatArray

OLDEST_LLVM = 17
"""Versions 15 and 16 load, but cannot compile Sionna's programs and abort the whole process."""

LANES = 20_000_000
"""Rays times receivers times interactions in one call of Sionna; bounds its memory to about 2 GB.

Receivers are solved in groups of this size; the groups are part of what makes a result repeat.
"""

MAX_PATHS = 2_000_000
"""Candidates that one such group may have."""

ABOVE_VEHICLE_M = 0.1
"""Receivers on a pixel of a vehicle stand on its roof, this much above it."""

LEVEL_M = 0.01
"""Vehicles are this much higher than stated, so that a level line of sight at exactly their
height is blocked (as in the DPM) and does not graze their roof."""


def load_sionna() -> Any:
    """Import ``sionna.rt`` and make sure that it can compute.

    Returns
    -------
    module
        ``sionna.rt``; untyped, because it is not there in most installations.

    Raises
    ------
    MissingError
        The package is not installed, or there is neither CUDA nor a usable LLVM.
    """
    try:
        import drjit
        import mitsuba
        import sionna.rt
    except ImportError as error:
        if "LLVM" in str(error):
            raise _llvm_missing("none was found") from error
        raise MissingError(
            f"the solver 'sionna' needs the package sionna-rt ({error}).",
            remedy="Install it with `pip install 'rmtools[sionna]'`, or use solver.name=dpm.",
        ) from error
    if str(mitsuba.variant()).startswith("llvm"):
        version = drjit.detail.llvm_version()
        if version[0] < OLDEST_LLVM:
            raise _llvm_missing(f"version {version[0]} was found")
    return sionna.rt


def _llvm_missing(found: str) -> MissingError:
    return MissingError(
        f"the solver 'sionna' needs CUDA or the shared library of LLVM {OLDEST_LLVM} or newer, "
        f"and {found}.",
        remedy="Install one (Debian and Ubuntu: `apt install libllvm19`; conda: "
        "`conda install -c conda-forge libllvm19`), and if it is not found by itself set "
        "DRJIT_LIBLLVM_PATH to its libLLVM*.so; or use solver.name=dpm.",
    )


@dataclass(frozen=True)
class TracedScene:
    """What the solver keeps of a scene; shared by all transmitters and frames.

    Attributes
    ----------
    scene
        As given.
    mask
        Pixels inside buildings that are higher than the receivers, shape (n, n).
    x, y
        Centres of the other pixels in local metres, row by row, shape (R,).
    buildings
        All buildings as one mesh.
    """

    scene: Scene
    mask: BoolArray
    x: FloatArray
    y: FloatArray
    buildings: Mesh


class SionnaSolver:
    """Radio maps by ray tracing with Sionna RT, one isotropic receiver per pixel centre.

    Parameters
    ----------
    preset
        ``"irt2-like"``, ``"irt4-like"`` or parameters of your own.
    overrides
        Single parameters to replace, such as ``frequency_mhz=3500``; see
        :class:`~rmtools.radio.sionna_presets.RayPreset`.

    Raises
    ------
    RecipeError
        Unknown preset or parameter, or a value out of range.
    MissingError
        Sionna RT is not installed, or cannot compute here.

    Notes
    -----
    Pixels that no path reaches ("blind") get ``blind_db`` of the preset: a finite number, as NaN
    means "not computed", which they were.

    The solver holds no state but the imported module. The same input gives the same map on one
    machine; another processor, or CUDA instead of LLVM, may round differently.
    """

    def __init__(self, preset: RayPreset | str = "irt2-like", **overrides: Any) -> None:
        self.preset = resolve(preset, overrides)
        self._rt = load_sionna()

    def describe(self) -> dict[str, Any]:
        """Name, preset, every parameter."""
        return {"solver": "sionna", **self.preset.model_dump(mode="json")}

    def prepare(self, scene: Scene) -> TracedScene:
        """Mesh of the buildings and places of the receivers.

        Raises
        ------
        InputError
            A footprint is not a valid polygon, or a height is not a positive number.
        """
        check_buildings(scene)
        mask = building_height(scene) > self.preset.receiver_height_m  # NaN where there is none
        px, py = np.meshgrid(scene.grid.x_centres(), scene.grid.y_centres())
        buildings = prisms.city(
            (b.polygon for b in scene.buildings), (b.height_m for b in scene.buildings)
        )
        return TracedScene(scene, mask, px[~mask], py[~mask], buildings)

    def solve(
        self, prepared: TracedScene, transmitter: Transmitter, obstacles: Obstacles = NO_OBSTACLES
    ) -> FloatArray:
        """Path loss in dB, positive, float32, shape (n, n); NaN inside buildings.

        Parameters
        ----------
        prepared
            From :meth:`prepare`.
        transmitter
            Anywhere on the grid but inside a building or a vehicle; vertically polarised.
        obstacles
            Vehicles of the frame; receivers on their pixels stand on the roofs.

        Returns
        -------
        ndarray
            ``blind_db`` of the preset where no path was found.

        Raises
        ------
        InputError
            The transmitter is off the grid, inside a building or inside a vehicle, or has an
            antenna pattern.
        """
        if transmitter.antenna is not None:
            raise InputError(
                "the solver 'sionna' takes no antenna patterns.",
                where=f"antenna {transmitter.antenna.name}",
                remedy="Leave the pattern out, or use solver.name=dpm.",
            )
        check_transmitter(prepared.scene, transmitter)
        check_obstacles(prepared.scene, transmitter, obstacles)
        preset = self.preset
        scene = self._scene(prepared, transmitter, obstacles)
        receivers = self._receivers(prepared, transmitter, obstacles)
        group = max(LANES // (preset.rays * max(preset.max_interactions, 1)), 16)
        gain = np.concatenate(
            [np.zeros(0)]
            + [
                self._gain(scene, receivers[start : start + group])
                for start in range(0, len(receivers), group)
            ]
        )
        with np.errstate(divide="ignore"):
            loss = np.minimum(-10.0 * np.log10(gain), preset.blind_db)
        pathloss = np.full(prepared.mask.shape, np.nan, np.float32)
        pathloss[~prepared.mask] = loss
        return pathloss

    def solve_sequences(
        self,
        prepared: TracedScene,
        transmitters: Sequence[Transmitter],
        frames: Sequence[Obstacles],
    ) -> Iterator[FloatArray]:
        """Maps of all frames for one transmitter after the other, shape (F, n, n) each.

        Every frame is traced from scratch, see :meth:`solve`.
        """
        for transmitter in transmitters:
            yield np.stack([self.solve(prepared, transmitter, frame) for frame in frames])

    def _scene(self, prepared: TracedScene, transmitter: Transmitter, obstacles: Obstacles) -> Any:
        """A Sionna scene with everything but the receivers."""
        rt, preset = self._rt, self.preset
        scene = rt.load_scene()
        scene.frequency = preset.frequency_mhz * 1e6
        size = prepared.scene.grid.size_m
        outlines = np.asarray(obstacles.outlines, np.float64)
        parts = [
            ("buildings", prepared.buildings, preset.building_material),
            (
                "vehicles",
                prisms.boxes(outlines, obstacles.height_m + LEVEL_M),
                preset.vehicle_material,
            ),
            ("ground", prisms.square(-size, -size, 2 * size, 2 * size), preset.ground_material),
        ]
        objects = [
            _scene_object(rt, name, mesh, material, preset.thickness_m)
            for name, mesh, material in parts
            if material and len(mesh.faces)
        ]
        scene.edit(add=objects)
        scene.tx_array = rt.PlanarArray(
            num_rows=1,
            num_cols=1,
            vertical_spacing=0.5,
            horizontal_spacing=0.5,
            pattern="iso",
            polarization="V",
        )
        place = [float(v) for v in (transmitter.x, transmitter.y, transmitter.z_m)]
        scene.add(rt.Transmitter("transmitter", position=place))
        # One device whose antennas are the receivers: thousands of devices would be slow.
        scene.add(rt.Receiver("receivers", position=[0.0, 0.0, 0.0]))
        return scene

    def _receivers(
        self, prepared: TracedScene, transmitter: Transmitter, obstacles: Obstacles
    ) -> FloatArray:
        """Places of the receivers, shape (R, 3)."""
        x, y = prepared.x, prepared.y
        z = np.full(x.shape, self.preset.receiver_height_m)
        covered = np.zeros(x.shape, bool)
        for corners in np.asarray(obstacles.outlines, np.float64):
            covered |= shapely.contains_xy(shapely.Polygon(corners), x, y)
        z[covered] = np.maximum(z[covered], obstacles.height_m + ABOVE_VEHICLE_M)
        # The receiver in the transmitter's own place: lifted to half a pixel away.
        aside = np.hypot(x - transmitter.x, y - transmitter.y)
        near = prepared.scene.grid.resolution_m / 2
        rise = np.sqrt(np.maximum(near**2 - aside**2, 0.0))
        z = np.where(np.abs(z - transmitter.z_m) < rise, transmitter.z_m + rise, z)
        return np.stack([x, y, z], axis=1)

    def _gain(self, scene: Any, receivers: FloatArray) -> FloatArray:
        """Sum of the powers of all paths to each receiver, linear, 0 where there is none."""
        import mitsuba

        rt, preset = self._rt, self.preset
        wavelength = float(scene.wavelength[0])
        normalized = [mitsuba.Float(axis) for axis in (receivers / wavelength).astype("f4").T]
        pattern = scene.tx_array.antenna_pattern
        scene.rx_array = rt.AntennaArray(pattern, mitsuba.Point3f(*normalized))
        paths = rt.PathSolver(deterministic=True)(
            scene,
            max_depth=preset.max_interactions,
            max_num_paths_per_src=MAX_PATHS,
            samples_per_src=preset.rays,
            synthetic_array=False,
            refraction=False,
            diffraction=preset.diffraction,
            seed=preset.seed,
        )
        real, imaginary = (part.numpy().astype(np.float64) for part in paths.a)
        power = (real**2 + imaginary**2).reshape(len(receivers), -1)
        # Sionna numbers the paths of a receiver in any order; sorted, their sum repeats.
        return np.sort(power, axis=1).sum(axis=1)


def _scene_object(rt: Any, name: str, mesh: Mesh, material: str, thickness_m: float) -> Any:
    """A mesh with its material, as Sionna takes it."""
    import mitsuba

    radio_material = rt.ITURadioMaterial(f"{name}-material", material, thickness=thickness_m)
    properties = mitsuba.Properties()
    properties.set_id(name)
    properties["mesh_bsdf"] = radio_material
    properties["face_normals"] = True
    shape = mitsuba.Mesh(
        name, vertex_count=len(mesh.vertices), face_count=len(mesh.faces), props=properties
    )
    parameters = mitsuba.traverse(shape)
    parameters["vertex_positions"] = mitsuba.Float(mesh.vertices.astype(np.float32).ravel())
    parameters["faces"] = mitsuba.UInt(mesh.faces.astype(np.uint32).ravel())
    parameters.update()
    return rt.SceneObject(mi_mesh=shape, name=name, radio_material=radio_material)

"""A dataset folder, and everything a stage needs to find in it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from rmtools.errors import InputError
from rmtools.files import read_bytes, read_json, walk_files, write_json
from rmtools.run.holding import require_held
from rmtools.run.recipe import MAX_RECIPE_BYTES, Recipe, write_recipe
from rmtools.scene import Scene
from rmtools.store import SCENES_NAME, STORE_NAME, Store
from rmtools.strict_yaml import strict_yaml

if TYPE_CHECKING:
    from collections.abc import Callable

RECIPE_NAME = "recipe.yaml"
VALIDATION_NAME = "validation.json"
AUDIT_NAME = "audit.json"
REPORT_NAME = "report.html"
TILES_NAME = "tiles.json"
SOURCES_NAME = ".rmtools/sources.json"
CHECKS_FOLDER = ".rmtools/checks"


@dataclass(frozen=True)
class Workspace:
    """A dataset folder together with the recipe it is made by.

    Attributes
    ----------
    root
        The dataset folder.
    recipe
        What is to be made.
    token
        The run that works there, see :mod:`rmtools.run.holding`; None for one that only looks.
    """

    root: Path
    recipe: Recipe
    token: str | None = None

    def require_held(self) -> None:
        """Make sure that the run still holds the folder; called before results are written.

        Raises
        ------
        BusyError
            It does not, see :func:`~rmtools.run.holding.require_held`.
        """
        if self.token is not None:
            require_held(self.root, self.token)

    @cached_property
    def store(self) -> Store:
        """The store, open for writing."""
        return Store.open(self.root / STORE_NAME, mode="r+")

    def scene_path(self, name: str) -> Path:
        """File of a scene."""
        return self.root / SCENES_NAME / f"{name}.json"

    def scene(self, index: int) -> Scene:
        """Vector form of a scene, by its index in the store."""
        return Scene.read(self.scene_path(self.store.scene_names[index]))

    @cached_property
    def source_identities(self) -> dict[str, Any]:
        """What each source of the city is, independent of where it lies.

        They are recorded in the dataset, so that a dataset that was moved to a machine without
        its sources can still be worked on.

        Raises
        ------
        InputError
            A source is neither there nor recorded.
        """
        from rmtools.city.sources import identify

        maps = self.recipe.city.maps
        return {
            source: self._identity(source, partial(identify, source, maps))
            for source in self.recipe.city.sources
        }

    def _identity(self, key: str, identify: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """What `identify` says, or what was recorded under `key` where the files are gone."""
        path = self.root / SOURCES_NAME
        recorded: dict[str, Any] = read_json(path) if path.is_file() else {}
        try:
            return identify()
        except InputError:
            if key not in recorded:
                raise
            return dict(recorded[key])

    @cached_property
    def track_files(self) -> dict[str, Any] | None:
        """Names and digests of imported tracks, recorded like the sources; None without.

        Raises
        ------
        InputError
            The files are neither there nor recorded.
        """
        from rmtools.traffic.imports import identify_files

        source = self.recipe.traffic.tracks
        if source is None:
            return None
        return self._identity(self._tracks_key, partial(identify_files, source))

    @property
    def _tracks_key(self) -> str:
        """Name of the imported tracks among the recorded sources."""
        source = self.recipe.traffic.tracks
        return "" if source is None else f"tracks:{source.files} net:{source.net}"

    @cached_property
    def antenna_pattern(self) -> dict[str, Any] | None:
        """Name, digest and gain of the antenna pattern, recorded like the sources; None without.

        Raises
        ------
        InputError
            The file is neither there nor recorded.
        """
        antenna = self.recipe.solver.antenna
        if antenna is None:
            return None
        if Path(antenna.pattern).exists():
            return antenna.identify()  # a broken pattern is not a missing one
        return self._identity(self._antenna_key, antenna.identify)

    @property
    def _antenna_key(self) -> str:
        """Name of the antenna pattern among the recorded sources."""
        antenna = self.recipe.solver.antenna
        return "" if antenna is None else f"antenna:{antenna.pattern}"

    def record(self) -> None:
        """Write the recipe and the identities of its sources into the dataset."""
        write_recipe(self.root / RECIPE_NAME, self.recipe)
        identities = dict(self.source_identities)
        if self.track_files is not None:
            identities[self._tracks_key] = self.track_files
        if self.antenna_pattern is not None:
            identities[self._antenna_key] = self.antenna_pattern
        write_json(self.root / SOURCES_NAME, identities)

    def differences(self) -> str:
        """How the recipe differs from the one the dataset was made by, in words."""
        before = self._recorded_recipe()
        now = _flat(self.recipe.model_dump(mode="json"))
        changed = [
            f"{key}: {_value(before, key)} -> {_value(now, key)}"
            for key in dict.fromkeys([*now, *before])
            if _UNKNOWN not in (pair := (_value(before, key), _value(now, key)))
            and pair[0] != pair[1]
        ]
        if not changed:
            return "another state of the source or another rmtools version"
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        return "; ".join(changed[:3]) + more

    def _recorded_recipe(self) -> dict[str, Any]:
        """Keys and values of the recipe that the dataset was made by, as far as it can be read."""
        path = self.root / RECIPE_NAME
        if not path.is_file():
            return {}
        try:
            return _flat(strict_yaml(read_bytes(path, MAX_RECIPE_BYTES)))
        except yaml.YAMLError as error:
            raise InputError(
                f"not readable as YAML ({' '.join(str(error).split())}).",
                where=path,
                remedy="Restore the file; it was changed after the dataset was made.",
            ) from error

    def reopen(self) -> None:
        """Forget the open store, after it was replaced on disk."""
        self.__dict__.pop("store", None)

    def store_files(self, name: str, *index: int) -> list[Path]:
        """Files of one block of a store array, as far as they hold anything but the fill value."""
        return [self.store.path / file for file in self.store.chunk_files(name, *index)]

    def files_below(self, name: str) -> list[Path]:
        """All files below a folder of the dataset."""
        return walk_files(self.root / name)


_UNKNOWN = object()


def _value(flat: dict[str, Any], key: str) -> Any:
    """Value of a key, None where its whole section is null, `_UNKNOWN` where it is not there."""
    if key in flat:
        return flat[key]
    sections = (key.rsplit(".", k)[0] for k in range(1, key.count(".") + 1))
    return None if any(section in flat for section in sections) else _UNKNOWN


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Nested sections as dotted keys."""
    if not isinstance(value, dict):
        return {prefix: value}
    flat: dict[str, Any] = {}
    for key, inner in value.items():
        flat |= _flat(inner, f"{prefix}.{key}" if prefix else key)
    return flat

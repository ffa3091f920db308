"""Where a store lies: in the dataset's folder, or at a URL that the folder names.

In the second case the folder of the dataset holds, in place of ``store.zarr``, the file
``store.url`` with the address; docs/scale.md says what else stays in the folder, and why.
"""

from __future__ import annotations

import contextlib
import shutil
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rmtools.errors import InputError, RecipeError
from rmtools.files import PARTIAL_SUFFIX, read_bytes, walk_files, write_text
from rmtools.remote import RemoteFolder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

NAME = "store.zarr"
URL_NAME = "store.url"
_MAX_URL_BYTES = 4096


@dataclass(frozen=True)
class StorePlace:
    """The place of one store.

    Attributes
    ----------
    path
        Its folder, by custom named ``store.zarr``. Where the store lies at a URL there is no such
        folder, but the path stands for it all the same.
    remote
        The place at a URL, if it is one.
    """

    path: Path
    remote: RemoteFolder | None = None

    def __str__(self) -> str:
        return str(self.remote or self.path)

    @classmethod
    def of(cls, path: Path) -> StorePlace:
        """The place that a dataset folder, or the path of its store, stands for."""
        inner = path / NAME
        if inner.is_dir():
            return cls(inner)
        if (remote := read_url(path)) is not None:
            return cls(inner, remote)
        if path.name == NAME and not path.exists():
            return cls(path, read_url(path.parent))
        return cls(path)

    @staticmethod
    def is_at(path: Path) -> bool:
        """Whether `path` looks like a store, or like a dataset folder that has one."""
        signs = ((path / "zarr.json").is_file(), (path / URL_NAME).is_file())
        return (path / NAME).is_dir() or any(signs)

    def open_group(self, *, writable: bool) -> Any:
        """The Zarr group.

        Raises
        ------
        InputError
            There is none.
        """
        import zarr
        from zarr.storage import LocalStore

        from rmtools.store_guard import GuardedStore

        store = (
            self.remote.zarr_store(read_only=not writable)
            if self.remote
            else LocalStore(self.path, read_only=not writable)
        )
        try:
            return zarr.open_group(
                GuardedStore(store, str(self)),
                mode="r+" if writable else "r",
                zarr_format=3,
                use_consolidated=False,
            )
        except (FileNotFoundError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"no rmtools store there ({type(error).__name__}).",
                where=str(self),
                remedy="Give the folder of a dataset or of its store.zarr; "
                "`rmtools build-scenes` makes one.",
            ) from error

    @contextlib.contextmanager
    def building(self, attributes: Mapping[str, Any]) -> Iterator[Any]:
        """A new group to be filled; it is a store when the block ends without error.

        What lies there is replaced: in a folder by renaming in the end. At a URL nothing can be
        renamed; there the attributes that make it a store come last.
        """
        import zarr

        if self.remote is not None:
            self.remote.remove_store()
            place = self.remote.zarr_store(read_only=False)
            group = zarr.open_group(place, mode="w", zarr_format=3)
            yield group
            group.attrs.update(dict(attributes))
            consolidate(group)
            return
        partial = self.path.with_name(self.path.name + PARTIAL_SUFFIX)
        shutil.rmtree(partial, ignore_errors=True)
        partial.parent.mkdir(parents=True, exist_ok=True)
        group = zarr.open_group(partial, mode="w", zarr_format=3)
        group.attrs.update(dict(attributes))
        yield group
        consolidate(group)
        if self.path.exists():
            shutil.rmtree(self.path)
        partial.rename(self.path)

    def remove(self) -> None:
        """Delete the store, as far as it exists."""
        if self.remote is not None:
            self.remote.remove_store()
        else:
            shutil.rmtree(self.path, ignore_errors=True)

    def size(self, file: str) -> int | None:
        """Bytes of a file named relative to the store; None when there is none."""
        if self.remote is not None:
            return self.remote.size(file)
        path = self.path / file
        return path.stat().st_size if path.is_file() else None

    def total_bytes(self) -> int:
        """How large all files of the store are together."""
        if self.remote is not None:
            return sum(self.remote.sizes().values())
        return sum(file.stat().st_size for file in walk_files(self.path))


def consolidate(group: Any) -> None:
    """Copy all metadata into the root, where xarray looks first.

    Zarr warns that the copy is not in its version 3 specification yet; rmtools itself never
    reads it.
    """
    import zarr

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Consolidated metadata", category=UserWarning)
        zarr.consolidate_metadata(group.store)


def read_url(dataset: Path) -> RemoteFolder | None:
    """Where the store of a dataset folder lies; None when that is the folder itself.

    Raises
    ------
    InputError
        ``store.url`` is there and holds no address.
    """
    path = dataset / URL_NAME
    if not path.is_file():
        return None
    text = read_bytes(path, _MAX_URL_BYTES).decode(errors="replace").strip()
    if (problem := _problem(text)) is not None:
        raise InputError(
            f"it holds no address of a store ({problem}).",
            where=path,
            remedy="It should be one line such as s3://bucket/dataset/store.zarr.",
        )
    return RemoteFolder(text)


def write_url(dataset: Path, url: str) -> None:
    """Note in a dataset folder that its store lies at `url`.

    Raises
    ------
    RecipeError
        No address, or the folder has a store already, there or at another address.
    """
    if (problem := _problem(url)) is not None:
        raise RecipeError(
            f"{problem}.",
            where="--store",
            remedy="Give an address such as s3://bucket/dataset/store.zarr; credentials come from "
            "the environment.",
        )
    present = read_url(dataset)
    if present is not None and present.url == url:
        return
    if present is not None or (dataset / NAME).exists():
        raise RecipeError(
            f"the dataset has its store already ({present or NAME}), not at {url}.",
            where=dataset,
            remedy="Leave --store out, or choose another output folder.",
        )
    write_text(dataset / URL_NAME, url + "\n")


def _problem(url: str) -> str | None:
    """What keeps a text from being the address of a store; None when nothing does."""
    protocol, separator, rest = url.partition("://")
    if not (protocol and separator and rest) or any(character.isspace() for character in url):
        return f"{url[:80]!r} is no address"
    if "@" in rest.partition("/")[0]:
        return "an address that is written down must not hold a password"
    if not rest.strip("/").partition("/")[2]:
        return f"{url[:80]!r} is a whole bucket"
    return None

"""A folder at any URL that fsspec knows: ``s3://bucket/name``, ``gs://...``, ``file://...``."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rmtools.errors import MissingError, RecipeError, RmtoolsError

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT = "zarr.json"


@dataclass(frozen=True)
class RemoteFolder:
    """A folder at a URL.

    Attributes
    ----------
    url
        Its address; credentials and the endpoint come from the environment, as the filesystem's
        own documentation says (``AWS_ACCESS_KEY_ID``, ``AWS_ENDPOINT_URL``, ...).
    """

    url: str

    def __str__(self) -> str:
        return self.url

    @property
    def _options(self) -> dict[str, Any]:
        """No remembered listings, since other processes write too; folders as object stores do."""
        local = self.url.startswith(("file://", "local://"))
        return {"use_listings_cache": False, **({"auto_mkdir": True} if local else {})}

    @cached_property
    def _fs(self) -> Any:
        """The filesystem."""
        try:
            import fsspec

            return fsspec.core.url_to_fs(self.url, **self._options)[0]
        except ImportError as error:
            raise MissingError(
                f"a package for this kind of address is missing ({error}).",
                where=self.url,
                remedy="For s3:// addresses: pip install 'rmtools[s3]'.",
            ) from error
        except ValueError as error:
            raise RecipeError(
                f"not an address that can be used ({error}).",
                where=self.url,
                remedy="Give one such as s3://bucket/dataset/store.zarr.",
            ) from error

    def _path(self, name: str = "") -> str:
        """Path of a file inside, as the filesystem has it."""
        return str(self._fs._strip_protocol(f"{self.url.rstrip('/')}/{name}"))  # noqa: SLF001 - fsspec's way

    def zarr_store(self, *, read_only: bool) -> Any:
        """The folder as a :class:`zarr.storage.FsspecStore`."""
        from zarr.storage import FsspecStore

        self._fs  # noqa: B018 - says clearly what is missing
        return FsspecStore.from_url(
            self.url.rstrip("/"),
            storage_options=self._options,
            read_only=read_only,
        )

    def size(self, name: str) -> int | None:
        """Bytes of a file; None when there is none."""
        try:
            return int(self._fs.info(self._path(name))["size"])
        except FileNotFoundError:
            return None

    def sizes(self) -> dict[str, int]:
        """Bytes of every file by its name, in one listing."""
        base = self._path()
        try:
            found = self._fs.find(base, detail=True)
        except FileNotFoundError:
            return {}
        return {
            path.removeprefix(base).lstrip("/"): int(about["size"]) for path, about in found.items()
        }

    def describe(self, name: str) -> tuple[int, str]:
        """Bytes and SHA-256 (hexadecimal) of a file as it lies there now, in one request."""
        data = self._fs.cat_file(self._path(name))
        return len(data), hashlib.sha256(data).hexdigest()

    def remove_store(self) -> None:
        """Delete the Zarr store that is the folder, as far as it exists.

        Raises
        ------
        RecipeError
            The folder holds something else. A wrong address must not empty a bucket.
        """
        names = sorted(self.sizes())
        if names and _ROOT not in names:
            raise RecipeError(
                f"there is something else already, {names[0]} for one.",
                where=self.url,
                remedy="Give an address of the store's own, such as "
                "s3://bucket/dataset/store.zarr, or delete what lies there.",
            )
        inner = [self._path(name) for name in names if name != _ROOT]
        if inner:
            self._fs.rm(inner)
        if names:
            self._fs.rm(self._path(_ROOT))  # what makes it a store goes last


class RememberingGroup:
    """A Zarr group that asks for the metadata of an array once, not at every access.

    Over a network each time would cost two requests. It may be used where nobody else makes or
    removes arrays meanwhile: a run holds its dataset, and its workers open the store for each unit.
    """

    def __init__(self, group: Any) -> None:
        self._group = group
        self._arrays: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._group, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._group)

    def __contains__(self, name: str) -> bool:
        return name in self._arrays or name in self._group

    def __getitem__(self, name: str) -> Any:
        if name not in self._arrays:
            self._arrays[name] = self._group[name]
        return self._arrays[name]

    def __delitem__(self, name: str) -> None:
        self._arrays.pop(name, None)
        del self._group[name]

    def create_array(self, name: str, **options: Any) -> Any:
        """Make an array and remember it."""
        self._arrays[name] = self._group.create_array(name, **options)
        return self._arrays[name]


def network_errors() -> tuple[type[Exception], ...]:
    """What a filesystem's network raises besides OSError, as far as such a package is loaded."""
    names = (
        ("botocore.exceptions", "BotoCoreError"),
        ("botocore.exceptions", "ClientError"),
        ("aiohttp", "ClientError"),
        ("fsspec.exceptions", "FSTimeoutError"),
    )
    return tuple(
        getattr(sys.modules[module], name) for module, name in names if module in sys.modules
    )


def from_network_error(error: Exception) -> RmtoolsError:
    """Explain one of the :func:`network_errors`."""
    return MissingError(
        f"the storage cannot be used ({type(error).__name__}: {' '.join(str(error).split())}).",
        remedy="Check the address, the credentials and AWS_ENDPOINT_URL; nothing that was finished "
        "is lost, and the same command continues.",
    )

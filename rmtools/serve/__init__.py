"""A read-only browser over a dataset of any size, on this machine: ``rmtools serve``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from rmtools.serve.server import Server


def listen(
    dataset: Path, host: str = "127.0.0.1", port: int = 0, names: Collection[str] = ()
) -> Server:
    """A server of a dataset, listening; ``run`` or ``serve_forever`` makes it answer.

    Parameters
    ----------
    dataset
        Folder of a dataset or of its store.
    host
        Address to listen at. Only this machine can reach the default.
    port
        Port; 0 takes a free one.
    names
        Host names, besides ``localhost``, that requests may come for.

    Raises
    ------
    InputError
        There is no rmtools store.
    RecipeError
        The server cannot listen there.
    """
    from rmtools.errors import RecipeError
    from rmtools.serve.dataset import open_dataset
    from rmtools.serve.server import Server
    from rmtools.serve.site import Site
    from rmtools.units import MOTION_SCALE

    root, reader = open_dataset(dataset)
    try:
        return Server((host, port), Site(root, reader, MOTION_SCALE), names)
    except OSError as error:
        raise RecipeError(
            f"cannot listen there ({error.strerror or error}).",
            where=f"{host}:{port}",
            remedy="Choose another --port (0 takes a free one) or --host.",
        ) from error

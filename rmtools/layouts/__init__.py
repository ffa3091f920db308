"""From the store to files and back: the layouts datasets are published in, and their loaders.

The names below are imported when they are used: datasets need torch, nothing else does.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rmtools.layouts.conventions import CONVENTIONS, Convention, GreyTransform
    from rmtools.layouts.datasets import SequenceForecast, SparseSamples, StaticMaps, collate
    from rmtools.layouts.maps import MapSource, open_maps
    from rmtools.layouts.packed import pack
    from rmtools.layouts.to_store import restore

_HOMES = {
    "CONVENTIONS": "conventions",
    "Convention": "conventions",
    "GreyTransform": "conventions",
    "MapSource": "maps",
    "SequenceForecast": "datasets",
    "SparseSamples": "datasets",
    "StaticMaps": "datasets",
    "collate": "datasets",
    "open_maps": "maps",
    "pack": "packed",
    "restore": "to_store",
}

__all__ = [
    "CONVENTIONS",
    "Convention",
    "GreyTransform",
    "MapSource",
    "SequenceForecast",
    "SparseSamples",
    "StaticMaps",
    "collate",
    "open_maps",
    "pack",
    "restore",
]


def __getattr__(name: str) -> Any:
    """Import a public name from its module."""
    if name not in _HOMES:
        raise AttributeError(name)
    try:
        return getattr(import_module(f"rmtools.layouts.{_HOMES[name]}"), name)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        from rmtools.errors import MissingError

        raise MissingError(
            f"{name} needs PyTorch, which is not installed.",
            remedy="Run `pip install rmtools[train]`.",
        ) from error

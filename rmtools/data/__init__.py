"""Data that comes with rmtools: a piece of central Helsinki for the demo and the tests."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

NOTICE = (
    "Contains information from OpenStreetMap, © OpenStreetMap contributors, made available under "
    "the Open Database License (ODbL) 1.0, https://opendatacommons.org/licenses/odbl/1-0/. "
    "See https://www.openstreetmap.org/copyright."
)
"""The attribution that must accompany :func:`helsinki_path` and everything made of it."""


def helsinki_path() -> Path:
    """Path of the demo extract, about 0.87 km by 1.14 km of central Helsinki (OSM PBF)."""
    return Path(str(files(__name__) / "helsinki.osm.pbf"))

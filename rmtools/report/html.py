"""The HTML report: one self-contained page about a dataset, without any outside request."""

from __future__ import annotations

import base64
import hashlib
import json
from html import escape
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from rmtools.errors import InputError
from rmtools.files import write_text
from rmtools.report import records, sections
from rmtools.report.embed import embed
from rmtools.report.material import Material
from rmtools.report.statistics import collect
from rmtools.units import MOTION_SCALE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from rmtools.store import Store
    from rmtools.units import GreyScale


SECTIONS: tuple[tuple[str, str, Callable[[Material], str]], ...] = (
    ("player", "Sequences in motion", sections.player),
    ("scenes", "Scenes and maps", sections.scenes),
    ("reading", "How to read a pixel", sections.reading),
    ("statistics", "Statistics", sections.statistics),
    ("split", "Split", records.split),
    ("audit", "Audit of the split", records.audit),
    ("validation", "Validation", records.validation),
    ("provenance", "Provenance", records.provenance),
)
"""Id, heading and writer of every section in order; one without text is left out."""


def write_report(
    store: Store,
    path: Path,
    *,
    split: BaseModel | Mapping[str, Any] | None = None,
    validation: BaseModel | Mapping[str, Any] | None = None,
    audit: BaseModel | Mapping[str, Any] | None = None,
    recipe: BaseModel | Mapping[str, Any] | None = None,
    scale: GreyScale = MOTION_SCALE,
) -> Path:
    """Write the report of a dataset as one HTML file.

    Parameters
    ----------
    store
        A store at any stage; what has not been made yet is said to be missing.
    path
        File to write, by custom ``report.html`` in the dataset's folder.
    split
        A :class:`rmtools.splits.manifest.SplitManifest`.
    validation
        A :class:`rmtools.findings.Report`.
    audit
        A :class:`rmtools.audit.AuditReport`.
    recipe
        A :class:`rmtools.run.recipe.Recipe`.
    scale
        Grey scale of the embedded maps and of the comparison with published figures.

    Returns
    -------
    Path
        `path`. The same dataset gives the same bytes: the page holds no clock and no address.

    Raises
    ------
    InputError
        The store holds no scene.
    """
    if not store.sizes.scene:
        raise InputError(
            "the store holds no scene.",
            where=store.path,
            remedy="Run `rmtools build-scenes` first.",
        )
    material = Material(
        store=store,
        statistics=collect(store, scale),
        embedded=embed(store, scale),
        scale=scale,
        bytes_on_disk=store.place.total_bytes(),
        split=_plain(split),
        validation=_plain(validation),
        audit=_plain(audit),
        recipe=_plain(recipe),
    )
    write_text(path, render(material))
    return path


def render(material: Material) -> str:
    """The page as text."""
    style, script = _part("report.css"), _part("report.js")
    policy = (
        "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src {_hash_source(style)}; script-src {_hash_source(script)}"
    )
    written = [(name, title, section(material)) for name, title, section in SECTIONS]
    shown = [item for item in written if item[2]]
    return Template(_part("report.html")).substitute(
        policy=policy,
        style=style,
        script=script,
        title=escape(sections.title(material)),
        header=sections.header(material),
        links="".join(f'<li><a href="#{name}">{title}</a></li>' for name, title, _ in shown),
        sections="\n".join(
            f'<section id="{name}" aria-labelledby="{name}-title">'
            f'<h2 id="{name}-title">{title}</h2>{text}</section>'
            for name, title, text in shown
        ),
        footer=records.footer(material),
        data=script_json(material.embedded.data),
    )


def script_json(value: Any) -> str:
    """JSON that can stand in a ``<script>`` element, whatever the strings in it say."""
    text = json.dumps(value, separators=(",", ":"), sort_keys=True, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _hash_source(text: str) -> str:
    """CSP source expression that allows exactly this inline text."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _part(name: str) -> str:
    return files("rmtools.report").joinpath(name).read_text(encoding="utf-8")


def _plain(value: BaseModel | Mapping[str, Any] | None) -> dict[str, Any] | None:
    """JSON values of a model or mapping."""
    if value is None:
        return None
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else dict(value)

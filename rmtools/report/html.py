"""The HTML report: one self-contained page about a dataset, without any outside request."""

from __future__ import annotations

import base64
import hashlib
import json
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from rmtools.errors import InputError
from rmtools.files import write_text
from rmtools.report import figures, records, sections
from rmtools.report.markup import MAX_NAME, text
from rmtools.report.material import Material, gather
from rmtools.report.sets import scene_sets
from rmtools.units import MOTION_SCALE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from rmtools.store import Store
    from rmtools.units import GreyScale


_SCRIPTS = ("ground.js", "viewer.js", "report.js")

SECTIONS: tuple[tuple[str, str, Callable[[Material], str]], ...] = (
    ("scenes", "Scenes and maps", sections.scenes),
    ("places", "Where the scenes lie", sections.places),
    ("reading", "How to read a pixel", sections.reading),
    ("statistics", "Statistics", figures.statistics),
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
        The store holds no scene, or something in it is broken.
    """
    if not store.sizes.scene:
        raise InputError(
            "the store holds no scene.",
            where=store.path,
            remedy="Run `rmtools build-scenes` first.",
        )
    statistics, sight, gallery = gather(store, scale)
    manifest = _plain(split)
    material = Material(
        store=store,
        statistics=statistics,
        sight=sight,
        gallery=gallery,
        sets=scene_sets(store.scene_names, manifest),
        scale=scale,
        bytes_on_disk=store.place.total_bytes(),
        split=manifest,
        validation=_plain(validation),
        audit=_plain(audit),
        recipe=_plain(recipe),
    )
    write_text(path, render(material))
    return path


def render(material: Material) -> str:
    """The page as text."""
    style, script = part("report.css"), "".join(part(name) for name in _SCRIPTS)
    policy = (
        "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src {_hash_source(style)}; script-src {_hash_source(script)}"
    )
    written = [(name, title, section(material)) for name, title, section in SECTIONS]
    shown = [item for item in written if item[2]]
    return Template(part("report.html")).substitute(
        policy=policy,
        style=style,
        script=script,
        title=text(sections.title(material), 4 * MAX_NAME),
        header=sections.header(material),
        links="".join(f'<li><a href="#{name}">{title}</a></li>' for name, title, _ in shown),
        sections="\n".join(
            f'<section id="{name}" aria-labelledby="{name}-title">'
            f'<h2 id="{name}-title">{title}</h2>{text}</section>'
            for name, title, text in shown
        ),
        footer=records.footer(material),
        data=script_json(material.gallery.data()),
        first=_packs(material, first=True),
        packs=_packs(material, first=False),
    )


def _packs(material: Material, *, first: bool) -> str:
    """The maps of each scene, taken apart when the scene is looked at.

    The first scene stands before the script and the others after it, so that there is something to
    see while the rest of the page is still on its way.
    """
    packs = list(material.gallery.packs.items())
    return "\n".join(
        f'<script type="application/json" id="scene-{s}">{script_json(pack)}</script>'
        for s, pack in (packs[:1] if first else packs[1:])
    )


def script_json(value: Any) -> str:
    """JSON that can stand in a ``<script>`` element, whatever the strings in it say."""
    text = json.dumps(value, separators=(",", ":"), sort_keys=True, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _hash_source(text: str) -> str:
    """CSP source expression that allows exactly this inline text."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def part(name: str) -> str:
    """A file that comes with this package."""
    return files("rmtools.report").joinpath(name).read_text(encoding="utf-8")


def _plain(value: BaseModel | Mapping[str, Any] | None) -> dict[str, Any] | None:
    """JSON values of a model or mapping."""
    if value is None:
        return None
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else dict(value)

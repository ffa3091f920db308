"""Who may do what with each layer of a release, and the check that it says so.

Footprints, roads and heights out of OpenStreetMap are a derivative database: they are published
under the ODbL, with its notice, and together with the maps made of them (section 4.6). Radio maps
are most likely a produced work, which may have another licence but must carry the attribution
(section 4.3). This is our reading of the licence and no legal advice; without the maintainer's
word every layer gets the licence of its sources.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from html import unescape
from typing import TYPE_CHECKING

import yaml

from rmtools.errors import InvalidDatasetError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from rmtools.release.about import About
    from rmtools.release.facts import Facts
    from rmtools.release.manifest import Layer, LayerName

FILE_NAME = "LICENSE.md"
OSM_NAME = "OpenStreetMap"


@dataclass(frozen=True)
class Licence:
    """A licence that we know: its SPDX id, name, address, and Hugging Face's word for it."""

    spdx: str
    name: str
    url: str
    hugging_face: str


KNOWN = {
    licence.spdx: licence
    for licence in (
        Licence(
            "ODbL-1.0",
            "Open Data Commons Open Database License v1.0",
            "https://opendatacommons.org/licenses/odbl/1-0/",
            "odbl",
        ),
        Licence(
            "CC-BY-4.0",
            "Creative Commons Attribution 4.0 International",
            "https://creativecommons.org/licenses/by/4.0/",
            "cc-by-4.0",
        ),
        Licence(
            "CC-BY-SA-4.0",
            "Creative Commons Attribution-ShareAlike 4.0 International",
            "https://creativecommons.org/licenses/by-sa/4.0/",
            "cc-by-sa-4.0",
        ),
        Licence(
            "CC0-1.0",
            "Creative Commons Zero v1.0 Universal",
            "https://creativecommons.org/publicdomain/zero/1.0/",
            "cc0-1.0",
        ),
    )
}

LAYERS: dict[LayerName, str] = {
    "documents": "this description, the manifest, the report and the other texts",
    "split": "who is in which set: the split and the index of all maps",
    "scenes": "buildings, heights and roads as vectors (GeoJSON in local metres)",
    "environment": "rasters of buildings, heights and roads, vehicles, transmitters",
    "maps": "radio maps: path loss of every transmitter",
    "mixed": "files that hold maps and environment together",
}


def layer_licences(facts: Facts, about: About) -> dict[LayerName, list[str]]:
    """Licences of every layer.

    Raises
    ------
    InvalidDatasetError
        A source names no licence or no attribution, or OpenStreetMap is not named where its data
        are.
    """
    require_attribution(facts)
    maps = list(facts.licence) if about.maps_licence is None else [about.maps_licence]
    found = {name: list(facts.licence) for name in LAYERS}
    return {**found, "maps": maps, "mixed": list(dict.fromkeys([*facts.licence, *maps]))}


def require_attribution(facts: Facts) -> None:
    """Refuse data whose origin is not told, see :func:`layer_licences`."""
    for source in facts.sources:
        missing = [word for word in ("licence", "attribution") if not getattr(source, word).strip()]
        if not missing and source.reader.startswith("osm-") and OSM_NAME not in source.attribution:
            missing = [f"attribution to {OSM_NAME}"]
        if missing:
            raise InvalidDatasetError(
                f"{source.scenes} scenes name no {' and no '.join(missing)}.",
                where=source.source,
                remedy="Data of unknown terms are not released: build the scenes again with "
                "`rmtools build-scenes`, which writes what their source asks for.",
            )
    lost = {s.attribution for s in facts.sources} - set(facts.attribution)
    lost |= {s.licence for s in facts.sources} - set(facts.licence)
    if lost or not facts.attribution or not facts.licence:
        raise InvalidDatasetError(
            f"the dataset does not carry {sorted(lost)[0]!r}, which its scenes ask for."
            if lost
            else "the dataset has no licence or no attribution.",
            where=facts.title,
            remedy="Build the scenes again with `rmtools build-scenes`.",
        )


def check_documents(root: Path, attribution: list[str], documents: list[str]) -> None:
    """Read what was written, and refuse to finish where an attribution is missing.

    Parameters
    ----------
    root
        The release, complete but for its manifest.
    attribution
        What every one of the `documents` must say.

    Raises
    ------
    InvalidDatasetError
        One of them does not.
    """
    for name in documents:
        said = _said(root / name)
        for words in attribution:
            if words not in said:
                raise InvalidDatasetError(
                    f"the attribution {words!r} is missing.",
                    where=root / name,
                    remedy="A release without it would break the licence of its sources.",
                )


def _said(path: Path) -> str:
    """All words of a document, without what its format makes of some characters."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        return "\n".join(_strings(json.loads(text)))
    if path.suffix == ".cff":
        return "\n".join(_strings(yaml.safe_load(text)))
    return unescape(text)


def _strings(value: object) -> Iterator[str]:
    """All strings in a value of JSON or YAML."""
    if isinstance(value, str):
        yield unescape(value)  # Zenodo's description is HTML
    elif isinstance(value, dict):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


def licence_text(layers: Mapping[LayerName, Layer], facts: Facts) -> str:
    """``LICENSE.md``: the licence of every layer, and what follows from it."""
    lines = [
        "# Licences, layer by layer",
        "",
        "| layer | what | licence | files |",
        "|---|---|---|---|",
        *(
            f"| {name} | {layer.description} | {', '.join(map(linked, layer.licence))} "
            f"| {layer.files:,} |"
            for name, layer in layers.items()
        ),
        "",
        "The split, the index and the texts have the licence of the scenes. `manifest.json` says",
        "of every file which layer it belongs to.",
        "",
        "## Attribution",
        "",
        "Whoever uses, shows or publishes these data, or what is made of them, names their source:",
        "",
        *(f"> {words}" for words in facts.attribution),
        "",
    ]
    if any("ODbL" in licence for licence in facts.licence):
        lines += [
            "## What the ODbL asks for",
            "",
            "The scenes and the rasters made of them hold objects of OpenStreetMap and are a",
            "derivative database: whoever publishes them, changed or not, does so under the ODbL",
            "and keeps this notice. Radio maps alone are most likely a produced work: they may be",
            "used under the licence in the table as long as the attribution stands beside them.",
            "Buildings can be recognised in the maps; whoever extracts them again has data of",
            "OpenStreetMap under the ODbL. The scenes of this release are the database that its",
            "maps were made of. This is a reading of the licence, not legal advice.",
            "",
        ]
    lines += ["## Sources", ""]
    lines += [
        f"- {source.source} ({source.reader}, {source.date or 'no date'}), {source.licence}: "
        f"{source.scenes} scenes"
        for source in facts.sources[:50]
    ]
    if len(facts.sources) > 50:
        lines.append(f"- and {len(facts.sources) - 50} more, see manifest.json")
    return "\n".join(lines) + "\n"


def linked(spdx: str) -> str:
    """A licence as a Markdown link, where we know its address."""
    known = KNOWN.get(spdx)
    return f"[{spdx}]({known.url})" if known else spdx


def address(spdx: str) -> str:
    """Address of a licence, or its name where we do not know it."""
    known = KNOWN.get(spdx)
    return known.url if known else spdx

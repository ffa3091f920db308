"""The sections of the report that show records: split, validation, provenance, footer."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from rmtools import __version__
from rmtools.report.markup import (
    counted,
    details,
    paragraph,
    size,
    table,
    text,
    values_table,
)
from rmtools.report.sets import ordered

if TYPE_CHECKING:
    from rmtools.report.material import Material

_CITY = "city_"  # notes that describe the whole source
_MAX_FINDINGS = 100
_MAX_SCENES = 400


def split(material: Material) -> str:
    """Who is in which set."""
    manifest = material.split
    if manifest is None:
        return paragraph("No split was given.", "note")
    found: dict[str, dict[str, Any]] = manifest.get("sets", {})
    sets = {name: found[name] for name in ordered(found)}
    members = [(name, set(each.get("scenes") or ())) for name, each in sets.items()]

    def shared(name: str, scenes: set[str]) -> str:
        with_ = [
            f"{other} ({len(scenes & others)})"
            for other, others in members
            if other != name and scenes & others
        ]
        return ", ".join(with_) or "none"

    rows = [
        (
            name,
            f"{len(set(each.get('scenes') or ())):,}",
            _indices(each.get("trajectories")),
            _indices(each.get("transmitters")),
            each.get("sequences", "–"),
            shared(name, set(each.get("scenes") or ())),
        )
        for name, each in sets.items()
    ]
    head = ("Set", "Scenes", "Trajectories", "Transmitters", "Sequences", "Scenes shared with")
    words = []
    if manifest.get("name"):
        words.append(f"<h3>{text(manifest['name'])}</h3>")
    if manifest.get("description"):
        words.append(paragraph(str(manifest["description"])))
    if manifest.get("leaky"):
        words.append(paragraph(f"This split leaks: {manifest.get('leaky_reason')}", "bad"))
    words += [paragraph(str(note), "note") for note in manifest.get("notes") or ()]
    return "".join(words) + table(head, rows, numbers=(1, 4))


def _indices(values: list[int] | None) -> str:
    return "all" if values is None else ", ".join(map(str, values))


def audit(material: Material) -> str:
    """What `rmtools audit` found; the section is left out where it did not look."""
    report = material.audit
    if report is None:
        return ""
    levels: list[dict[str, Any]] = report.get("levels") or []
    leaks = [str(each.get("level")) for each in levels if each.get("verdict") == "leak"]
    unknown = [
        str(each.get("level"))
        for each in levels
        if each.get("verdict") == "leak" and not each.get("declared")
    ]
    if not leaks:
        words = paragraph("No leak found.", "good")
    elif unknown:
        words = paragraph(f"It leaks and does not say so: {', '.join(unknown)}.", "bad")
    else:
        words = paragraph(f"It leaks as it declares: {', '.join(leaks)}.", "fair")
    rows = [
        (
            each.get("question", ""),
            str(each.get("verdict", "")) + (", declared" if each.get("declared") else ""),
            each.get("risk", ""),
            f"{int(each.get('pairs') or 0):,}",
            each.get("finding", ""),
        )
        for each in levels
    ]
    head = ("Question", "Verdict", "Risk", "Pairs", "Finding")
    return words + table(head, rows, numbers=(3,))


def validation(material: Material) -> str:
    """What `rmtools validate` found."""
    report = material.validation
    if report is None:
        return paragraph("Not validated: run `rmtools validate`.", "note")
    errors, warnings = int(report.get("errors", 0)), int(report.get("warnings", 0))
    findings: list[dict[str, Any]] = report.get("findings") or []
    verdict = (
        paragraph("No errors and no warnings.", "good")
        if not errors and not warnings
        else paragraph(
            f"{counted(errors, 'error')}, {counted(warnings, 'warning')}.",
            "bad" if errors else "fair",
        )
    )
    checked = report.get("checked") or {}
    if checked:
        verdict += paragraph(
            "Checked: " + ", ".join(f"{count:,} {kind}" for kind, count in checked.items()) + "."
        )
    if not findings:
        return verdict
    rows = [
        (each.get("level", ""), each.get("where", ""), each.get("what", ""))
        for each in findings[:_MAX_FINDINGS]
    ]
    more = errors + warnings - len(rows)
    rest = paragraph(f"{more:,} more are not listed here.", "note") if more > 0 else ""
    return verdict + table(("Level", "Where", "What"), rows) + rest


def provenance(material: Material) -> str:
    """Sources, solver, recipe: all that the pixels depend on."""
    store, attributes = material.store, material.store.attributes
    scenes: list[dict[str, Any]] = attributes["scenes"]
    sources: dict[tuple[str, ...], int] = defaultdict(int)
    keys = ("source", "reader", "date", "licence", "attribution", "sha256")
    for scene in scenes:
        sources[tuple(scene["provenance"][key] or "–" for key in keys)] += 1
    parts = [
        "<h3>Sources</h3>",
        table(
            ("Source", "Reader", "Date of the data", "Licence", "Attribution", "SHA-256", "Scenes"),
            [(*source, f"{count:,}") for source, count in sources.items()],
            numbers=(6,),
        ),
        _notes(scenes),
    ]
    stages = (
        ("Solver and path loss", "pathloss"),
        ("Solver and path loss without vehicles", "pathloss_static"),
        ("Transmitters", "tx_x"),
        ("Vehicles", "vehicles"),
    )
    parts += [
        details(heading, values_table(found), open_=array == "pathloss")
        for heading, array in stages
        if (found := store.array_attributes(array))
    ]
    root = {key: value for key, value in attributes.items() if key != "scenes"}
    parts.append(details("Dataset", values_table({**root, "report_written_by": __version__})))
    parts.append(
        details(
            f"Scenes ({len(scenes):,})",
            table(
                ("Scene", "CRS", "Easting, m", "Northing, m", "SHA-256"),
                [
                    (
                        each["name"],
                        each["crs"] or "–",
                        _metres(each["easting_m"]),
                        _metres(each["northing_m"]),
                        each["sha256"],
                    )
                    for each in scenes[:_MAX_SCENES]
                ],
                numbers=(2, 3),
            )
            + (
                paragraph(f"{len(scenes) - _MAX_SCENES:,} more are in the store.", "note")
                if len(scenes) > _MAX_SCENES
                else ""
            ),
        )
    )
    if material.recipe is not None:
        parts.append(details("Recipe", values_table(material.recipe)))
    return "".join(parts)


def _metres(value: float | None) -> str:
    return "–" if value is None else f"{value:,.1f}"


def _notes(scenes: list[dict[str, Any]]) -> str:
    """Counts from reading, heights first: which of them were guessed.

    Notes named ``city_...`` belong to the whole source, so they are told once per source and not
    summed over its scenes.
    """
    numbers: dict[str, list[float]] = defaultdict(list)
    words: dict[str, set[str]] = defaultdict(set)
    sources: dict[str, dict[str, Any]] = defaultdict(dict)
    for scene in scenes:
        for key, value in scene.get("notes", {}).items():
            if key.startswith(_CITY):
                sources[scene["provenance"]["source"]][key.removeprefix(_CITY)] = value
            elif isinstance(value, str):
                words[key].add(value)
            else:
                numbers[key].append(value)
    rows: list[tuple[str, ...]] = [
        (
            _words(key),
            f"{min(numbers[key]):,g}",
            f"{max(numbers[key]):,g}",
            f"{sum(numbers[key]):,g}",
            f"{len(numbers[key]):,}",
        )
        for key in sorted(numbers, key=_heights_first)
    ]
    rows += [
        (_words(key), "; ".join(sorted(found)[:5]), "", "", "")
        for key, found in sorted(words.items())
    ]
    head = ("Count", "smallest scene", "largest scene", "all scenes", "scenes with it")
    parts = []
    if rows:
        parts = [
            "<h3>Counts from reading</h3>",
            paragraph(
                "Heights “from default” and “from levels” were not measured: they come from the "
                "height rules."
            ),
            table(head, rows, numbers=(1, 2, 3, 4)),
        ]
    parts += [
        details(
            f"Counts from reading the whole of {source}",
            table(
                ("Count", "Value"),
                [(_words(key), found[key]) for key in sorted(found, key=_heights_first)],
                numbers=(1,),
            ),
        )
        for source, found in sorted(sources.items())
    ]
    return "".join(parts)


def _words(key: str) -> str:
    return key.replace("_", " ")


def _heights_first(key: str) -> tuple[bool, str]:
    return ("height" not in key, key)


def footer(material: Material) -> str:
    """Attribution, licence and version."""
    attributes = material.store.attributes
    credit, licence = "; ".join(attributes["attribution"]), ", ".join(attributes["licence"])
    lines = []
    if credit:
        lines.append(f"Contains data from: {credit}")
    if licence:
        lines.append(f"Licence of the source data: {licence}")
    lines.append(
        f"Store written by rmtools {attributes['rmtools_version']}, "
        f"{size(material.bytes_on_disk)}; report written by rmtools {__version__}."
    )
    return "".join(paragraph(line) for line in lines)

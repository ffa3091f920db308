"""``DATASHEET.md``: the questions of "Datasheets for Datasets" (Gebru et al., 2021), answered.

What follows from the data is answered from the facts; what only the maintainer knows is taken from
the file given by ``--about``, and said to be open where it is not there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rmtools.release.card import counts_table, pixel_table
from rmtools.release.licences import linked

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rmtools.release.edition import Edition

FILE_NAME = "DATASHEET.md"
_OPEN = "The maintainers have not said."


def datasheet_text(edition: Edition) -> str:
    """The datasheet."""
    lines = [
        f"# Datasheet: {edition.title}",
        "",
        f"Version {edition.version} of {edition.date}, for {edition.name}. The questions are those "
        "of Gebru et al., Datasheets for Datasets (Communications of the ACM 64, 2021), in short.",
    ]
    for heading, questions in _answers(edition).items():
        lines += ["", f"## {heading}"]
        for question, answer in questions:
            lines += ["", f"**{question}**", "", answer.replace("<", "&lt;")]
    return "\n".join(lines) + "\n"


def _answers(edition: Edition) -> dict[str, list[tuple[str, str]]]:
    facts, about = edition.facts, edition.about
    return {
        "Motivation": [
            ("For what purpose was it created?", about.description or edition.summary),
            ("Who created it?", "; ".join(creator.full_name for creator in edition.creators)),
            ("Who funded it?", about.funding or _OPEN),
        ],
        "Composition": [
            ("What are the instances, and how many are there?", counts_table(facts)),
            ("What does an instance consist of?", pixel_table(facts)),
            (
                "Is it a sample of something larger?",
                "Yes: scenes cut out of cities by the rules in recipe.yaml. "
                + " ".join(edition.biases[:1]),
            ),
            ("Is anything missing?", f"{facts.missing}. Heights: {_heights(edition)}"),
            ("Are there recommended splits?", _split(edition)),
            ("Are there errors or noise?", _validation(edition)),
            (
                "Is it self-contained?",
                "Yes. The sources are named with their SHA-256; the scenes made of them are "
                "in the release.",
            ),
            (
                "Does it hold anything confidential or about people?",
                "No. Buildings and roads are public; names of contributors to OpenStreetMap, ids "
                "and tags are not kept; vehicles are synthetic or given by the maintainer.",
            ),
        ],
        "Collection": [
            ("How was it acquired?", edition.origin),
            ("What were the sources?", _sources(edition)),
            ("What was the sampling strategy?", "The rules of recipe.yaml, from its seed alone."),
            ("Were people involved?", "No annotators and no crowd workers."),
        ],
        "Preprocessing": [
            (
                "What was done with the sources?",
                "Buildings and roads were cut to tiles, simplified and given heights and widths; "
                "the rules stand in the documentation of rmtools (OpenStreetMap policy).",
            ),
            ("Is the software available?", "Yes: rmtools, in the version of manifest.json."),
        ],
        "Uses": [
            (
                "What is it for?",
                _list(["Prediction, completion and forecasting of radio maps", *about.uses]),
            ),
            ("What can it not tell?", _list(edition.limitations)),
            ("What should it not be used for?", "Planning real networks without measurements."),
        ],
        "Distribution": [
            ("Under which terms?", _licences(edition)),
            ("What must be named?", _list(facts.attribution)),
            ("How is it cited?", edition.citation),
        ],
        "Maintenance": [
            ("Who maintains it, and how are errors reported?", about.maintenance or _OPEN),
            ("How can they be contacted?", about.contact or about.repository or _OPEN),
            (
                "How is it versioned?",
                "MAJOR when a map, a raster, a scene or a test set changed; MINOR when there is "
                "more of something and the rest is as it was; PATCH when only texts changed. "
                "CHANGELOG.md says what changed, by SHA-256.",
            ),
        ],
    }


def _list(items: Iterable[str]) -> str:
    return "\n".join(f"- {item}" for item in items)


def _heights(edition: Edition) -> str:
    found = {k: v for k, v in edition.facts.heights.items() if k.startswith("heights_")}
    words = [f"{count:g} {key[8:].replace('_', ' ')}" for key, count in found.items()]
    return (", ".join(words) or "as the source has them") + "."


def _split(edition: Edition) -> str:
    split = edition.facts.split
    if split is None:
        return "No."
    leak = f" It leaks: {split.leaky_reason}." if split.leaky else " No leak is known."
    counts = ", ".join(f"{name}: {found.maps:,} maps" for name, found in edition.facts.sets.items())
    return f"{split.name}: {split.description}{leak} ({counts})"


def _validation(edition: Edition) -> str:
    found = edition.facts.validation
    return (
        f"`rmtools validate` found {found['errors']} errors and {found['warnings']} warnings; they "
        "stand in validation.json."
    )


def _sources(edition: Edition) -> str:
    return _list(
        f"{source.source} ({source.date or 'no date'}), SHA-256 {source.sha256}"
        for source in edition.facts.sources[:50]
    )


def _licences(edition: Edition) -> str:
    return _list(
        f"{name}: {', '.join(map(linked, layer.licence))}" for name, layer in edition.layers.items()
    )

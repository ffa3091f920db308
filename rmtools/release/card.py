"""``README.md``: the dataset card, with the head that Hugging Face reads."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml

from rmtools.release.index import table_name
from rmtools.release.licences import KNOWN, linked
from rmtools.release.shards import FOLDER as SHARDS_FOLDER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rmtools.release.edition import Edition
    from rmtools.release.facts import Facts

FILE_NAME = "README.md"

_SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
    (100_000_000, "10M<n<100M"),
)


def size_category(maps: int) -> str:
    """Hugging Face's word for a number of samples."""
    return next((word for limit, word in _SIZES if maps < limit), "100M<n<1B")


def card_text(edition: Edition) -> str:
    """The card."""
    head = yaml.safe_dump(_head(edition), sort_keys=False, allow_unicode=True, width=1000)
    body = _body(edition).replace("<", "&lt;")  # no name of a scene or source becomes HTML
    return f"---\n{head}---\n\n{body}"


def _head(edition: Edition) -> dict[str, Any]:
    """What Hugging Face reads."""
    licences = edition.licence
    known = KNOWN.get(licences[0]) if len(licences) == 1 else None
    head: dict[str, Any] = {"pretty_name": edition.title}
    if known is not None:
        head["license"] = known.hugging_face
    elif all(spdx in KNOWN for spdx in licences):
        head["license"] = [KNOWN[spdx].hugging_face for spdx in licences]
    else:
        head |= {
            "license": "other",
            "license_name": "-and-".join(spdx.lower() for spdx in licences),
            "license_link": "LICENSE.md",
        }
    head |= {
        "size_categories": [size_category(edition.facts.maps)],
        "task_categories": ["image-to-image"],
        "tags": [*edition.about.keywords, "geospatial", "wireless"],
        "configs": _configs(edition),
    }
    return head


def _configs(edition: Edition) -> list[dict[str, Any]]:
    """Which files belong to which set; sets of one split are the splits of a config."""
    names = list(edition.facts.sets)
    configs: list[dict[str, Any]] = [
        {
            "config_name": "index",
            "default": True,
            "data_files": [{"split": _word(name), "path": table_name(name)} for name in names],
        }
    ]
    for layout in sorted({shard.split("/")[1].split("-")[0] for shard in edition.shards}):
        files = [
            {"split": _word(name), "path": f"{SHARDS_FOLDER}/{layout}-{name}-[0-9]*.tar"}
            for name in names
            if any(s.startswith(f"{SHARDS_FOLDER}/{layout}-{name}-") for s in edition.shards)
        ]
        if files:
            configs.append({"config_name": layout, "data_files": files})
    return configs


def _word(set_name: str) -> str:
    """Name of a set as Hugging Face takes it: letters, digits and underscores."""
    return re.sub(r"[^A-Za-z0-9_]", "_", set_name)


def _body(edition: Edition) -> str:
    facts, about = edition.facts, edition.about
    parts = [
        f"# {edition.title}",
        about.description or "",
        edition.summary,
        f"Version {edition.version} of {edition.date}; {edition.bytes:,} bytes. "
        "`CHANGELOG.md` says what changed, `report.html` shows the data, and "
        "`rmtools verify .` or `sha256sum --check SHA256SUMS` proves the files.",
        "## What is in it",
        counts_table(facts),
        "## How to read a pixel",
        pixel_table(facts),
        "## Files",
        _files(edition),
        "## Sets",
        _sets(edition),
        "## Uses",
        "Predicting path loss from buildings, vehicles and a transmitter; completing maps from "
        "samples; forecasting maps of moving scenes. "
        + (" ".join(about.uses) if about.uses else ""),
        "Out of scope: planning of real networks, and anything that needs delay, angle, phase or "
        "fading, which these maps do not hold.",
        "## Limitations and biases",
        "\n".join(f"- {text}" for text in [*edition.limitations, *edition.biases]),
        "## How it was made",
        _making(facts),
        "## Licences and attribution",
        _licences(edition),
        "## Citation",
        edition.citation,
        f"```bibtex\n{edition.bibtex}\n```",
    ]
    if about.paper:
        doi = f", https://doi.org/{about.paper_doi}" if about.paper_doi else ""
        parts.append(f"Please cite the paper as well: {about.paper}{doi}.")
    contact = about.contact or about.repository or about.url
    parts += ["## Contact", contact or "See the page where you found this dataset."]
    return "\n\n".join(part for part in parts if part) + "\n"


def counts_table(facts: Facts) -> str:
    """The counts, as a table."""
    rows = [
        ("scenes", f"{facts.scenes:,}"),
        ("trajectories per scene", f"{facts.trajectories:,}"),
        ("transmitters per scene", f"{facts.transmitters:,}"),
        ("frames per sequence", f"{facts.frames:,}"),
        ("sequences", f"{facts.sequences:,}"),
        ("radio maps", f"{facts.maps:,}"),
        *((f"radio maps of kind {kind}", f"{count:,}") for kind, count in facts.kinds.items()),
    ]
    return _table(("what", "number"), rows)


def pixel_table(facts: Facts) -> str:
    """What a pixel is, as a table."""
    rows = [
        ("quantity", f"path loss in {facts.unit}; {facts.sign}"),
        ("missing values", f"{facts.missing}; grey level 0 in images"),
        ("pixel", f"{facts.resolution_m:g} m by {facts.resolution_m:g} m"),
        ("rows and columns", facts.row_order),
        (
            "transmitter",
            f"in the index: metres x east, y north, z above the street, and its row = "
            f"{facts.pixels - 1} - floor(y / {facts.resolution_m:g}), "
            f"col = floor(x / {facts.resolution_m:g})",
        ),
        ("frames", f"{facts.frame_interval_s:g} s apart" if facts.frames else "maps stand alone"),
    ]
    for layout, scale in facts.scales.items():
        rows.append(
            (f"grey images of {layout}", f"{scale['formula']}; level 0: {scale['level_zero']}")
        )
    return _table(("what", "meaning"), rows)


def _files(edition: Edition) -> str:
    rows = [
        (name, layer.description, f"{layer.files:,}", f"{layer.bytes:,}")
        for name, layer in edition.layers.items()
    ]
    table = _table(("layer", "what", "files", "bytes"), rows)
    where = f"Layouts: {', '.join(edition.layouts)}. "
    if edition.shards:
        where += (
            f"Those of many files lie in {len(edition.shards)} tar files below "
            f"`{SHARDS_FOLDER}/`, named for WebDataset, and are counted one by one below; "
            "`rmtools release unpack` restores them as they were. "
        )
    where += "`index/` has a table for every set with one row for every radio map and its files."
    return f"{where}\n\n{table}"


def _sets(edition: Edition) -> str:
    facts = edition.facts
    rows = [
        (name, f"{found.scenes:,}", f"{found.sequences:,}", f"{found.maps:,}")
        for name, found in facts.sets.items()
    ]
    table = _table(("set", "scenes", "sequences", "radio maps"), rows)
    split = facts.split
    if split is None:
        return f"There is no split.\n\n{table}"
    leak = f" **This split leaks**: {split.leaky_reason}." if split.leaky else ""
    return f"Split `{split.name}`: {split.description}{leak}\n\n{table}"


def _making(facts: Facts) -> str:
    rows = [
        (source.source, source.reader, source.date or "-", source.sha256, f"{source.scenes:,}")
        for source in facts.sources[:20]
    ]
    more = f"\n\nand {len(facts.sources) - 20:,} more." if len(facts.sources) > 20 else ""
    table = _table(("source", "reader", "date", "SHA-256", "scenes"), rows)
    return (
        f"Seed {facts.seed}. `recipe.yaml` and the sources below make the same files again with "
        f"the version of rmtools that `manifest.json` names.\n\n{table}{more}"
    )


def _licences(edition: Edition) -> str:
    rows = [(name, ", ".join(map(linked, layer.licence))) for name, layer in edition.layers.items()]
    credit = "\n".join(f"> {words}" for words in edition.facts.attribution)
    more = "`LICENSE.md` says what follows from them."
    return f"{_table(('layer', 'licence'), rows)}\n\nAlways name the source:\n\n{credit}\n\n{more}"


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |"
        for line in lines
    )

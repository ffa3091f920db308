"""``croissant.json``: Croissant 1.1 with GeoCroissant 1.0 and Responsible-AI fields.

Records are radio maps: the record set ``maps`` has one record for every row of the index, with
its set, which the record set ``splits`` explains, and its files; ``images`` yields the images
themselves. Written without mlcroissant, by which the tests load it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rmtools.files import to_json
from rmtools.release.facts import UNASSIGNED
from rmtools.release.index import FOLDER as INDEX_FOLDER
from rmtools.release.licences import address
from rmtools.release.shards import FOLDER as SHARDS_FOLDER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rmtools.release.about import Creator
    from rmtools.release.edition import Edition
    from rmtools.release.manifest import ReleasedFile

FILE_NAME = "croissant.json"

CONFORMS_TO = [
    "http://mlcommons.org/croissant/1.1",
    "http://mlcommons.org/croissant/geo/1.0",
    "http://mlcommons.org/croissant/RAI/1.0",
]

_CR = (
    *("arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "extract", "field"),
    *("fileProperty", "fileObject", "fileSet", "format", "includes", "isArray", "isLiveDataset"),
    *("jsonPath", "key", "md5", "parentField", "path", "recordSet", "references", "regex"),
    *("repeated", "replace", "samplingRate", "separator", "source", "subField", "transform"),
)

CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "geocr": "http://mlcommons.org/croissant/geo/",
    "name": {"@container": "@language"},
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
    **{term: f"cr:{term}" for term in _CR},
}

_SPLIT_URLS = {
    "train": "cr:TrainingSplit",
    "val": "cr:ValidationSplit",
    "validation": "cr:ValidationSplit",
    "test": "cr:TestSplit",
}

_COLUMNS = {
    "kind": ("sc:Text", "What the map is: a layout, its folder, or an array of the store."),
    "scene": ("sc:Text", "Name of the scene."),
    "scene_index": ("cr:Int64", "Number of the scene in the files' names, from 0."),
    "trajectory": ("cr:Int64", "Traffic realisation, from 0."),
    "transmitter": ("cr:Int64", "Transmitter of the scene, from 0."),
    "frame": ("cr:Int64", "Frame of the sequence, from 0."),
    "tx_x_m": ("cr:Float64", "Transmitter, metres east of the tile's south-west corner."),
    "tx_y_m": ("cr:Float64", "Transmitter, metres north of the tile's south-west corner."),
    "tx_z_m": ("cr:Float64", "Transmitter, metres above the street."),
    "tx_row": ("cr:Int64", "Row of the transmitter's pixel, 0 in the north."),
    "tx_col": ("cr:Int64", "Column of the transmitter's pixel, 0 in the west."),
    "image": ("sc:Text", "Grey image of the path gain; in a release of shards its tar member."),
    "pathloss": ("sc:Text", "Path loss in dB as npz; empty where the layout has none."),
}


def croissant_text(edition: Edition, files: Sequence[ReleasedFile]) -> str:
    """The file; `files` are those of the release that were written before it."""
    return to_json(_dataset(edition, files))


def _dataset(edition: Edition, files: Sequence[ReleasedFile]) -> dict[str, Any]:
    facts, about = edition.facts, edition.about
    value: dict[str, Any] = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": edition.name,
        "alternateName": edition.title,
        "description": " ".join(filter(None, (about.description, edition.summary))),
        "conformsTo": CONFORMS_TO,
        "license": [address(spdx) for spdx in edition.licence],
        "url": about.url or (about.doi and f"https://doi.org/{about.doi}") or "manifest.json",
        "version": edition.version,
        "datePublished": edition.date,
        "creator": [_creator(creator) for creator in edition.creators],
        "publisher": [{"@type": "sc:Organization", "name": edition.publisher}],
        "citeAs": edition.bibtex,
        "creditText": "; ".join(facts.attribution),
        "keywords": list(about.keywords),
        "isLiveDataset": False,
        "distribution": _distribution(edition, files),
        "recordSet": _record_sets(edition, files),
        **_geography(edition),
        **_responsible(edition),
    }
    return value


def _creator(creator: Creator) -> dict[str, str]:
    if creator.name is not None:
        return {"@type": "sc:Organization", "name": creator.name}
    found = {
        "@type": "sc:Person",
        "name": " ".join(filter(None, (creator.given_names, creator.family_names))),
    }
    if creator.orcid:
        found["sameAs"] = f"https://orcid.org/{creator.orcid}"
    return found


# -- files ---------------------------------------------------------------------------------------

_FORMATS = {
    "tar": "application/x-tar",
    "csv": "text/csv",
    "json": "application/json",
    "h5": "application/x-hdf5",
    "md": "text/markdown",
}


def _distribution(edition: Edition, files: Sequence[ReleasedFile]) -> list[dict[str, Any]]:
    """The split, single large files and tar files one by one; trees of files as sets."""
    single = [
        file
        for file in files
        if file.path in ("split.json", "LICENSE.md") or file.path.endswith((".tar", ".h5"))
    ]
    found: list[dict[str, Any]] = [
        {
            "@type": "cr:FileObject",
            "@id": file.path,
            "name": file.path,
            "contentUrl": file.path,
            "contentSize": f"{file.size} B",
            "encodingFormat": _FORMATS[file.path.rsplit(".", 1)[1]],
            "sha256": file.sha256,
        }
        for file in single
    ]
    found.append(_file_set("index", "text/csv", [f"{INDEX_FOLDER}/*.csv"], "One table a set."))
    found.append(
        _file_set("scenes", "application/geo+json", ["scenes/*.json"], "Scenes as vectors.")
    )
    if image_set := _images(edition, files):
        found.append(image_set)
    if edition.shards:
        found.append(_inside(edition, "pathloss", "application/x-npz", "*.pathloss.npz"))
    elif "motion" in edition.layouts:
        found.append(
            _file_set(
                "pathloss", "application/x-npz", ["motion/npz/*.npz"], "Path loss in dB, float32."
            )
        )
    return found


def _file_set(name: str, encoding: str, includes: list[str], description: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": name,
        "name": name,
        "description": description,
        "encodingFormat": encoding,
        "includes": includes,
    }


def _inside(edition: Edition, name: str, encoding: str, include: str) -> dict[str, Any]:
    """Files in the tar files of the maps."""
    tars = [s for s in edition.shards if "-environment-" not in s]
    found = _file_set(name, encoding, [include], f"Members of the tar files in {SHARDS_FOLDER}/.")
    return {**found, "containedIn": [{"@id": tar} for tar in tars]}


def _images(edition: Edition, files: Sequence[ReleasedFile]) -> dict[str, Any] | None:
    """The grey images, which every user can open."""
    text = "Grey images of the path gain, 8 bit."
    if edition.shards:
        return _inside(edition, "image-files", "image/png", "*.png")
    globs = [
        glob
        for layout, folder, glob in (
            ("motion", "motion/png/", "motion/png/*.png"),
            ("motion", "motion/gain/", "motion/gain/*.png"),
            ("seer", "seer/gain/", "seer/gain/*.png"),
        )
        if layout in edition.layouts and any(file.path.startswith(folder) for file in files)
    ]
    return _file_set("image-files", "image/png", globs, text) if globs else None


# -- records -------------------------------------------------------------------------------------


def _record_sets(edition: Edition, files: Sequence[ReleasedFile]) -> list[dict[str, Any]]:
    found = [_splits(edition), _maps(edition)]
    if _images(edition, files):
        found.append(_image_records(edition))
    return found


def _splits(edition: Edition) -> dict[str, Any]:
    """The sets and what is in them; the rows stand in the file itself."""
    facts = edition.facts
    rows = [
        {
            "splits/name": name,
            "splits/url": _SPLIT_URLS.get(name.split("_")[0], ""),
            "splits/scenes": found.scenes,
            "splits/sequences": found.sequences,
            "splits/maps": found.maps,
        }
        for name, found in facts.sets.items()
    ]
    leak = ""
    if facts.split is not None:
        leak = f" {facts.split.description}"
        if facts.split.leaky:
            leak += f" It leaks: {facts.split.leaky_reason}."
    kinds = ("sc:Text", "sc:Text", "cr:Int64", "cr:Int64", "cr:Int64")
    return {
        "@type": "cr:RecordSet",
        "@id": "splits",
        "name": "splits",
        "description": f"The sets of the split; maps in none are {UNASSIGNED}.{leak}",
        "dataType": "cr:Split",
        "key": {"@id": "splits/name"},
        "field": [
            {
                "@type": "cr:Field",
                "@id": name,
                "name": name.split("/")[1],
                "description": "Number of it in the set." if kind != "sc:Text" else "The set.",
                "dataType": kind,
            }
            for name, kind in zip(rows[0], kinds, strict=True)
        ],
        "data": rows,
    }


def _maps(edition: Edition) -> dict[str, Any]:
    """One record for every radio map."""
    split = {
        "@type": "cr:Field",
        "@id": "maps/split",
        "name": "split",
        "description": "Set of the map.",
        "dataType": "sc:Text",
        "references": {"field": {"@id": "splits/name"}},
        "source": {
            "fileSet": {"@id": "index"},
            "extract": {"fileProperty": "filename"},
            "transform": {"regex": r"^(.+?)(?:\.csv)?$"},
        },
    }
    columns = [
        {
            "@type": "cr:Field",
            "@id": f"maps/{column}",
            "name": column,
            "description": text,
            "dataType": kind,
            "source": {"fileSet": {"@id": "index"}, "extract": {"column": column}},
        }
        for column, (kind, text) in _COLUMNS.items()
    ]
    facts = edition.facts
    return {
        "@type": "cr:RecordSet",
        "@id": "maps",
        "name": "maps",
        "description": f"{facts.maps} radio maps: which they are, in which set, and their files.",
        "key": [
            {"@id": f"maps/{name}"}
            for name in ("kind", "scene", "trajectory", "transmitter", "frame")
        ],
        "geocr:timeSeriesIndex": {"@id": "maps/frame"},
        "field": [split, *columns],
    }


def _image_records(edition: Edition) -> dict[str, Any]:
    """One record for every image."""
    facts = edition.facts
    return {
        "@type": "cr:RecordSet",
        "@id": "images",
        "name": "images",
        "description": "The images of the maps; `path` is `maps/image` of the same map"
        + (", without the tar file's folder." if edition.shards else "."),
        "key": {"@id": "images/path"},
        "field": [
            {
                "@type": "cr:Field",
                "@id": "images/image",
                "name": "image",
                "description": "Grey levels of the path gain, "
                + "; ".join(str(scale["formula"]) for scale in facts.scales.values())
                + ". Row 0 is north.",
                "dataType": "sc:ImageObject",
                "source": {
                    "fileSet": {"@id": "image-files"},
                    "extract": {"fileProperty": "content"},
                },
                "geocr:bandConfiguration": {
                    "@type": "geocr:BandConfiguration",
                    "geocr:totalBands": 1,
                    "geocr:bandNameList": ["path gain"],
                },
            },
            {
                "@type": "cr:Field",
                "@id": "images/path",
                "name": "path",
                "description": "Name of the image's file.",
                "dataType": "sc:Text",
                "source": {
                    "fileSet": {"@id": "image-files"},
                    "extract": {"fileProperty": "fullpath"},
                },
            },
        ],
    }


# -- place, and responsible use ------------------------------------------------------------------


def _geography(edition: Edition) -> dict[str, Any]:
    """GeoCroissant 1.0: where, how fine, how often."""
    facts = edition.facts
    found: dict[str, Any] = {
        "geocr:spatialResolution": _quantity(facts.resolution_m, "m"),
        "geocr:spatialBias": edition.biases[0],
        "geocr:samplingStrategy": f"Square tiles of {facts.size_m:g} m cut out of each source by "
        "the rules of recipe.yaml: shares of building and road, distance from the border.",
    }
    if facts.crs:
        found["geocr:coordinateReferenceSystem"] = ", ".join(facts.crs)
    if facts.frames:
        found["geocr:temporalResolution"] = _quantity(facts.frame_interval_s, "s")
    if box := facts.box:
        found["spatialCoverage"] = {
            "@type": "Place",
            "geo": {
                "@type": "GeoShape",
                "box": f"{box.south} {box.west} {box.north} {box.east}",
            },
        }
    if dates := sorted(source.date[:10] for source in facts.sources if source.date):
        found["temporalCoverage"] = dates[0] if len(set(dates)) == 1 else f"{dates[0]}/{dates[-1]}"
    return found


def _quantity(value: float, unit: str) -> dict[str, Any]:
    return {"@type": "QuantitativeValue", "value": value, "unitText": unit}


def _responsible(edition: Edition) -> dict[str, Any]:
    """Croissant RAI 1.0."""
    facts, about = edition.facts, edition.about
    return {
        "rai:dataCollection": edition.origin,
        "rai:dataCollectionType": ["Software Collection", "Simulations"],
        "rai:dataCollectionMissingData": facts.missing,
        "rai:dataCollectionRawData": "; ".join(
            f"{source.source} ({source.licence}, SHA-256 {source.sha256})"
            for source in facts.sources[:20]
        ),
        "rai:dataImputationProtocol": "Heights that a source lacks follow from the number of "
        "levels or are a default; recipe.yaml says which, the scenes say where.",
        "rai:dataPreprocessingProtocol": [
            "Buildings and roads were cut to tiles, simplified and given heights and widths."
        ],
        "rai:dataUseCases": ["Training", "Validation", "Testing", *about.uses],
        "rai:dataLimitations": edition.limitations,
        "rai:dataBiases": edition.biases,
        "rai:dataSocialImpact": "Better coverage prediction with fewer measurements; no people "
        "and no real vehicles are in the data.",
        "rai:personalSensitiveInformation": ["None."],
        "rai:dataReleaseMaintenancePlan": about.maintenance
        or "Corrections are published as new versions, see CHANGELOG.md.",
    }

"""How a release is cited and catalogued: CITATION.cff, DataCite and Zenodo metadata."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import yaml

from rmtools.files import to_json
from rmtools.release.licences import KNOWN, address

if TYPE_CHECKING:
    from rmtools.release.about import Creator
    from rmtools.release.edition import Edition

CITATION_NAME = "CITATION.cff"
DATACITE_NAME = "datacite.json"
ZENODO_NAME = ".zenodo.json"


def citation_text(edition: Edition) -> str:
    """``CITATION.cff``, format 1.2.0."""
    about = edition.about
    value: dict[str, Any] = {
        "cff-version": "1.2.0",
        "message": "If you use this dataset, please cite it, and name its sources: "
        + "; ".join(edition.facts.attribution),
        "type": "dataset",
        "title": edition.title,
        "version": edition.version,
        "date-released": edition.date,
        "abstract": edition.summary,
        "authors": [_cff_author(creator) for creator in edition.creators],
        "keywords": list(about.keywords) or None,
    }
    known = [spdx for spdx in edition.licence if spdx in KNOWN]
    if known:
        value["license"] = known[0] if len(known) == 1 else known
    if about.doi:
        value["doi"] = about.doi
    links = {"url": about.url, "repository": about.repository}
    value = {key: item for key, item in (value | links).items() if item}
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=1000)


def _cff_author(creator: Creator) -> dict[str, str]:
    fields = {
        "name": creator.name,
        "family-names": creator.family_names,
        "given-names": creator.given_names,
        "affiliation": creator.affiliation if creator.family_names else None,
        "orcid": creator.orcid and f"https://orcid.org/{creator.orcid}",
    }
    return {key: value for key, value in fields.items() if value}


def datacite_text(edition: Edition) -> str:
    """``datacite.json``: DataCite Metadata Schema 4.5 in JSON."""
    facts, about = edition.facts, edition.about
    value: dict[str, Any] = {
        "creators": [_datacite_creator(creator) for creator in edition.creators],
        "titles": [{"title": edition.title}],
        "publisher": {"name": edition.publisher},
        "publicationYear": edition.date[:4],
        "types": {"resourceType": "Radio maps", "resourceTypeGeneral": "Dataset"},
        "schemaVersion": "http://datacite.org/schema/kernel-4",
        "subjects": [{"subject": word} for word in about.keywords],
        "dates": [{"date": edition.date, "dateType": "Issued"}],
        "language": "en",
        "version": edition.version,
        "sizes": [f"{edition.bytes} bytes", f"{facts.maps} radio maps"],
        "formats": sorted({"application/json", "text/csv", *_formats(edition)}),
        "rightsList": [
            {"rights": spdx, "rightsUri": address(spdx)} if spdx in KNOWN else {"rights": spdx}
            for spdx in edition.licence
        ],
        "descriptions": [
            {
                "description": " ".join(filter(None, (about.description, edition.summary))),
                "descriptionType": "Abstract",
            },
            {
                "description": f"Contains data from: {'; '.join(facts.attribution)}",
                "descriptionType": "Other",
            },
        ],
    }
    if about.doi:
        value["doi"] = about.doi
    if related := _related(edition):
        value["relatedIdentifiers"] = related
    if about.funding:
        value["fundingReferences"] = [{"funderName": about.funding}]
    if box := facts.box:
        value["geoLocations"] = [
            {
                "geoLocationBox": {
                    "westBoundLongitude": box.west,
                    "eastBoundLongitude": box.east,
                    "southBoundLatitude": box.south,
                    "northBoundLatitude": box.north,
                }
            }
        ]
    return to_json(value)


def _formats(edition: Edition) -> list[str]:
    found = {"motion": "image/png", "seer": "image/png", "hdf5": "application/x-hdf5"}
    formats = [found[layout] for layout in edition.layouts if layout in found]
    return [*formats, *(["application/x-tar"] if edition.shards else [])]


def _related(edition: Edition) -> list[dict[str, str]]:
    """Other works: all versions of this one, its paper, its code."""
    about = edition.about
    found = (
        (about.concept_doi, "DOI", "IsVersionOf"),
        (about.paper_doi, "DOI", "IsSupplementTo"),
        (about.repository, "URL", "IsCompiledBy"),
    )
    return [
        {"relatedIdentifier": name, "relatedIdentifierType": kind, "relationType": relation}
        for name, kind, relation in found
        if name
    ]


def _datacite_creator(creator: Creator) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": creator.full_name,
        "nameType": "Personal" if creator.family_names else "Organizational",
    }
    if creator.family_names:
        found["familyName"] = creator.family_names
    if creator.given_names:
        found["givenName"] = creator.given_names
    if creator.affiliation:
        found["affiliation"] = [{"name": creator.affiliation}]
    if creator.orcid:
        found["nameIdentifiers"] = [
            {
                "nameIdentifier": f"https://orcid.org/{creator.orcid}",
                "nameIdentifierScheme": "ORCID",
                "schemeUri": "https://orcid.org",
            }
        ]
    return found


def zenodo_text(edition: Edition) -> str:
    """``.zenodo.json``: what Zenodo reads when a deposit is made."""
    about = edition.about
    text = " ".join(filter(None, (about.description, edition.summary)))
    credit = "; ".join(edition.facts.attribution)
    value: dict[str, Any] = {
        "upload_type": "dataset",
        "title": edition.title,
        "description": f"<p>{escape(text, quote=False)}</p>"
        f"<p>Contains data from: {escape(credit, quote=False)}</p>",
        "creators": [
            {
                key: value
                for key, value in (
                    ("name", creator.full_name),
                    ("affiliation", creator.affiliation),
                    ("orcid", creator.orcid),
                )
                if value
            }
            for creator in edition.creators
        ],
        "access_right": "open",
        "license": edition.licence[0].lower(),
        "keywords": list(about.keywords),
        "version": edition.version,
        "publication_date": edition.date,
        "notes": f"Licences by layer: see LICENSE.md ({', '.join(edition.licence)}).",
    }
    if related := _related(edition):
        value["related_identifiers"] = [
            {
                "identifier": one["relatedIdentifier"],
                "relation": one["relationType"][0].lower() + one["relationType"][1:],
            }
            for one in related
        ]
    return to_json(value)

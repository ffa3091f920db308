"""One edition of a dataset: the facts, the maintainer's words, name, version and date.

All documents of a release are functions of this and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rmtools.release.about import Creator

if TYPE_CHECKING:
    from rmtools.release.about import About
    from rmtools.release.facts import Facts
    from rmtools.release.manifest import Layer, LayerName


@dataclass(frozen=True)
class Edition:
    """What a release is.

    Attributes
    ----------
    name
        Short name of the dataset, as in its recipe.
    version, date
        Of this release.
    facts, about
        What is in it, and what its maintainer says.
    layouts
        Layouts of the maps.
    shards
        Names of its tar files, empty where the layouts lie as they are.
    layers
        Licence, number and size of the files of each layer.
    """

    name: str
    version: str
    date: str
    facts: Facts
    about: About
    layouts: tuple[str, ...]
    shards: tuple[str, ...] = ()
    layers: dict[LayerName, Layer] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Title for people."""
        return self.about.title or self.facts.title

    @property
    def creators(self) -> list[Creator]:
        """Who made it."""
        return self.about.creators or [Creator(name=f"The {self.name} maintainers")]

    @property
    def publisher(self) -> str:
        """Who publishes it."""
        return self.about.publisher or self.creators[0].full_name

    @property
    def licence(self) -> list[str]:
        """Licences of all layers, each once."""
        found = [spdx for layer in self.layers.values() if layer.files for spdx in layer.licence]
        return list(dict.fromkeys(found or self.facts.licence))

    @property
    def bytes(self) -> int:
        """Size of all layers."""
        return sum(layer.bytes for layer in self.layers.values())

    @property
    def summary(self) -> str:
        """What it is in two sentences, with the counts."""
        facts = self.facts
        text = (
            f"{facts.maps:,} radio maps of path loss over {facts.scenes:,} urban scenes of "
            f"{facts.size_m:g} m by {facts.size_m:g} m ({facts.pixels} x {facts.pixels} pixels of "
            f"{facts.resolution_m:g} m), seen from {facts.transmitters:,} transmitters each"
        )
        if facts.frames:
            text += (
                f", in {facts.trajectories:,} traffic realisations of {facts.frames:,} frames at "
                f"{1 / facts.frame_interval_s:g} Hz"
            )
        return f"{text}. {self.origin}"

    @property
    def origin(self) -> str:
        """How the maps were made, in a sentence."""
        solver = self.facts.solver
        made = f"the solver {solver.get('solver', 'not named')}"
        if solver.get("name"):
            made += f" (preset {solver['name']})"
        if isinstance(solver.get("frequency_mhz"), int | float):
            made += f" at {solver['frequency_mhz'] / 1000:g} GHz"
        sources = sorted({source.source for source in self.facts.sources})
        shown = ", ".join(sources[:3]) + (" and others" if len(sources) > 3 else "")
        return f"Computed by {made} on scenes from {shown}."

    @property
    def citation(self) -> str:
        """How to cite it, in one line."""
        names = "; ".join(creator.full_name for creator in self.creators)
        where = f" https://doi.org/{self.about.doi}" if self.about.doi else ""
        return (
            f"{names} ({self.date[:4]}). {self.title} (version {self.version}) [Data set]. "
            f"{self.publisher}.{where}"
        )

    @property
    def bibtex(self) -> str:
        """How to cite it, as BibTeX."""
        names = " and ".join(
            f"{{{_tex(creator.name)}}}" if creator.name else _tex(creator.full_name)
            for creator in self.creators
        )
        lines = [
            f"@misc{{{self.name},",
            f"  author    = {{{names}}},",
            f"  title     = {{{_tex(self.title)}}},",
            f"  year      = {{{self.date[:4]}}},",
            f"  version   = {{{self.version}}},",
            f"  publisher = {{{_tex(self.publisher)}}},",
        ]
        if self.about.doi:
            lines.append(f"  doi       = {{{self.about.doi}}},")
        return "\n".join([*lines, "}"])

    @property
    def limitations(self) -> list[str]:
        """What the data cannot tell, as far as the tool knows, and what the maintainer adds."""
        facts, found = self.facts, []
        if facts.solver.get("solver") == "dpm":
            found.append(
                "Path losses come from the Dominant Path Model, one path to each pixel, and not "
                "from measurements; docs of rmtools say how far it is from WinProp's."
            )
        guessed = int(facts.heights.get("heights_from_default", 0))
        total = int(sum(v for k, v in facts.heights.items() if k.startswith("heights_from")))
        if total:
            found.append(
                f"Of {total:,} building heights {guessed:,} are a default and "
                f"{int(facts.heights.get('heights_from_levels', 0)):,} follow from a number of "
                "levels; roofs are flat, the ground is level, and there are no trees."
            )
        height = facts.solver.get("receiver_height_m")
        where = f"{height:g} m above the street" if isinstance(height, int | float) else "level"
        found.append(f"Receivers stand {where} everywhere; nothing is computed indoors.")
        if facts.split is not None and facts.split.leaky:
            found.append(f"The split leaks as it says: {facts.split.leaky_reason}.")
        return [*found, *self.about.limitations]

    @property
    def biases(self) -> list[str]:
        """Whom and what the data stand for."""
        facts = self.facts
        places = sorted({source.source for source in facts.sources})
        found = [
            f"All scenes come from {len(places)} source{'s' * (len(places) != 1)} "
            f"({', '.join(places[:5])}): building styles, street widths and densities elsewhere "
            "are not represented.",
            "OpenStreetMap knows some districts better than others; missing buildings look like "
            "open ground.",
        ]
        if facts.frames:
            found.append("All vehicles have one size; docs of rmtools say how they move.")
        return found


_TEX = str.maketrans(
    {
        **{character: f"\\{character}" for character in "&%$#_{}"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
    }
)


def _tex(text: str) -> str:
    """Text as TeX reads it."""
    return text.translate(_TEX)

"""Which sets of a split every scene is in, and the colour that stands for them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rmtools.report.markup import MAX_NAME, text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_COLOURS = 8  # classes set0 ... set8 of the style sheet; set0 is "in no set"
_NO_SET = "in no set"
_ORDER = ("train", "val", "test", "test_seen", "test_unseen")


@dataclass(frozen=True)
class SceneSets:
    """Labels such as ``"train"``, ``"train + val"`` and ``"in no set"``.

    Attributes
    ----------
    labels
        All that occur, in order of the sets.
    of
        Index of the label of every scene, in the order of the store; empty without a split.
    """

    labels: tuple[str, ...] = ()
    of: tuple[int, ...] = ()

    def label(self, s: int) -> str:
        """Label of a scene; empty without a split."""
        return self.labels[self.of[s]] if self.of else ""

    def colour(self, s: int) -> str:
        """Class of the style sheet for a scene."""
        return self.colour_of(self.of[s]) if self.of else "set1"

    def colour_of(self, number: int) -> str:
        """Class of the style sheet for a label."""
        if self.labels[number] == _NO_SET:
            return "set0"
        return f"set{min(number + 1, _COLOURS)}"

    def chooser(self, attribute: str, chosen: str = "") -> str:
        """A list to choose a set from, whose `attribute` (``id`` or ``name``) is ``set``."""
        options = "".join(
            f'<option value="{number}"{" selected" if str(number) == chosen else ""}>'
            f"{text(label, MAX_NAME)}</option>"
            for number, label in enumerate(self.labels)
        )
        if not options:
            return ""
        return (
            f'<label>Set <select {attribute}="set"><option value="">all</option>{options}'
            "</select></label>"
        )

    def legend(self) -> str:
        """What the colours mean."""
        items = "".join(
            f'<li><span class="swatch {self.colour_of(number)}"></span>{text(label)}</li>'
            for number, label in enumerate(self.labels)
        )
        return f'<ul class="legend">{items}</ul>' if items else ""


def ordered(sets: Mapping[str, Any]) -> list[str]:
    """Names of sets: the usual ones first."""
    return [name for name in _ORDER if name in sets] + [n for n in sets if n not in _ORDER]


def scene_sets(names: Sequence[str], split: Mapping[str, Any] | None) -> SceneSets:
    """The sets of every scene.

    Parameters
    ----------
    names
        Names of the scenes in the order of the store.
    split
        A split manifest as JSON values.
    """
    if split is None:
        return SceneSets()
    found: dict[str, Any] = split.get("sets") or {}
    member: dict[str, list[str]] = defaultdict(list)
    for name in ordered(found):
        for scene in dict.fromkeys(found[name].get("scenes") or ()):
            member[scene].append(name)
    inside = [" + ".join(member[name]) if name in member else _NO_SET for name in names]
    singles = [label for label in ordered(found) if label in inside]
    mixed = [label for label in dict.fromkeys(inside) if label not in (*singles, _NO_SET)]
    labels = (*singles, *mixed, *([_NO_SET] if _NO_SET in inside else []))
    return SceneSets(labels, tuple(labels.index(label) for label in inside))

"""What changed between releases, by content, and which version that forces."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import pytest
from fakes_release import MAPS, copy_dataset, release
from hypothesis import given, settings
from hypothesis import strategies as st

from rmtools.errors import InputError, RecipeError
from rmtools.release.about import About
from rmtools.release.changes import Changes, Content, compare, diff, require_version
from rmtools.release.manifest import LayerName
from rmtools.run.recipe import load_recipe
from rmtools.run.runner import run

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("no_sync")

MAP = ("motion", "scene", 0, 0, 0)


def content(
    files: dict[str, tuple[str, str]] | None = None, sets: dict[int, str] | None = None
) -> Content:
    """A small content: files with layer and digest, maps by frame with their set."""
    maps = {(*MAP[:4], frame): frozenset([name]) for frame, name in (sets or {0: "train"}).items()}
    return Content({"m": ("maps", "1"), "d": ("documents", "1")} | (files or {}), maps)


@pytest.mark.parametrize(
    ("new", "step"),
    [
        (content(), "none"),
        (content({"d": ("documents", "2")}), "patch"),
        (content({"e": ("documents", "1")}), "patch"),
        (content({"n": ("maps", "1")}), "minor"),
        (content({"n": ("scenes", "1")}), "minor"),
        (content(sets={0: "train", 1: "train"}), "minor"),
        (content(sets={0: "train", 1: "val"}), "minor"),
        (content(sets={0: "train", 1: "test"}), "major"),
        (content(sets={0: "train", 1: "test_unseen"}), "major"),
        (content(sets={0: "val"}), "major"),
        (content({"m": ("maps", "2")}), "major"),
        (content({"m": ("maps", "2"), "n": ("maps", "1")}), "major"),
        (content({"s": ("split", "1")}), "patch"),
        (content({"n": ("environment", "1")}), "minor"),
        (content({"n": ("mixed", "1")}), "minor"),
        (Content({"d": ("documents", "1")}, content().sets), "major"),
        (Content(content().files, {}), "major"),
    ],
)
def test_which_change_forces_which_version(new: Content, step: str) -> None:
    found = compare(content(), new, "x 1.0.0", "x ?")
    assert found.step == step
    assert bool(found.reasons) == (step != "none")


@pytest.mark.parametrize("layer", get_args(LayerName))
def test_every_layer_but_the_texts_may_only_grow(layer: str) -> None:
    text = layer in ("documents", "split")
    old = content({"f": (layer, "1")})
    for new in (content({"f": (layer, "2")}), content()):
        assert compare(old, new, "x", "y").step == ("patch" if text else "major")
    assert compare(content(), old, "x", "y").step == ("patch" if text else "minor")


def test_a_damaged_index_or_change_log_of_the_previous_release_is_not_believed(
    release_dataset: Path, tmp_path: Path
) -> None:
    for name in ("index/train.csv", "CHANGELOG.md"):
        old = tmp_path / name.replace("/", "_")
        release(release_dataset, old)
        lines = (old / name).read_text().splitlines(keepends=True)
        (old / name).write_text("".join(lines[:-1]))
        with pytest.raises(InputError, match="SHA-256"):
            release(release_dataset, tmp_path / "new", "1.0.1", previous=old)


files = st.dictionaries(
    st.sampled_from("abcd"),
    st.tuples(st.sampled_from(["maps", "documents", "split"]), st.sampled_from("12")),
)
maps = st.dictionaries(
    st.tuples(*map(st.just, MAP[:4]), st.integers(0, 3)),
    st.frozensets(st.sampled_from(["train", "test"]), min_size=1),
)
contents = st.builds(Content, files, maps)


@settings(deadline=None)
@given(contents, contents)
def test_counts_add_up_and_backwards_is_the_mirror(a: Content, b: Content) -> None:
    there, back = compare(a, b, "a", "b"), compare(b, a, "b", "a")
    assert (there.step == "none") == (a == b) == (back.step == "none")
    assert sum(x.same + x.altered + x.removed for x in there.layers.values()) == len(a.files)
    assert sum(x.same + x.altered + x.added for x in there.layers.values()) == len(b.files)
    assert there.maps_added == back.maps_removed
    assert sum(there.maps_moved.values()) == sum(back.maps_moved.values())


@pytest.mark.parametrize(
    ("before", "step", "least", "too_small"),
    [
        ("1.2.3", "major", "2.0.0", "1.99.99"),
        ("1.2.3", "minor", "1.3.0", "1.2.99"),
        ("1.2.3", "patch", "1.2.4", "1.2.3"),
        ("1.2.3", "none", "1.2.4", "1.2.3"),
        ("0.2.3", "major", "0.3.0", "0.2.4"),
        ("0.2.3", "minor", "0.2.4", "0.2.3"),
        ("9.9.9", "major", "10.0.0", "9.10.0"),
    ],
)
def test_a_version_that_is_too_small_is_refused(
    before: str, step: str, least: str, too_small: str
) -> None:
    changes = Changes(
        old="x",
        new="y",
        step=step,  # type: ignore[arg-type]
        reasons=["because"],
        layers={},
        maps_added={},
        maps_removed={},
        maps_moved={},
        examples={},
    )
    require_version(least, before, changes)
    with pytest.raises(RecipeError, match=f"Use {least}"):
        require_version(too_small, before, changes)


def test_texts_layouts_and_splits_of_true_releases(release_dataset: Path, tmp_path: Path) -> None:
    first = tmp_path / "first"
    release(release_dataset, first)
    assert diff(first, first).step == "none"

    words = About(description="Now with words.")
    with pytest.raises(RecipeError, match=r"Use 1\.0\.1"):
        release(release_dataset, tmp_path / "r", "1.0.0", previous=first, about=words)
    second = tmp_path / "second"
    release(release_dataset, second, "1.0.1", previous=first, about=words)
    assert diff(first, second).step == "patch"

    third = tmp_path / "third"
    both = ["motion", "store"]
    with pytest.raises(RecipeError, match="minor"):
        release(release_dataset, third, "1.0.2", previous=second, layouts=both)
    release(release_dataset, third, "1.1.0", previous=second, layouts=both)
    text = (third / "CHANGELOG.md").read_text()
    places = [text.index(f"## {version} - 2026-01-02") for version in ("1.1.0", "1.0.1", "1.0.0")]
    assert places == sorted(places)

    with pytest.raises(RecipeError, match="are gone"):
        release(release_dataset, tmp_path / "r", "1.2.0", previous=third)

    dataset = copy_dataset(release_dataset, tmp_path / "dataset")
    recipe = load_recipe(dataset / "recipe.yaml", ["split.kind=random"])
    run(dataset, recipe, overwrite=True)
    with pytest.raises(RecipeError, match=r"maps moved.*Use 2\.0\.0"):
        release(dataset, tmp_path / "r", "1.2.0", previous=third, layouts=both)
    fourth = tmp_path / "fourth"
    release(dataset, fourth, "2.0.0", previous=third, layouts=both)
    found = diff(third, fourth)
    assert found.step == "major"
    assert found.layers["maps"].altered == 0
    assert 0 < sum(found.maps_moved.values()) <= MAPS

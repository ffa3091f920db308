"""The report of a store whose attributes are broken: a clear error, or a page."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from fakes_store import make_store
from hypothesis import given, settings
from hypothesis import strategies as st

from rmtools.errors import InputError, RmtoolsError
from rmtools.report.html import write_report
from rmtools.store import STORE_NAME, Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ARRAYS = ("", "pathloss", "vehicles", "tx_x", "x")
WRONG = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**400), 10**400)
    | st.floats()
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


def places(value: Any, at: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """Keys and indices that lead to every part of a JSON value."""
    yield at
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], (*at, key))


def change(metadata: Any, place: tuple[Any, ...], *value: Any) -> None:
    """Put a value at a place, or remove what is there."""
    *outer, last = place
    for key in outer:
        metadata = metadata[key]
    if value:
        metadata[last] = value[0]
    else:
        del metadata[last]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("attributes")
    make_store(root, n=16, scenes=2, traj=1, tx=1, frames=2)
    return root


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_any_attribute_may_be_missing_or_wrong(shared: Path, data: st.DataObject) -> None:
    file = shared / STORE_NAME / data.draw(st.sampled_from(ARRAYS)) / "zarr.json"
    sound = file.read_text()
    metadata = json.loads(sound)
    place = data.draw(
        st.sampled_from(list(places(metadata["attributes"], ("attributes",)))), label="place"
    )
    change(metadata, place, *data.draw(st.just(()) | st.tuples(WRONG), label="value"))
    file.write_text(json.dumps(metadata))
    try:
        write_report(Store.open(shared), shared / "report.html")
    except RmtoolsError as error:
        assert str(shared) in str(error.where) and error.remedy  # noqa: PT017, PT018
    finally:
        file.write_text(sound)


@pytest.mark.parametrize(
    ("array", "place", "value", "said"),
    [
        ("", ("scenes", 1, "provenance"), [5], "attribute scenes: 1.provenance: "),
        ("", ("scenes", 1, "provenance", "licence"), [], "attribute scenes: 1.provenance.licence"),
        ("", ("scenes", 0, "notes"), ["a"], "attribute scenes: 0.notes: "),
        ("", ("scenes", 0, "easting_m"), ["12"], "attribute scenes: 0.easting_m: "),
        ("", ("scenes", 0, "easting_m"), [1e300], "attribute scenes: 0.easting_m: "),
        ("", ("scenes", 0), [], "attribute scenes: 1 entries for 2 scenes"),
        ("", ("resolution_m",), [], "attribute resolution_m: Field required"),
        ("", ("licence",), ["ODbL"], "attribute licence: "),
        ("", ("row_order",), [], "attribute row_order: Field required"),
        ("pathloss", ("solver",), ["dpm"], "attribute solver: "),
        ("pathloss", ("solver", "receiver_height_m"), [10**400], "a number of 401 digits"),
        ("vehicles", ("vehicle_width_m",), ["wide"], "attribute vehicle_width_m: "),
        ("vehicles", (), [7], "attributes"),
    ],
)
def test_what_is_wrong_is_named(
    tmp_path: Path, array: str, place: tuple[Any, ...], value: list[Any], said: str
) -> None:
    make_store(tmp_path, n=16, scenes=2, traj=1, tx=1, frames=2)
    file = tmp_path / STORE_NAME / array / "zarr.json"
    metadata = json.loads(file.read_text())
    change(metadata, ("attributes", *place), *value)
    file.write_text(json.dumps(metadata))
    with pytest.raises(InputError, match=said) as caught:
        write_report(Store.open(tmp_path), tmp_path / "report.html")
    assert str(tmp_path / STORE_NAME / array) in str(caught.value.where)


def test_many_and_deep_attributes_take_little_room(tmp_path: Path) -> None:
    deep: Any = 1
    for _ in range(300):
        deep = {"in": deep}
    made = make_store(tmp_path, n=16, scenes=1, traj=1, tx=1, frames=2)
    write_report(made, tmp_path / "usual.html")
    file = tmp_path / STORE_NAME / "zarr.json"
    metadata = json.loads(file.read_text())
    metadata["attributes"] |= {"deep": deep, **{f"key {i}": i for i in range(20_000)}}
    file.write_text(json.dumps(metadata))
    page = write_report(Store.open(tmp_path), tmp_path / "report.html").read_text()
    assert len(page) < (tmp_path / "usual.html").stat().st_size + 100_000
    assert "deep.in.in" in page
    assert "19,5" in page  # the row that counts the others

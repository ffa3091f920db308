"""Reading WinProp's text results: true files, every freedom of the format, everything broken."""

from __future__ import annotations

import dataclasses
import re
import tempfile
from pathlib import Path

import numpy as np
import pytest
from fakes_results import TRAJECTORY, Area
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rmtools.errors import InputError
from rmtools.winprop import read_result
from rmtools.winprop.header import ResultGrid

NAN = np.nan


def area_file(folder: Path, area: Area, name: str = "tx0 Path Loss.txt") -> Path:
    path = folder / name
    path.write_bytes(area.data())
    return path


def some_map(rows: int = 6, columns: int = 5, steps: int = 1, seed: int = 0) -> np.ndarray:
    """Gains as they are printed, with a house in the middle."""
    values = -np.random.default_rng(seed).uniform(40, 140, (steps, rows, columns)).round(4)
    values[:, 2:4, 1:3] = NAN
    return values


# -- true files ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "points", "location", "power_dbm", "grid", "steps"),
    [
        (
            "api_2021_outdoor_dpm/TX Power.txt",
            341,
            (340.0, 280.0, 15.0),
            40.0,
            ResultGrid(237.5, 77.5, 1.0, 104, 345),
            (0.0,),
        ),
        (
            "api_2022_indoor_time_variant_trajectory/TX Power(0).txt",
            201,
            (3.5, 7.0, 1.25),
            40.0,
            ResultGrid(0.95, 4.45, 0.1, 51, 51),
            tuple(float(k) for k in range(8)),
        ),
    ],
)
def test_true_files_equal_an_independent_reading(
    reference_data: Path,
    name: str,
    points: int,
    location: tuple[float, ...],
    power_dbm: float,
    grid: ResultGrid,
    steps: tuple[float, ...],
) -> None:
    path = reference_data / "winprop" / name
    result = read_result(path)
    # plain reading: split every line behind the title at its tabs
    lines = path.read_text("cp1252").splitlines()
    title = next(k for k, line in enumerate(lines) if line.startswith("Trajectory"))
    table = [[float(word) for word in line.split("\t")] for line in lines[title + 1 :]]
    assert len(table) == points
    assert result.kind == "trajectory"
    assert result.track is not None
    assert result.track.tolist() == [row[:10] for row in table]
    assert result.values.tolist() == [row[10] for row in table]
    assert result.heights_m == tuple(sorted({row[3] for row in table}))
    assert (result.header.antenna, result.header.location) == ("TX", location)
    assert result.header.power_dbm == pytest.approx(power_dbm, abs=1e-12)
    assert result.header.frequency_mhz == 2000.0
    assert (result.grid, result.time_steps_s) == (grid, steps)
    assert (result.quantity, result.unit) == ("power", "dBm")
    loss, sign = result.pathloss_db()
    assert sign == "gain"
    assert loss.tolist() == pytest.approx([40.0 - row[10] for row in table], abs=1e-9)


# -- the freedoms of the format --------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_what_is_printed_is_what_is_read(data: st.DataObject) -> None:
    shape = data.draw(hnp.array_shapes(min_dims=3, max_dims=3, max_side=7), "shape")
    printed = data.draw(
        hnp.arrays(float, shape, elements=st.integers(-9_999_999, 9_999_999)), "values"
    )
    decimals = data.draw(st.integers(0, 6), "decimals")
    values = printed / 10.0**decimals
    values[np.abs(values) >= 999] = NAN
    steps, rows, columns = shape
    # time steps of one pixel keep their order, pixels come in any
    pixels = data.draw(st.permutations(range(rows * columns)), "order")
    order = np.array([pixel * steps + step for pixel in pixels for step in range(steps)])
    area = Area(
        values,
        corner=data.draw(st.sampled_from([(0.0, 0.0), (-7.5, 3.25), (632394.0, 5806736.0)])),
        resolution_m=data.draw(st.sampled_from([1.0, 0.1, 10.0, 2.5])),
        with_z=data.draw(st.booleans()),
        separator=data.draw(st.sampled_from([" ", "\t", "   ", ", "])),
        line_end=data.draw(st.sampled_from(["\r\n", "\n"])),
        decimals=decimals,
        order=order,
    )
    with tempfile.TemporaryDirectory() as folder:
        result = read_result(area_file(Path(folder), area))
    expected = [[[float(f"{v:.{decimals}f}") for v in row] for row in step] for step in values]
    np.testing.assert_array_equal(result.values, np.array(expected, np.float32))
    assert result.heights_m == (1.5,) * steps
    assert result.header.steps == steps


def test_numbers_of_every_form_are_those_of_python(tmp_path: Path) -> None:
    words = [
        *("-69.1", "69", "+7.25", "-0.0", ".5", "5.", "1e2", "-1.25E-1", "12345678.9"),
        *("0.123456789012345678901", "-999.9999", "nan", "NaN", "N.C.", "1e-30", "00012.50"),
    ]
    area = Area(np.zeros((1, 4, 4)))
    lines = area.rows()
    for k, word in enumerate(words):
        lines[k] = lines[k].rpartition(" ")[0] + " " + word
    path = tmp_path / "tx0 Path Loss.txt"
    path.write_bytes("\r\n".join([*area.header(), "BEGIN_DATA", *lines, "END_DATA\r\n"]).encode())
    printed = [NAN if word == "N.C." else float(word) for word in words]
    read = read_result(path).values[0][::-1].T.ravel()  # x outer, y inner from the south
    np.testing.assert_array_equal(read, np.array(printed, np.float32))


def test_power_in_watt_or_dbm_and_path_loss_of_either_sign_are_one_path_loss(
    tmp_path: Path,
) -> None:
    loss = -some_map()
    for name, values, power, sign in (
        ("tx0 Path Loss.txt", loss, "23.000 dBm Output", "loss"),
        ("tx0 Path Loss.txt", -loss, "1.000 W Output", "gain"),
        ("tx0 Power.txt", 23.0 - loss, "23.000 dBm Output", "gain"),
        ("tx0 Power.txt", 40.0 - loss, "10.000 W Output", "gain"),
        ("tx0 Power.txt", 30.0 - loss, "1000 mW EIRP", "gain"),
        ("tx0 Power(0).txt", 42.15 - loss, "10 W ERP", "gain"),
    ):
        result = read_result(area_file(tmp_path, Area(values, power=power), name))
        found, said = result.pathloss_db()
        assert said == sign
        np.testing.assert_allclose(found, loss, atol=2e-5)


def test_the_height_is_that_of_the_points_not_of_the_header(tmp_path: Path) -> None:
    area = Area(some_map(), height_m=2.25, with_z=True)
    text = area.data().replace(b" 2.25000 ", b" 1.50000 ")
    path = tmp_path / "tx0 Path Loss.txt"
    path.write_bytes(text)
    assert read_result(path).heights_m == (1.5,)
    assert read_result(path).header.heights_m == (2.25,)


def test_values_that_the_interface_marks_as_not_computed_are_nan(tmp_path: Path) -> None:
    values = some_map()
    values[0, 0, 0], values[0, 0, 1] = -1000.0, -999.5
    result = read_result(area_file(tmp_path, Area(values)))
    assert np.isnan(result.values[0, 0, 0])
    assert result.values[0, 0, 1] == -999.5


def test_unknown_header_lines_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "tx0 Path Loss.txt"
    path.write_bytes(b"SOMETHING\tnew  1\r\n* comment\r\n" + Area(some_map()).data())
    assert read_result(path).header.other == {"SOMETHING": "new  1"}


def test_a_file_with_another_name_is_read_when_the_quantity_is_given(tmp_path: Path) -> None:
    path = area_file(tmp_path, Area(some_map()), "result.txt")
    with pytest.raises(InputError, match="name of the file"):
        read_result(path).pathloss_db()
    assert read_result(path, "pathloss").pathloss_db()[1] == "gain"


# -- everything broken -----------------------------------------------------------------------

GOOD = Area(some_map()).data()
TEXT = GOOD.decode()


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (b"", "neither BEGIN_DATA nor a trajectory"),
        (b"Sven\0\1\2" * 100, "neither BEGIN_DATA"),
        (GOOD[: len(GOOD) * 2 // 3], "cut off after"),
        (GOOD[: TEXT.index("END_DATA") - 3], "cut off after"),
        (GOOD[: TEXT.index("BEGIN_DATA") + 30], "cut off: .* cannot hold"),
        (GOOD.replace(b"3.50000 2.50000", b"3.50000 x.50000"), "line 35 .*a number was expected"),
        (GOOD.replace(b"3.50000 2.50000", b"3.50000 2.60000"), "not the centre of a pixel"),
        (GOOD.replace(b"3.50000 2.50000", b"9.50000 2.50000"), "outside the area"),
        (GOOD.replace(b"3.50000 2.50000", b"3.50000 1.50000"), "more rows than there are time"),
        (GOOD.replace(b"3.50000 2.50000 ", b"3.50000 2.50000 1.5 "), "number of columns"),
        (GOOD.replace(b"3.50000 2.50000 ", b"3.50000 2.50000\r\n"), "number of columns"),
        (GOOD.replace(b"N.C.", b"N.C", 1), "a number was expected"),
        (GOOD.replace(b"N.C.", b"-1e40", 1), "a number was expected"),
        (GOOD.replace(b"LOWER_LEFT", b"LOWER_LIFT"), "LOWER_LEFT has 0 numbers, not 2"),
        (GOOD.replace(b"RESOLUTION\t1.0", b"RESOLUTION\t0.0"), "resolution of 0"),
        (GOOD.replace(b"RESOLUTION\t1.0", b"RESOLUTION\tnan"), "which is no number"),
        (GOOD.replace(b"RESOLUTION\t1.0", b"RESOLUTION\t0.7"), "no multiple of"),
        (GOOD.replace(b"UPPER_RIGHT\t5.0", b"UPPER_RIGHT\t99999.0"), "99999 pixels"),
        (GOOD.replace(b"UPPER_RIGHT\t5.0", b"UPPER_RIGHT\t8000.0"), "cut off: .* 8000 x 6 pixels"),
        (GOOD.replace(b"UPPER_RIGHT\t5.0", b"UPPER_RIGHT\t-5.0"), "pixels of"),
        (GOOD.replace(b"TIME_STEP\t0.000", b"TIME_STEP\t0.0\t1.0"), "cut off|rows for|more rows"),
        (GOOD.replace(b"23.000 dBm", b"plenty dBm"), "a number in W or dBm"),
        (GOOD.replace(b"23.000 dBm", b"-2.0 W"), "a number in W or dBm"),
        (GOOD.replace(b"ANTENNA 1\tLOCATION", b"ANTENNA 2\tLOCATION"), "2 antennas together"),
        (GOOD.replace(b"1.500 2.500 1.500", b"1.500 2.500"), "LOCATION has 2 numbers"),
        (b"VERSION\t1\r\n" + GOOD, "VERSION stands twice"),
        (GOOD + b"\r\n1.5 1.5 -60\r\n", "a number was expected"),
        (b"X" * (2**20 + 5), "neither BEGIN_DATA"),
        (GOOD.replace(b"END_DATA", b" " * 100_000), "more than the"),
        (TRAJECTORY[:-2], "cut off"),
        (TRAJECTORY.replace(b"[dBm]", b"[ns]"), "a path loss or a power"),
        (TRAJECTORY.replace(b"\t81.00000", b""), "11 numbers were expected"),
        (TRAJECTORY.replace(b"81.00000", b"nan"), "11 numbers were expected"),
        (TRAJECTORY.replace(b"N.C.", b"inf"), "11 numbers were expected"),
    ],
)
def test_a_broken_file_is_refused_with_what_is_wrong(
    tmp_path: Path, broken: bytes, message: str
) -> None:
    path = tmp_path / "tx0 Path Loss.txt"
    path.write_bytes(broken)
    with pytest.raises(InputError, match=message) as caught:
        read_result(path)
    assert str(caught.value).startswith(str(path))
    assert caught.value.remedy


def test_every_cut_is_noticed(tmp_path: Path) -> None:
    """A file may lose END_DATA, but not a single character of its rows."""
    path = tmp_path / "tx0 Path Loss.txt"
    end = TEXT.index("END_DATA")
    for length in range(end):
        path.write_bytes(GOOD[:length])
        if length < end - 1:  # the rows are whole when the last line has its end
            with pytest.raises(InputError):
                read_result(path)
    path.write_bytes(GOOD[:end])
    np.testing.assert_array_equal(read_result(path).values, some_map().astype(np.float32))


def test_rows_at_another_height_are_refused(tmp_path: Path) -> None:
    text = Area(some_map(), with_z=True).data()
    path = tmp_path / "tx0 Path Loss.txt"
    path.write_bytes(re.sub(rb"2\.50000 2\.50000 1\.5", b"2.50000 2.50000 9.5", text, count=1))
    with pytest.raises(InputError, match="height of the points changes"):
        read_result(path)


def test_path_losses_of_both_signs_are_refused(tmp_path: Path) -> None:
    values = some_map()
    values[0, 0, 0] = 3.0
    with pytest.raises(InputError, match=r"both signs, from -1[0-9.]+ to 3 dB"):
        read_result(area_file(tmp_path, Area(values))).pathloss_db()


def test_received_power_needs_the_transmitted_one(tmp_path: Path) -> None:
    path = area_file(tmp_path, Area(some_map(), drop=("POWER",)), "tx0 Power.txt")
    with pytest.raises(InputError, match="no POWER"):
        read_result(path).pathloss_db()


def test_trajectories_in_watt(tmp_path: Path) -> None:
    path = tmp_path / "TX Power.txt"
    path.write_bytes(TRAJECTORY.replace(b"[dBm]", b"[W]").replace(b"-60.25", b"1e-6"))
    loss, _ = read_result(path).pathloss_db()
    np.testing.assert_allclose(loss, [40.0 + 30.0, NAN])
    path.write_bytes(TRAJECTORY.replace(b"[dBm]", b"[W]"))
    with pytest.raises(InputError, match="0 W or less"):
        read_result(path).pathloss_db()


def test_a_missing_file_and_a_folder_are_rmtools_errors(tmp_path: Path) -> None:
    for path in (tmp_path / "none.txt", tmp_path):
        with pytest.raises(InputError, match=re.escape(str(path))):
            read_result(path)


def test_results_do_not_change(tmp_path: Path) -> None:
    result = read_result(area_file(tmp_path, Area(some_map())))
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.unit = "dBm"  # type: ignore[misc]

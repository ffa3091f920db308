"""Which zeros of a gain map are buildings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from rmtools.city import seer
from rmtools.city.gain_mask import building_mask_of_gain
from rmtools.city.rasters import building_mask
from rmtools.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from rmtools.types import ByteArray

N = 64


def fading(*, bright: int = 60) -> ByteArray:
    """Grey falls to the east by one level a pixel, and is 0 in the eastern third."""
    return np.broadcast_to(np.clip(bright - np.arange(N), 0, 255), (N, N)).astype(np.uint8)


def test_beside_bright_street_every_zero_is_a_building() -> None:
    grey = np.full((N, N), 120, np.uint8)
    grey[10:30, 20:40] = grey[50, 50] = grey[40:, :9] = 0
    np.testing.assert_array_equal(building_mask_of_gain(grey), grey == 0)


def test_fading_street_is_no_building() -> None:
    assert not building_mask_of_gain(fading(bright=40)).any()


def test_a_building_keeps_its_walls_when_street_fades_out_behind_it() -> None:
    grey = np.full((N, N), 90, np.uint8)
    house = np.zeros((N, N), bool)
    house[20:44, 10:30] = True
    shadow = np.clip(20 - np.arange(34), 0, 255)  # behind the house, down to 0 after 20 pixels
    grey[20:44, 30:] = shadow
    grey[20:44, 55:] = 0
    grey[18:20, 50:] = grey[44:46, 50:] = 1
    grey[house] = 0
    np.testing.assert_array_equal(building_mask_of_gain(grey), house)


def test_several_maps_settle_what_one_cannot() -> None:
    house = np.zeros((N, N), bool)
    house[5:20, 5:20] = True
    one, two = np.full((2, N, N), 100, np.uint8)
    one[house] = two[house] = 0
    one[20:30, 5:20] = two[5:20, 20:33] = 0  # each leaves another yard dark
    assert building_mask_of_gain(one).sum() > house.sum()
    np.testing.assert_array_equal(building_mask_of_gain(np.stack([one, two])), house)


def test_north_row_and_east_column_are_street() -> None:
    grey = np.full((N, N), 80, np.uint8)
    grey[:20, 40:] = 0
    mask = building_mask_of_gain(grey)
    assert not mask[0].any()
    assert not mask[:, -1].any()
    assert mask[1:20, 40:-1].all()


def test_nothing_dark_is_nothing_built() -> None:
    assert not building_mask_of_gain(np.full((N, N), 9, np.uint8)).any()


@pytest.mark.parametrize(
    "grey",
    [
        np.zeros((N, N)),
        np.zeros(N, np.uint8),
        np.zeros((0, N, N), np.uint8),
        np.zeros((N, N), bool),
    ],
)
def test_other_than_grey_maps_is_refused(grey: Any) -> None:
    with pytest.raises(InputError, match="gain maps of shape"):
        building_mask_of_gain(grey)


def test_true_maps(reference_data: Path) -> None:
    root = reference_data / "radiomapseer"
    true = building_mask(seer.read_map(root, 0))
    maps = np.stack([seer.read_png(root / f"gain/DPM/0_{k}.png") for k in (0, 1, 10, 11, 12, 13)])
    np.testing.assert_array_equal(building_mask_of_gain(maps), true)
    kept = total = 0
    for grey in maps:
        mask, weak = building_mask_of_gain(grey), (grey == 0) & ~true
        assert np.count_nonzero(true & ~mask) <= 0.001 * true.sum()
        kept, total = kept + np.count_nonzero(mask & weak), total + np.count_nonzero(weak)
    assert total == 677
    assert kept <= 0.6 * total

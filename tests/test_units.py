"""Grey scales and free space: closed forms from the papers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmtools.units import MOTION_SCALE, SEER_SCALE, free_space_loss_1m_db

losses = st.floats(20, 250, allow_nan=False)


@pytest.mark.parametrize(
    ("gain_db", "level"),
    [(-43.32, 244), (-68.32, 178), (-93.32, 111), (-135, 0), (-160, 0), (-39.5, 255), (-20, 255)],
)
def test_motion_levels_follow_equations_5_and_6(gain_db: float, level: int) -> None:
    assert MOTION_SCALE.encode(-gain_db) == level


@pytest.mark.parametrize(
    ("loss_db", "level"), [(47.857, 255), (55.383, 236), (97.857, 126), (116.857, 78), (147, 0)]
)
def test_seer_levels_round_to_nearest(loss_db: float, level: int) -> None:
    assert SEER_SCALE.encode(loss_db) == level


def test_not_computed_becomes_level_zero() -> None:
    assert MOTION_SCALE.encode(np.array([np.nan, 50.0])).tolist()[0] == 0


@given(losses)
def test_decoding_undoes_encoding_within_half_a_level(loss_db: float) -> None:
    for scale in (MOTION_SCALE, SEER_SCALE):
        clipped = np.clip(loss_db, -scale.gain_max_db, -scale.gain_min_db)
        error = abs(float(scale.decode(scale.encode(loss_db))) - clipped)
        assert error <= scale.step_db / 2 + 1e-4


@given(losses, losses)
def test_more_loss_is_never_brighter(a: float, b: float) -> None:
    low, high = sorted((a, b))
    assert MOTION_SCALE.encode(low) >= MOTION_SCALE.encode(high)


@pytest.mark.parametrize(("mhz", "db"), [(5900, 47.857), (2000, 38.461), (3500, 43.321)])
def test_free_space_loss_over_one_metre(mhz: float, db: float) -> None:
    assert free_space_loss_1m_db(mhz) == pytest.approx(db, abs=1e-3)

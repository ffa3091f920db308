"""Numbers are the same to the last bit however the maps are fed, ordered and shared."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rmtools.errors import InputError
from rmtools.metrics import ErrorMetric, Evaluator, Protocol, SsimMetric
from rmtools.units import MOTION_SCALE, SEER_SCALE

N = 12
QUANTITIES = ("mse", "rmse", "nmse", "root_nmse", "mae", "psnr")


def every_metric(batch_size: int) -> Protocol:
    """All quantities over all, images and batches, and two kinds of SSIM."""
    metrics = {
        f"{quantity}_{over}": ErrorMetric(
            quantity=quantity, over=over, peak="truth" if quantity == "psnr" else "one"
        )
        for quantity in QUANTITIES
        for over in ("all", "image", "batch")
    }
    ssims = {
        "ssim": SsimMetric(quantity="ssim"),
        "ssim_uniform": SsimMetric(
            quantity="ssim", window="uniform", size=7, border="mirror", data_range="pair"
        ),
    }
    return Protocol(
        name="every", title="", source="", batch_size=batch_size, metrics=metrics | ssims
    )


def make_maps(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Maps of very different strength, so that sums are not exact in any order."""
    random = np.random.default_rng(seed)
    strength = 10.0 ** random.uniform(-6, 0, count)
    truth = strength[:, None, None] * random.random((count, N, N))
    return truth * random.uniform(0.5, 1.5, truth.shape), truth


def outcome(evaluator: Evaluator) -> dict[str, object]:
    """Everything that an evaluator says."""
    return {
        name: (evaluator.compute(name), evaluator.images(name), evaluator.pixels(name))
        for name in sorted(evaluator.groups)
    } | {"clamped": evaluator.clamped}


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_any_order_batches_and_merge_give_the_same_bits(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 14), label="maps")
    protocol = every_metric(data.draw(st.integers(1, 6), label="batch size"))
    pred, truth = make_maps(count, data.draw(st.integers(0, 99), label="seed"))
    labels = [f"frame {k % 3}" for k in range(count)]
    near = np.arange(N)[:, None] < data.draw(st.integers(0, N), label="near") + 0 * np.arange(N)
    masks = truth > np.quantile(truth, 0.1)

    def feed(evaluator: Evaluator, chosen: list[int]) -> None:
        evaluator.update(
            pred[chosen],
            truth[chosen],
            mask=masks[chosen],
            group=[labels[k] for k in chosen],
            parts={"near": near, "far": ~near},
            index=chosen,
        )

    whole = Evaluator(protocol, scale=SEER_SCALE)
    feed(whole, list(range(count)))

    order = data.draw(st.permutations(range(count)), label="order")
    workers = [Evaluator(protocol, scale=SEER_SCALE) for _ in range(3)]
    while order:
        size = data.draw(st.integers(1, len(order)), label="size")
        feed(workers[data.draw(st.integers(0, 2), label="worker")], list(order[:size]))
        order = order[size:]
    first, second, third = data.draw(st.permutations(workers), label="merge")
    second.merge(third)
    first.merge(second)
    assert outcome(first) == outcome(whole)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=5))
def test_positions_go_on_by_themselves(sizes: list[int]) -> None:
    pred, truth = make_maps(sum(sizes), 1)
    protocol = every_metric(4)
    whole, pieces = Evaluator(protocol), Evaluator(protocol)
    whole.update(pred, truth)
    start = 0
    for size in sizes:
        pieces.update(pred[start : start + size], truth[start : start + size])
        start += size
    assert outcome(pieces) == outcome(whole)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("order", ["C", "F"])
def test_memory_layout_and_float_type_do_not_matter(dtype: type, order: str) -> None:
    pred, truth = (maps.astype(np.float16) for maps in make_maps(3, 2))
    plain, other = Evaluator(), Evaluator()
    plain.update(pred, truth)
    as_given = [np.asarray(maps.astype(dtype), order=order) for maps in (pred, truth)]
    other.update(as_given[0][:, ::1], as_given[1])
    assert outcome(other) == outcome(plain)


def test_compute_may_be_called_in_between() -> None:
    pred, truth = make_maps(7, 3)
    asked, silent = Evaluator(every_metric(3)), Evaluator(every_metric(3))
    for p, t in zip(pred, truth, strict=True):
        asked.update(p, t)
        assert asked.compute() == asked.compute()
        silent.update(p, t)
    assert outcome(asked) == outcome(silent)


def test_a_last_batch_that_is_not_full_counts_by_its_maps() -> None:
    protocol = Protocol(
        name="x",
        title="",
        source="",
        batch_size=2,
        metrics={"nmse": ErrorMetric(quantity="nmse", over="batch")},
    )
    truth = np.array([1.0, 1.0, 0.5])[:, None, None] * np.ones((3, N, N))
    evaluator = Evaluator(protocol)
    evaluator.update(truth * np.array([0.5, 0.5, 1.0])[:, None, None], truth)
    assert evaluator.compute() == {"nmse": (2 * 0.25 + 1 * 0) / 3}


def test_memory_does_not_grow() -> None:
    evaluator = Evaluator(every_metric(5))
    pred, truth = make_maps(50, 4)
    for _ in range(4):
        evaluator.update(pred, truth)
    assert len(evaluator._open) == 0
    assert len(evaluator.groups) == 1
    pooled = evaluator._groups["all"].pooled
    assert pooled.squared_error.units.bit_length() < 1200


def test_a_map_that_was_seen_is_noticed_where_it_matters() -> None:
    pred, truth = make_maps(6, 5)
    for again in (1, 5):  # in a batch that is complete, and in one that is not
        evaluator = Evaluator(every_metric(4))
        evaluator.update(pred, truth)
        with pytest.raises(InputError, match=f"position {again} .* twice"):
            evaluator.update(pred[0], truth[0], index=again)
    one, other = Evaluator(every_metric(4)), Evaluator(every_metric(4))
    one.update(pred, truth)
    other.update(pred[:2], truth[:2])
    for first, second in ((one, other), (other, one)):
        with pytest.raises(InputError, match=r"position 0 .* twice"):
            first.merge(second)
    assert outcome(other)["clamped"] == 0
    open_ones = [Evaluator(every_metric(4)) for _ in range(2)]
    for evaluator in open_ones:
        evaluator.update(pred[:1], truth[:1], index=2)
    with pytest.raises(InputError, match=r"position 2 .* twice"):
        open_ones[0].merge(open_ones[1])
    Evaluator().update(pred, truth, index=[0, 0, 0, 0, 0, 0])  # no batches: of no consequence


def test_only_alike_evaluators_merge() -> None:
    with pytest.raises(InputError, match="cannot be added"):
        Evaluator("radiomamba").merge(Evaluator())
    with pytest.raises(InputError, match="cannot be added"):
        Evaluator(scale=SEER_SCALE).merge(Evaluator(scale=MOTION_SCALE))


@pytest.mark.parametrize("index", [-1, [0], [0, 1, 2]])
def test_positions_are_checked(index: int | list[int]) -> None:
    pred, truth = make_maps(2, 6)
    with pytest.raises(InputError, match="positions"):
        Evaluator().update(pred, truth, index=index)

"""The arithmetic of training: order of samples, lengths, rates, changes to recipes."""

from __future__ import annotations

import math
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rmtools.models.recipe import Optimiser, Recipe, Schedule
from rmtools.models.training.options import change_recipes, read_settings
from rmtools.models.training.schedule import Progress, length, rate_factor

from rmtools.errors import RecipeError

pytest.importorskip("torch")

from rmtools.models.training.data import Batches, evenly, in_order, with_fewer_scenes

from rmtools.splits.manifest import SplitSet, make_manifest


@given(
    samples=st.integers(2, 40),
    batch=st.integers(1, 50),
    devices=st.sampled_from([1, 2]),
    seed=st.integers(0, 3),
)
def test_every_epoch_has_every_sample_at_most_once(
    samples: int, batch: int, devices: int, seed: int
) -> None:
    batch *= devices
    about = length(Recipe(batch=batch, epochs=2), samples, devices)
    parts = [
        list(Batches(samples, about, 0, 2 * about.per_epoch, (seed, "x"), rank, devices))
        for rank in range(devices)
    ]
    whole = [[*chain(*pieces)] for pieces in zip(*parts, strict=True)]
    for epoch in range(2):
        numbers = [*chain(*whole[epoch * about.per_epoch : (epoch + 1) * about.per_epoch])]
        assert all(number // samples == epoch for number in numbers)
        assert len(set(numbers)) == len(numbers) == about.per_epoch * about.batch
        assert samples - len(numbers) < about.batch
    # what is in a batch depends on its number alone
    for first in range(2 * about.per_epoch):
        later = list(Batches(samples, about, first, 2 * about.per_epoch, (seed, "x"), 0, devices))
        assert later == parts[0][first:]


def test_order_differs_between_epochs_seeds_and_phases() -> None:
    about = length(Recipe(batch=64, epochs=2), 64)
    first, second = Batches(64, about, 0, 2, (0, "x"))
    assert sorted(first) == list(range(64)) != first
    assert [number - 64 for number in second] != first
    assert next(iter(Batches(64, about, 0, 1, (1, "x")))) != first
    assert next(iter(Batches(64, about, 0, 1, (0, "y")))) != first


def test_lengths() -> None:
    about = length(Recipe(batch=8, accumulate=3, epochs=4), 50)
    assert (about.per_epoch, about.steps, about.check_every) == (6, 8, 2)
    assert about.epochs(8) == 4.0
    assert length(Recipe(batch=8, epochs=4, steps=5), 50).steps == 5
    assert length(Recipe(batch=8, steps=500), 3).batch == 3  # all there are
    assert length(Recipe(batch=8, steps=5, check_every=100), 50).check_every == 5
    for recipe, samples, devices in ((Recipe(), 50, 1), (Recipe(batch=3, steps=1), 50, 2)):
        with pytest.raises(RecipeError):
            length(recipe, samples, devices)


@pytest.mark.parametrize(
    ("schedule", "step", "epoch", "reductions", "expected"),
    [
        (Schedule(), 70, 9, 9, 1.0),
        (Schedule("step", factor=0.1, every=30), 0, 29, 0, 1.0),
        (Schedule("step", factor=0.1, every=30), 0, 60, 0, 0.01),
        (Schedule("cosine", factor=0.2), 0, 0, 0, 1.0),
        (Schedule("cosine", factor=0.2), 50, 0, 0, 0.6),
        (Schedule("cosine", factor=0.2), 100, 0, 0, 0.2),
        (Schedule("polynomial", factor=0.0, power=0.96), 75, 0, 0, 0.25**0.96),
        (Schedule("polynomial", factor=0.3), 75, 0, 0, 0.3),
        (Schedule("plateau", factor=0.5), 75, 0, 3, 0.125),
        (Schedule("cosine", factor=0.0, warm_up=20), 9, 0, 0, 0.5),
        (Schedule("cosine", factor=0.0, warm_up=20), 19, 0, 0, 1.0),
        (Schedule("cosine", factor=0.0, warm_up=20), 60, 0, 0, 0.5),
    ],
)
def test_rates(schedule: Schedule, step: int, epoch: int, reductions: int, expected: float) -> None:
    assert rate_factor(schedule, step, 100, epoch, reductions) == pytest.approx(expected)


def test_plateaus_and_patience_are_counted() -> None:
    progress, schedule = Progress(), Schedule("plateau", every=2)
    seen = []
    for step, score in enumerate([5.0, 4.0, 4.0, math.nan, 6.0, 3.0, 3.0, 3.0]):
        progress.step = step
        best = progress.judge(score, schedule)
        seen.append((best, progress.waiting, progress.reductions))
    assert seen == [
        *[(True, 0, 0), (True, 0, 0), (False, 1, 0), (False, 2, 1)],
        *[(False, 3, 1), (True, 0, 1), (False, 1, 1), (False, 2, 2)],
    ]
    assert (progress.best_score, progress.best_step) == (3.0, 5)


def test_recipes_are_changed_as_a_whole_or_by_phase() -> None:
    recipes = (Recipe(steps=5), Recipe(Optimiser("adamw"), steps=6))
    settings = (
        *("recipe.optimiser.learning_rate=1e-3", "recipe.2.steps=9", "recipe.steps=7"),
        *("recipe.optimiser.betas=[0.5, 0.9]", "recipe.clip=null", "model.width=32"),
        *("model.rate=1e-3", "model.name=wide", "model.sizes=[1, 2]"),
    )
    options, changes = read_settings(settings)
    assert options == {"width": 32, "rate": 1e-3, "name": "wide", "sizes": [1, 2]}
    first, second = change_recipes(recipes, changes)
    assert (first.steps, second.steps) == (7, 9)
    assert second.optimiser == Optimiser("adamw", 1e-3, (0.5, 0.9))
    assert recipes[0].steps == 5
    for bad in ("batch=3", "recipe=3", "recipe.batch", "model.=3", "recipe.batch=[1"):
        with pytest.raises(RecipeError):
            read_settings([bad])
    for key, value in (("ema", 1.0), ("clip", 0), ("schedule.kind", "cosinus"), ("1.x", 1)):
        with pytest.raises(RecipeError):
            change_recipes(recipes, {key: value})


def test_smaller_training_sets_lie_in_larger_ones() -> None:
    sets = {
        "train": SplitSet(scenes=[f"s{k}" for k in range(10)], trajectories=[0, 2], sequences=60),
        "test": SplitSet(scenes=["t"], sequences=3),
    }
    split = make_manifest(
        sets, name="x", method="random", description="for a test", dataset="x", leaky=False
    )
    chosen = [with_fewer_scenes(split, "train", k, None, 4) for k in range(1, 11)]
    for k, part in enumerate(chosen, start=1):
        scenes = part.sets["train"].scenes
        assert len(scenes) == k
        assert part.sets["train"].sequences == 6 * k
        assert part.sets["test"] == sets["test"]
        assert k == 10 or set(scenes) < set(chosen[k].sets["train"].scenes)
    assert chosen[-1].sets == split.sets
    assert with_fewer_scenes(split, "train", None, 0.3, 4) == chosen[2]
    assert with_fewer_scenes(split, "train", 3, None, 5) != chosen[2]


def test_samples_to_look_at_are_spread_and_shared() -> None:
    assert evenly(10, 4) == [0, 2, 5, 7]
    assert evenly(3, 4) == evenly(3, None) == [0, 1, 2]
    assert in_order(range(7), 3) == [[0, 1, 2], [3, 4, 5], [6]]
    parts = [in_order(range(7), 2, rank, 2) for rank in range(2)]
    assert sorted(chain(*parts[0], *parts[1])) == list(range(7))

"""Global magnitude pruning against a plain Python sort, and distances and rates against loops."""

from __future__ import annotations

import math
import random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from repro import nets
from repro.pruning import (
    Masks,
    hamming_distance,
    layer_rates,
    magnitude_masks,
    prunable_names,
    prune_further,
    sparsity_of,
    weight_std,
)

SHAPES = {"a.weight": (4, 3, 3, 3), "b.weight": (2, 4, 3, 3), "c.weight": (5, 2, 1, 1)}


def random_weights(seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=generator) for name, shape in SHAPES.items()}


def random_masks(seed: int) -> Masks:
    return {name: weight > 0.3 for name, weight in random_weights(seed).items()}


def flat(tensors: dict[str, Tensor]) -> list[float]:
    return [value for tensor in tensors.values() for value in tensor.reshape(-1).tolist()]


def naive(weights: dict[str, Tensor], sparsity: float) -> list[bool]:
    """Sort every position by (|w|, position), drop the first ones."""
    values = flat(weights)
    ranked = sorted(range(len(values)), key=lambda i: (abs(values[i]), i))
    gone = set(ranked[: round(sparsity * len(values))])
    return [i not in gone for i in range(len(values))]


@pytest.mark.parametrize("sparsity", [0.0, 0.2, 0.5, 0.8, 0.99, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_masks_are_those_of_a_sort_over_all_layers_together(seed: int, sparsity: float) -> None:
    weights = random_weights(seed)
    masks = magnitude_masks(weights, sparsity)
    assert flat(masks) == naive(weights, sparsity)
    assert {name: tuple(mask.shape) for name, mask in masks.items()} == SHAPES
    assert all(mask.dtype == torch.bool for mask in masks.values())


@pytest.mark.parametrize("before", [0.0, 0.3, 0.5])
def test_pruning_further_removes_exactly_the_number_asked_for_and_restores_nothing(before: float) -> None:
    weights = random_weights(0)
    weights["c.weight"].zero_()  # these remain at first, and rank above what is pruned
    masks = magnitude_masks({**weights, "c.weight": weights["c.weight"] + 9}, before)
    for sparsity in (0.2, 0.5, 0.9):
        further = prune_further(weights, masks, sparsity)
        assert not any((further[name] & ~mask).any() for name, mask in masks.items())
        assert sparsity_of(further) == pytest.approx(max(before, sparsity), abs=1e-2)
    assert all(torch.equal(mask, further[name]) for name, mask in prune_further(weights, further, 0.1).items())


@given(
    values=st.lists(st.sampled_from([-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0]), min_size=2, max_size=30),
    cut=st.integers(1, 29),
    sparsity=st.floats(0, 1),
)
def test_ties_fall_to_the_earlier_weight_and_the_count_is_exact(
    values: list[float], cut: int, sparsity: float
) -> None:
    cut = min(cut, len(values) - 1)
    weights = {"first": torch.tensor(values[:cut]), "second": torch.tensor(values[cut:])}
    masks = magnitude_masks(weights, sparsity)
    assert flat(masks) == naive(weights, sparsity)
    assert flat(masks).count(False) == round(sparsity * len(values))


def test_one_layer_of_small_weights_goes_before_any_large_one() -> None:
    """Global, not per layer: nothing is reserved for a layer."""
    weights = {"small": torch.full((10,), 0.01), "large": torch.full((10,), 1.0)}
    masks = magnitude_masks(weights, 0.5)
    assert not masks["small"].any()
    assert masks["large"].all()


def test_a_large_negative_weight_stays() -> None:
    """The trap: ``w < eps`` for ``|w| < eps``."""
    weights = {"w": torch.tensor([-5.0, 0.1, -0.2, 4.0])}
    assert magnitude_masks(weights, 0.5)["w"].tolist() == [True, False, False, True]


def test_signs_do_not_matter() -> None:
    weights = random_weights(3)
    flipped = {name: -weight for name, weight in weights.items()}
    assert flat(magnitude_masks(flipped, 0.7)) == flat(magnitude_masks(weights, 0.7))


def test_layout_in_memory_does_not_matter() -> None:
    weights = random_weights(4)
    last = {name: weight.contiguous(memory_format=torch.channels_last) for name, weight in weights.items()}
    assert flat(magnitude_masks(last, 0.7)) == flat(magnitude_masks(weights, 0.7))


@pytest.mark.parametrize(("arch", "count"), [("resnet20", 267_264), ("resnet56", 847_872)])
def test_every_convolution_but_the_first_is_prunable_and_nothing_else(arch: str, count: int) -> None:
    model = nets.build(arch, 0)
    names = prunable_names(model)
    parameters = dict(model.named_parameters())
    assert sum(parameters[name].numel() for name in names) == count
    left = {name for name in parameters if name not in names}
    assert {"conv.weight", "linear.weight", "linear.bias"} <= left
    assert all("bn" in name for name in left - {"conv.weight", "linear.weight", "linear.bias"})


def test_80_per_cent_of_resnet20_is_an_exact_count() -> None:
    model = nets.build("resnet20", 0)
    names = prunable_names(model)
    weights = {name: w for name, w in model.named_parameters() if name in names}
    removed = sum(int((~mask).sum()) for mask in magnitude_masks(weights, 0.8).values())
    assert removed == 213_811  # 0.8 * 267,264 = 213,811.2


def test_what_is_pruned_stays_so_while_the_rate_grows() -> None:
    weights, gone = random_weights(5), set()
    for sparsity in (0.2, 0.5, 0.5, 0.8, 0.95):
        masks = magnitude_masks(weights, sparsity)
        now = {i for i, kept in enumerate(flat(masks)) if not kept}
        assert gone <= now
        assert len(now) == round(sparsity * len(flat(masks)))
        generator = torch.Generator().manual_seed(len(now))  # training goes on: what is left moves anywhere
        moved = {name: torch.randn(w.shape, generator=generator) for name, w in weights.items()}
        gone, weights = now, {name: moved[name] * masks[name] for name in weights}


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_weight_that_is_not_finite_is_refused(bad: float) -> None:
    weights = random_weights(6)
    weights["b.weight"][1, 2, 0, 1] = bad
    with pytest.raises(ValueError, match="not finite"):
        magnitude_masks(weights, 0.5)


@pytest.mark.parametrize("sparsity", [-0.01, 1.01, 80, math.nan])
def test_a_rate_that_is_none_is_refused(sparsity: float) -> None:
    with pytest.raises(ValueError, match="sparsity"):
        magnitude_masks(random_weights(0), sparsity)


@pytest.mark.parametrize("seed", range(3))
def test_rates_and_distances_are_counts_by_loop(seed: int) -> None:
    first, second = random_masks(seed), random_masks(seed + 100)
    for name, mask in first.items():
        kept = mask.reshape(-1).tolist()
        assert layer_rates(first)[name] == pytest.approx(sum(not k for k in kept) / len(kept), abs=1e-12)
    a, b = flat(first), flat(second)
    assert sparsity_of(first) == pytest.approx(sum(not k for k in a) / len(a), abs=1e-12)
    expected = sum(x != y for x, y in zip(a, b, strict=True)) / len(a)
    assert hamming_distance(first, second) == pytest.approx(expected, abs=1e-12)
    assert hamming_distance(first, second) == hamming_distance(second, first)


def test_distance_is_0_to_itself_and_1_to_the_complement() -> None:
    masks = random_masks(0)
    assert hamming_distance(masks, masks) == 0
    assert hamming_distance(masks, {name: ~mask for name, mask in masks.items()}) == 1


def test_masks_of_different_networks_are_not_compared() -> None:
    masks = random_masks(0)
    with pytest.raises(ValueError, match="same network"):
        hamming_distance(masks, {name: masks[name] for name in list(masks)[1:]})


def test_w_std_divides_by_n() -> None:
    source = random.Random(1)
    values = [source.gauss(0.2, 0.05) for _ in range(50)]
    mean = sum(values) / 50
    expected = math.sqrt(sum((v - mean) ** 2 for v in values) / 50)
    assert weight_std({"w": torch.tensor(values)})["w"] == pytest.approx(expected, rel=1e-6)


def test_a_module_is_pruned_in_what_may_be_pruned_and_a_state_dict_is_refused() -> None:
    """A state_dict would rank biases and BatchNorm among the weights, without a word."""
    model = nets.build("resnet20", 0)
    masks = magnitude_masks(model, 0.8)
    assert list(masks) == prunable_names(model)
    assert sparsity_of(masks) == pytest.approx(0.8, abs=1e-5)
    with pytest.raises(ValueError, match=r"bn\.weight is a bias or of BatchNorm.*pass the module"):
        magnitude_masks(model.state_dict(), 0.8)
    for nothing in ({}, torch.nn.Linear(3, 2)):
        with pytest.raises(ValueError, match="nothing to prune"):
            magnitude_masks(nothing, 0.8)

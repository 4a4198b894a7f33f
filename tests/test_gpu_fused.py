"""The fused kernels as a GPU runs them: `pytest -m gpu`. Skipped elsewhere; test_fused.py has what an interpreter
shows."""

from __future__ import annotations

from dataclasses import replace

import lanes as trials
import pytest
import torch
import torch.nn.functional as F

from repro.engine.lanes import Lane, Lanes, loss_and_logits
from repro.engine.strategies.fused import Fused
from repro.engine.strategies.fused.network import FusedNetwork

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
BF16 = torch.bfloat16
RECIPE = replace(trials.recipe(), batch_size=64)
STATE = ("weights", "momentum", "statistics")


def started(count: int, rate: float = 0.05) -> Lanes:
    """Lanes at the start of an epoch, each with a network and an order of its own, every second one pruned."""
    dataset = trials.bench("cuda")
    lanes = Lanes("resnet20", count, dataset, RECIPE, BF16)
    subset = dataset.subset(trials.data(200))
    for lane in lanes.all:
        lane.network.reset(lane.number)
        if lane.number % 2:
            lane.network.prune(0.8)
        lane.enter(subset)
        lane.start_epoch(subset.draw_epoch(f"lane {lane.number}", 0, True), rate)
    return lanes


def gradients(lane: Lane, size: int, precision: torch.dtype) -> list[torch.Tensor]:
    """Of a lane's next images, by autograd: in float64, or as eager steps take them."""
    index, top, left, flip = lane._order[:, :size]
    images, labels = lane._lanes.images.gather(index, top, left, flip), lane.labels[index]
    if precision == BF16:
        lane.leaves.refresh()
        loss, _ = loss_and_logits(lane.leaves.model, images, labels, precision)
        return list(torch.autograd.grad(loss, lane.leaves.tensors))
    model = lane.network.model.double().train()
    loss = F.cross_entropy(model(images.double()), labels)
    return list(torch.autograd.grad(loss, list(model.parameters())))


@pytest.mark.parametrize("whole", [True, False])
def test_its_gradients_are_as_good_as_autocasts(whole: bool) -> None:
    ours, eager, exact = started(2), started(2), started(2)
    size = ours.recipe.batch_size if whole else ours.recipe.batch_size - 1
    network = FusedNetwork(ours)
    network.count.fill_(size)
    network.pack()
    network.forward()
    network.backward()
    for number in range(2):
        exactly = torch.cat([g.flatten() for g in gradients(exact.all[number], size, torch.float64)])
        theirs = torch.cat([g.flatten() for g in gradients(eager.all[number], size, BF16)])
        mine = torch.cat([g.flatten() for g in ours.all[number].network.gradient_views])
        off, their_off = ((g.double() - exactly).norm() / exactly.norm() for g in (mine, theirs))
        assert off < 1.3 * their_off


def test_a_lanes_bits_are_its_own_and_the_same_again() -> None:
    """Alone, alone again, and in lane 3 of 8 beside one that diverges and others that wait now and then."""
    first, ends = started(1), []
    for count, place in ((1, 0), (1, 0), (8, 3)):
        lanes = started(count)
        lanes.all[place].network.load(first.all[0].network.snapshot()())
        lanes.order[:, place].copy_(first.order[:, 0])
        lanes.rows.weights[2 : count - 5].fill_(float("nan"))
        strategy, full = Fused(lanes), lanes.recipe.batch_size
        for step in range(6):
            lanes.position.zero_()
            strategy.train(lanes.all if step % 2 else [lanes.all[place]], 1, full if step < 5 else full // 3)
        ends.append([getattr(lanes.rows, name)[place] for name in STATE] + [lanes.loss_sum[place]])
    for end in ends[1:]:
        assert all(torch.equal(a, b) for a, b in zip(ends[0], end, strict=True))
    assert all(torch.isfinite(tensor).all() for tensor in ends[0])


@pytest.mark.skipif(
    torch.cuda.is_available() and torch.cuda.get_device_capability()[0] < 9, reason="Hopper and newer"
)
def test_launches_that_begin_early_change_no_bit() -> None:
    """Programmatic dependent launch: forty steps, full and smaller batches, lanes that wait."""
    ends = []
    for early in (False, True):
        lanes = started(5)
        strategy, full = Fused(lanes, pdl=early), lanes.recipe.batch_size
        for step in range(40):
            lanes.position.zero_()
            strategy.train(lanes.all if step % 3 else lanes.all[:2], 1, full if step % 2 else full // 3)
        ends.append([getattr(lanes.rows, name) for name in STATE] + [lanes.loss_sum, lanes.correct])
    assert all(torch.equal(a, b) for a, b in zip(*ends, strict=True))
    assert all(torch.isfinite(tensor).all() for tensor in ends[1])


def test_a_mask_holds_in_its_graph_and_idle_lanes_stand_still() -> None:
    lanes = started(4, rate=0.1)
    strategy = Fused(lanes)
    full = lanes.recipe.batch_size
    strategy.train(lanes.all, 1, full)
    lanes.all[0].network.prune(0.8)  # after the graph was recorded
    still = [getattr(lanes.rows, name)[3].clone() for name in STATE]
    for _ in range(5):
        strategy.train(lanes.all[:3], 1, full // 4)
        for lane in lanes.all:
            assert not lane.network.weights[lane.network.mask == 0].any()
    assert all(torch.equal(getattr(lanes.rows, name)[3], own) for name, own in zip(STATE, still, strict=True))

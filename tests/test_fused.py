"""The fused kernels in Triton's interpreter, on a CPU: a whole step against autograd in float64, a lane's bits
whatever its wave, and what becomes of masks, smaller batches and lanes that wait. test_gpu.py has what only a GPU
shows."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from repro import nets
from repro.config.recipe import Recipe
from repro.data.batches import PAD
from repro.engine.calibration import random_lanes
from repro.engine.device import Device
from repro.engine.lanes import Lane, Lanes
from repro.engine.strategies import first_valid
from repro.engine.strategies.fused import Fused
from repro.engine.strategies.fused.layout import StageTiles, Tile

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="kernels are compiled here: test_gpu.py")
BATCH = 4
RECIPE = Recipe(1, BATCH, 0.1, (), 0.1, 0.9, 1e-4, augment=True, evaluate_every=1)
SMALL = {
    16: StageTiles(Tile(True, 64, 32), Tile(True, 64, 32)),
    32: StageTiles(Tile(False, 64, 16), Tile(False, 64, 16), Tile(True, 32, 16)),
    64: StageTiles(Tile(False, 32, 8), Tile(False, 32, 8), Tile(False, 32, 8)),
}
"""All images in one program: the interpreter takes as long for a large operation as for a small one."""
OTHER = {
    16: StageTiles(Tile(False, 32, 16), Tile(True, 16, 16, groups=2), Tile(False, 64, 32, groups=2)),
    32: StageTiles(Tile(True, 16, 8, groups=2), Tile(True, 16, 8), Tile(False, 16, 16, groups=4)),
    64: StageTiles(Tile(True, 16, 8), Tile(False, 16, 4, groups=2), Tile(True, 16, 8)),
}
"""Strips, groups, both forms, fewer images than a program takes."""


@pytest.fixture(autouse=True)
def large_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of everything else, too: few programs."""
    from repro.engine.strategies.fused import network

    for name, size in (("STEM_PIXELS", 1024), ("STRIDED_PIXELS", 128), ("ELEMENTS", 65536), ("SUMMED", 8192)):
        monkeypatch.setattr(network, name, size)


@pytest.fixture(autouse=True)
def resnet14(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two blocks a stage: everything that a deeper one has."""
    monkeypatch.setitem(nets.BLOCKS, "resnet14", 2)
    nets.shapes.cache_clear()
    yield
    nets.shapes.cache_clear()


def started(count: int) -> Lanes:
    """Lanes on random images, each with a rate and a mask of its own."""
    lanes = random_lanes("resnet14", count, RECIPE, torch.bfloat16, Device(torch.device("cpu"), ""))
    for lane in lanes.all:
        lane.rate.fill_(0.01 * (lane.number + 1))
        lane.network.momentum.normal_(std=0.01, generator=torch.Generator().manual_seed(lane.number))
        if lane.number % 2:
            lane.network.prune(0.8)
    return lanes


def network(lanes: Lanes, dtype: torch.dtype = torch.float32, tiles: dict[int, StageTiles] = SMALL):  # type: ignore[no-untyped-def]
    """The kernels' network; in float32 the interpreter shows every deviation that rounding would hide."""
    import triton_interpreter  # noqa: F401

    from repro.engine.strategies.fused import network as fused

    return fused.FusedNetwork(lanes, dtype=dtype, tiles=tiles)


def batch(lane: Lane, count: int) -> tuple[Tensor, Tensor]:
    """The next images of a lane's epoch, float64, and their labels."""
    lanes = lane._lanes
    here = int(lane.position)
    index, top, left, flip = lanes.order[:, lane.number, here : here + count]
    return lanes.images.gather(index, top, left, flip).double(), lane.labels[index]


def reference(lane: Lane, count: int) -> tuple[dict[str, Tensor], dict[str, Tensor], nn.Module, float, int]:
    """By autograd in float64: every convolution's output, every gradient, the model with its running statistics
    moved on, the loss of the batch and its right answers."""
    model = nets.build("resnet14", 0).double().train()
    tensors = {name: tensor.double() for name, tensor in lane.network.model.state_dict().items()}
    model.load_state_dict(tensors)
    outputs: dict[str, Tensor] = {}
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda m, i, out, name=name: outputs.__setitem__(name, out.detach()))
    images, labels = batch(lane, count)
    logits = model(images)
    loss = F.cross_entropy(logits, labels)
    gradients = torch.autograd.grad(loss, list(model.parameters()))
    named = dict(zip((name for name, _ in model.named_parameters()), gradients, strict=True))
    return outputs, named, model, float(loss.detach()), int((logits.argmax(1) == labels).sum())


def apart(ours: Tensor, exact: Tensor) -> float:
    """||ours - exact|| / ||exact||."""
    return float((ours.double() - exact).norm() / exact.norm().clamp_min(1e-30))


@pytest.mark.parametrize("tiles", [SMALL, pytest.param(OTHER, marks=pytest.mark.slow)], ids=["small", "other"])
def test_a_step_is_autograds_in_float64(tiles: dict[int, StageTiles]) -> None:
    """Outputs, gradients, statistics, losses, right answers and Eq. 1, of a whole and of a smaller batch at
    once."""
    lanes, counts = started(2), (BATCH, 3)
    before = {name: getattr(lanes.rows, name).clone() for name in ("weights", "momentum")}
    ours = network(lanes, tiles=tiles)
    exact = [reference(lane, count) for lane, count in zip(lanes.all, counts, strict=True)]
    ours.count.copy_(torch.tensor(counts, dtype=torch.int32))
    ours.pack()
    ours.forward()
    ours.backward()
    gradients = lanes.rows.gradients.clone()
    convolutions = [y for stage in ours.stages for y in stage.y]
    for lane, count, (outputs, named, model, _, _) in zip(lanes.all, counts, exact, strict=True):
        for y, (name, out) in zip(convolutions, outputs.items(), strict=True):
            assert apart(y[lane.number, :count].permute(0, 3, 1, 2), out) < 1e-5, name
        # A number that is 0 in float64 and 1e-7 here, or the other way round, switches a ReLU, and moves the
        # gradients of all layers before it by a per cent; those behind it are exact.
        views = zip(lane.network.gradient_views, named.items(), strict=True)
        far = {name: apart(view, gradient) for view, (name, gradient) in views}
        assert max(far.values()) < 0.03, far
        assert max([*far.values()][-len(far) // 4 :]) < 1e-4, far
        for own, (name, buffer) in zip(lane.network.model.buffers(), model.named_buffers(), strict=True):
            assert apart(own, buffer) < 1e-5, name
    ours.update()
    ours.add_up()
    for lane, count, (*_, loss, right) in zip(lanes.all, counts, exact, strict=True):
        row, rate = lane.number, float(lane.rate)
        old, velocity, mask = before["weights"][row], before["momentum"][row], lanes.rows.mask[row]
        assert int(lane.position) == count
        velocity = 0.9 * velocity.double() + gradients[row].double() + 1e-4 * old.double()
        torch.testing.assert_close(lanes.rows.momentum[row], (velocity * mask).float())
        torch.testing.assert_close(lanes.rows.weights[row], ((old.double() - rate * velocity) * mask).float())
        assert not lanes.rows.weights[row][mask == 0].any()
        assert float(lane.loss_sum) == pytest.approx(count * loss, rel=1e-5)
        assert int(lane.correct) == right


def test_a_lanes_bits_are_its_own() -> None:
    """Alone, or between one that has diverged and one that waits: the same, to the last bit."""
    together, alone = started(3), started(1)
    waiting = [getattr(together.rows, name)[2].clone() for name in ("weights", "momentum", "statistics")]
    alone.all[0].network.load(together.all[1].network.snapshot()())
    for name in ("order", "labels", "rate"):
        own = getattr(together, name)
        getattr(alone, name).copy_(own[:, 1:2] if name == "order" else own[1:2])
    together.rows.weights[0].fill_(float("nan"))
    for lanes, counts in ((together, (BATCH, BATCH, 0)), (alone, (BATCH,))):
        ours = network(lanes, torch.bfloat16)
        ours.count.copy_(torch.tensor(counts, dtype=torch.int32))
        ours.step()
    for name in ("weights", "momentum", "statistics"):
        assert torch.equal(getattr(together.rows, name)[1], getattr(alone.rows, name)[0]), name
    for own, before in zip(
        (together.rows.weights, together.rows.momentum, together.rows.statistics), waiting, strict=True
    ):
        assert torch.equal(own[2], before)
    assert together.position.tolist() == [BATCH, BATCH, 0]
    assert together.loss_sum[1] == alone.loss_sum[0]
    assert torch.isfinite(alone.rows.weights).all()
    assert torch.isnan(together.loss_sum[0])  # a Run that diverges is seen


def test_evaluation_counts_what_the_network_answers_right() -> None:
    """On running statistics, images in the middle, more of them than a batch."""
    lanes = started(1)
    lanes.rows.statistics.mul_(torch.rand(lanes.rows.statistics.shape) + 0.5)
    (lane,) = lanes.all
    index = lane.eval_indices[: BATCH + 1]
    middle = torch.full_like(index, PAD)
    images = lanes.images.gather(index, middle, middle, torch.zeros_like(index)).double()
    answers = lane.network.model.double().eval()(images).argmax(1)
    lane.network.model.float()
    lane.labels[index[1:3]] = answers[1:3]  # some are right
    strategy = Fused(lanes)
    strategy._network = ours = network(lanes)
    strategy._prepare, strategy._evaluate = ours.prepare_evaluation, ours.evaluate
    lane.start_evaluation()
    strategy.evaluate_batch([lane], BATCH + 1)
    assert int(lane.eval_correct) == int((answers == lane.labels[index]).sum())
    assert int(lane.eval_position) == BATCH + 1


@pytest.mark.slow
@pytest.mark.parametrize(("capability", "pdl"), [(80, 0), (90, 0), (90, 1)])
def test_every_kernel_compiles_without_a_gpu(capability: int, pdl: int, tmp_path: Path) -> None:
    """For Ampere and Hopper, as `compile_ahead` does it."""
    env = {**os.environ, "TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)}
    module, numbers = "repro.engine.strategies.fused.ahead", [128, capability, pdl, 0, 1]
    command = [sys.executable, "-m", module, "resnet20", *map(str, numbers)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_where_it_does_not_fit_the_next_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    lanes = random_lanes("resnet14", 1, RECIPE, torch.float32, Device(torch.device("cpu"), ""))
    with pytest.warns(UserWarning, match="'fused' failed: RuntimeError: takes networks of CIFAR-10 in bfloat16"):
        assert first_valid(["fused"], lanes, lanes.all).name == "eager"
    monkeypatch.delenv("TRITON_INTERPRET")
    with pytest.warns(UserWarning, match="'fused' failed: RuntimeError: takes a GPU"):
        assert first_valid(["fused"], started(1), started(1).all).name == "eager"

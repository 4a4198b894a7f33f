"""The strategies of a step, on a CPU."""

from __future__ import annotations

import shutil
import warnings

import pytest
import torch

from repro import nets, params
from repro.data import synthetic
from repro.data.batches import EpochOrder
from repro.engine import device as devices
from repro.engine import step as steps
from repro.engine.bench import make_bench
from repro.engine.network import Network
from repro.engine.step import Batches, CompiledStepper, EagerStepper, Stepper, make_stepper
from repro.experiments import Study
from repro.workspace import find_root


@pytest.fixture(scope="module")
def make() -> object:
    """Makes `Batches` of a fresh ResNet20 on synthetic images, at the start of an epoch."""
    study = Study(params.settings(find_root(None) / "params.yaml", "smoke"), synthetic.FINGERPRINT)
    run = study.dense("resnet20", 0)
    bench = make_bench(synthetic.generate(), run.data, devices.choose("cpu"))

    def batches(precision: torch.dtype) -> Batches:
        network = Network("resnet20", 0, bench.device.torch)
        network.model.train()
        made = Batches(network, bench.train, run.recipe, precision)
        made.start_epoch(EpochOrder.draw("test", 0, len(bench.train), True), 0.05)
        return made

    return batches


def test_small_runs_and_float32_are_eager(make) -> None:  # type: ignore[no-untyped-def]
    assert isinstance(make_stepper(make(torch.bfloat16), 1000), EagerStepper)
    assert isinstance(make_stepper(make(torch.float32), 10**9), EagerStepper)


def test_epoch_sums_count_every_image_once(make) -> None:  # type: ignore[no-untyped-def]
    batches = make(torch.float32)
    sizes = [64, 64, 10]
    for size in sizes:
        batches.update(size)
    assert int(batches.position) == sum(sizes)
    assert 0 <= int(batches.correct) <= sum(sizes)
    assert 1.5 < float(batches.loss_sum) / sum(sizes) < 6  # a mean over images, near log 10 at the start


@pytest.mark.parametrize("fault", ["fails", "disagrees"])
def test_a_bad_strategy_is_refused_aloud(make, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:  # type: ignore[no-untyped-def]
    class Bad(EagerStepper):
        name = f"bad one that {fault}"

        def step(self, size: int) -> None:
            super().step(size)
            if fault == "fails":
                raise RuntimeError("no such kernel")
            self._batches.network.weights.mul_(1.5)

    monkeypatch.setattr(steps, "_strategy", lambda *_: Bad)
    batches = make(torch.bfloat16)
    before = [t.clone() for t in (*batches.network.model.state_dict().values(), batches.network.momentum)]
    with pytest.warns(UserWarning, match="bad one"):
        stepper: Stepper = make_stepper(batches, 10**9)
    assert stepper.name == "eager"
    after = [*batches.network.model.state_dict().values(), batches.network.momentum]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True)), "it left a trace"


def test_the_check_leaves_no_trace(make) -> None:  # type: ignore[no-untyped-def]
    batches = make(torch.bfloat16)
    before = [t.clone() for t in (*batches.network.model.state_dict().values(), *batches.order, batches.rate)]
    assert steps._disagreement(batches, EagerStepper(batches)) == 0
    after = [*batches.network.model.state_dict().values(), *batches.order, batches.rate]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("g++"), reason="no compiler")
def test_compiled_steps_are_as_exact_as_eager_ones(make) -> None:  # type: ignore[no-untyped-def]
    batches = make(torch.bfloat16)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        stepper = make_stepper(batches, 10**9)
    assert isinstance(stepper, CompiledStepper)
    exact = gradient(batches, steps.loss_and_logits, torch.float64)
    for precision in (torch.float32, torch.bfloat16):
        eager, compiled = (
            float((gradient(batches, loss_of, precision) - exact).norm() / exact.norm())
            for loss_of in (steps.loss_and_logits, steps._compiled_loss())
        )
        # Rounding grows through twenty layers at the start; what is fused rounds less, not more.
        assert compiled < 1.5 * eager, precision


def gradient(batches: Batches, loss_of: steps.LossOf, precision: torch.dtype) -> torch.Tensor:
    """Gradient of the loss on the first 64 images, of a fresh copy of the network, float64."""
    model = nets.build("resnet20", 0).to(memory_format=torch.channels_last)
    model = model.double() if precision == torch.float64 else model
    index, top, left, flip = (values[:64] for values in batches.order)
    images = batches.images.gather(index, top, left, flip)
    images = images.double() if precision == torch.float64 else images
    if precision == torch.float64:
        loss = torch.nn.functional.cross_entropy(model(images), batches.images.labels[index])
    else:
        loss, _ = loss_of(model, images, batches.images.labels[index], precision)
    loss.backward()
    return torch.cat([p.grad.reshape(-1).double() for p in model.parameters() if p.grad is not None])

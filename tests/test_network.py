"""Eq. 1 on flat tensors against torch.optim.SGD; masks, states, initialisation, layout."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from repro import nets
from repro.config.recipe import Recipe
from repro.engine.network import MOMENTUM, Network, masks_of
from repro.errors import UsageError
from repro.pruning import magnitude_masks, sparsity_of

CPU = torch.device("cpu")
RECIPE = Recipe(
    epochs=4, batch_size=8, lr=0.1, milestones=(2, 3), gamma=0.1, momentum=0.9, weight_decay=1e-2,
    augment=True, evaluate_every=1,
)  # fmt: skip


def network(seed: int = 0, arch: str = "resnet20") -> Network:
    return Network(arch, seed, CPU)


def images(seed: int, count: int = 4) -> Tensor:
    return torch.randn(count, 3, 32, 32, generator=torch.Generator().manual_seed(seed))


def random_gradients(net: Network, seed: int) -> None:
    """Fill the gradients as a backward pass would, through the parameters."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in net.model.parameters():
        assert parameter.grad is not None
        parameter.grad.copy_(torch.randn(parameter.shape, generator=generator))


def train(net: Network, seed: int, recipe: Recipe = RECIPE) -> None:
    """One real step: BatchNorm statistics, gradients, update."""
    net.model.train()
    labels = torch.randint(0, 10, (4,), generator=torch.Generator().manual_seed(seed))
    torch.nn.functional.cross_entropy(net.model(images(seed)), labels).backward()
    net.update(recipe, torch.tensor(0.1))


def equal(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return set(first) == set(second) and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(("momentum", "decay"), [(0.9, 1e-2), (0.9, 0.0), (0.0, 1e-2), (0.5, 0.1)])
def test_updates_are_those_of_torch_sgd(momentum: float, decay: float) -> None:
    net = network()
    recipe = replace(RECIPE, momentum=momentum, weight_decay=decay)
    reference = {name: p.detach().clone().contiguous() for name, p in net.model.named_parameters()}
    sgd = torch.optim.SGD(list(reference.values()), lr=0.1, momentum=momentum, weight_decay=decay)
    for step, rate in enumerate([0.1, 0.1, 0.1, 0.01, 0.01, 0.001]):
        random_gradients(net, step)
        for name, parameter in net.model.named_parameters():
            reference[name].grad = parameter.grad.clone()  # type: ignore[union-attr]
        sgd.param_groups[0]["lr"] = rate
        sgd.step()
        net.update(recipe, torch.tensor(rate))
        for name, parameter in net.model.named_parameters():
            torch.testing.assert_close(parameter.detach(), reference[name], rtol=1e-5, atol=1e-6)


def test_an_update_clears_the_gradients() -> None:
    net = network()
    random_gradients(net, 0)
    net.update(RECIPE, torch.tensor(0.1))
    assert not net.gradients.any()
    assert all(p.grad is not None and not p.grad.any() for p in net.model.parameters())


def test_a_real_backward_pass_reaches_the_flat_tensors() -> None:
    """The parameters are views: `update` reads what autograd accumulates, and the model sees the outcome."""
    net = network()
    labels = torch.tensor([1, 2, 3, 4])
    torch.nn.functional.cross_entropy(net.model(images(1)), labels).backward()
    gathered = torch.cat([p.grad.reshape(-1).abs().sort().values for p in net.model.parameters()])  # type: ignore[union-attr]
    assert gathered.any()
    torch.testing.assert_close(gathered.sum(), net.gradients.abs().sum())
    before = net.model(images(1)).detach()
    net.update(RECIPE, torch.tensor(0.1))
    assert not torch.allclose(net.model(images(1)), before)


def test_a_mask_holds_at_every_step_and_the_rest_moves_as_without() -> None:
    net, dense = network(), network()
    for step in range(3):  # momentum under the weights that go
        for each in (net, dense):
            random_gradients(each, step)
            each.update(RECIPE, torch.tensor(0.1))
    net.prune(0.8)
    masks = net.masks()
    assert masks is not None
    for step in range(3, 8):
        state = net.snapshot()()
        for name, mask in masks.items():
            assert not state[name][~mask].any()
            assert not state[MOMENTUM + name][~mask].any()
            assert state[name][mask].all()
        for each in (net, dense):
            random_gradients(each, step)
            each.update(RECIPE, torch.tensor(0.1))
    # The gradients do not depend on the weights here, so what stays has gone the dense network's way.
    ours, theirs = net.checkpoint(), dense.checkpoint()
    for name, mask in masks.items():
        assert torch.equal(ours[name][mask], theirs[name][mask])
    assert torch.equal(ours["linear.weight"], theirs["linear.weight"])


@pytest.mark.parametrize("sparsity", [0.2, 0.8])
def test_pruning_is_global_magnitude_pruning_of_the_weights_as_they_are(sparsity: float) -> None:
    net = network()
    expected = magnitude_masks({name: w.clone() for name, w in net.prunable_weights().items()}, sparsity)
    net.prune(sparsity)
    masks = net.masks()
    assert masks is not None
    assert equal(masks, expected)
    assert sparsity_of(masks) == pytest.approx(sparsity, abs=2e-6)


@pytest.mark.parametrize("second", [0.9, 0.5])
def test_what_is_pruned_stays_so(second: float) -> None:
    """Whatever is asked for next: more, or less than is gone already."""
    net = network()
    net.prune(0.8)
    before = net.masks()
    net.prune(second)
    after = net.masks()
    assert before is not None
    assert after is not None
    assert not any(bool((after[name] & ~before[name]).any()) for name in before)


def test_a_state_restores_weights_momentum_masks_and_statistics_bit_for_bit() -> None:
    net = network(seed=0)
    train(net, 1)
    net.prune(0.5)
    train(net, 2)
    state = net.snapshot()()
    other = network(seed=1)
    train(other, 3)
    other.load(state)
    assert equal(other.snapshot()(), state)
    assert any(t.any() for name, t in state.items() if name.startswith(MOMENTUM))
    assert not torch.equal(state["bn.running_mean"], network().checkpoint()["bn.running_mean"])
    train(net, 4)
    train(other, 4)
    assert equal(other.snapshot()(), net.snapshot()())


def test_a_state_is_a_copy() -> None:
    net = network()
    net.prune(0.5)
    state = net.snapshot()()
    before = {name: tensor.clone() for name, tensor in state.items()}
    train(net, 1)
    assert equal(state, before)
    assert all(tensor.is_contiguous() for tensor in state.values())


def test_a_checkpoint_starts_with_no_momentum() -> None:
    net, other = network(seed=0), network(seed=1)
    train(net, 1)
    train(other, 2)
    other.load(net.checkpoint())
    assert not other.momentum.any()
    assert equal(other.checkpoint(), net.checkpoint())


def test_loading_a_dense_checkpoint_takes_a_mask_off() -> None:
    dense, net = network(seed=0).checkpoint(), network(seed=1)
    net.prune(0.8)
    net.load(dense)
    assert net.masks() is None
    random_gradients(net, 1)
    net.update(RECIPE, torch.tensor(0.1))
    assert all(w.all() for w in net.prunable_weights().values())


def test_a_checkpoint_says_what_a_mask_is_and_what_can_be_pruned() -> None:
    net = network()
    assert masks_of(net.checkpoint()) is None
    weights = net.checkpoint()
    assert equal({name: weights[name] for name in net.prunable}, net.prunable_weights())
    net.prune(0.8)
    masks = masks_of(net.checkpoint())
    assert masks is not None
    assert list(masks) == net.prunable


def test_a_checkpoint_of_another_network_is_refused() -> None:
    with pytest.raises(UsageError, match="another network"):
        network().load(network(arch="resnet56").checkpoint())


def test_initialisation_follows_from_the_seed_alone() -> None:
    torch.manual_seed(1)
    first = network(seed=3).checkpoint()
    torch.manual_seed(2)
    torch.rand(5)
    assert equal(network(seed=3).checkpoint(), first)
    assert not torch.equal(network(seed=4).checkpoint()["conv.weight"], first["conv.weight"])


def test_building_leaves_the_global_random_state_alone() -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    nets.build("resnet20", 7)
    assert torch.equal(torch.rand(3), expected)


def test_convolutions_are_kaiming_normal_over_their_outputs() -> None:
    for name, weight in network().layer_weights().items():
        if weight.dim() == 4 and weight.numel() > 5000:
            expected = (2 / (9 * weight.shape[0])) ** 0.5
            assert float(weight.std()) == pytest.approx(expected, rel=0.05), name


def test_convolution_weights_lie_channels_last_in_one_flat_tensor() -> None:
    net = network()
    assert net.weights.numel() == sum(p.numel() for p in net.model.parameters())
    start = 0
    for parameter in net.model.parameters():
        assert parameter.data_ptr() == net.weights.data_ptr() + 4 * start
        if parameter.dim() == 4:
            assert parameter.is_contiguous(memory_format=torch.channels_last)
        start += parameter.numel()


def test_the_views_hold_the_weights_that_were_drawn() -> None:
    """Layout changes nothing that the network computes."""
    plain, net = nets.build("resnet20", 5).eval(), network(seed=5)
    net.model.eval()
    with torch.inference_mode():
        torch.testing.assert_close(net.model(images(1)), plain(images(1)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("arch", "parameters"), [("resnet20", 269_722), ("resnet56", 853_018)])
def test_shortcuts_have_no_parameters(arch: str, parameters: int) -> None:
    """6n + 1 convolutions, a BatchNorm behind each, one linear layer: as He et al. count, nothing besides."""
    model = nets.build(arch, 0)
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert not [name for name, _ in model.named_parameters() if "shortcut" in name or "downsample" in name]


def test_a_block_without_its_convolutions_is_option_a() -> None:
    """Every second pixel; zeros for the new channels, on both sides as in He et al.'s code for CIFAR-10."""
    model = nets.build("resnet20", 0).eval()
    block = model.blocks[3]  # type: ignore[index]
    torch.nn.init.zeros_(block.bn2.weight)
    x = torch.rand(2, 16, 32, 32, generator=torch.Generator().manual_seed(1))
    out = block(x)
    assert out.shape == (2, 32, 16, 16)
    assert torch.equal(out[:, 8:24], x[:, :, ::2, ::2])
    assert not out[:, :8].any()
    assert not out[:, 24:].any()


@pytest.mark.parametrize("arch", ["resnet20", "resnet56"])
def test_ten_logits_an_image(arch: str) -> None:
    with torch.inference_mode():
        assert nets.build(arch, 0).eval()(images(0, count=3)).shape == (3, 10)


def test_an_unknown_network_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match=r"resnet21.*resnet20"):
        nets.build("resnet21", 0)

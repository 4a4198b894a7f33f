"""The user's network: copies of it, its weights by name, a trial run, and which of its weights are pruned."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from repro import files
from repro.config.recipe import Recipe
from repro.engine.device import Device
from repro.engine.lanes import forward
from repro.errors import UsageError, one_line
from repro.ticket.datasets import Samples

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
FIRST, CLASSIFIER = "the first convolution", "the classifier"
BESIDE = "a linear layer beside convolutions"
COMPUTED = "computed from other tensors, by weight_norm for instance"
SHOWN = 3  # names in a note


@dataclass(frozen=True)
class Setup:
    """What all trainings of a search share: the network as given, recipe, device and data."""

    model: nn.Module
    recipe: Recipe
    device: Device
    precision: torch.dtype
    train: Samples
    test: Samples


def tensors_of(model: nn.Module) -> dict[str, Tensor]:
    """Return parameters and buffers by name; training changes also the buffers that state_dict leaves out."""
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def on_cpu(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return contiguous copies on the CPU, as safetensors needs them."""
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}


def fill(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Set the network's parameters and buffers to ``tensors``."""
    with torch.no_grad():
        for name, tensor in tensors_of(model).items():
            tensor.copy_(tensors[name])


def copied(model: nn.Module) -> nn.Module:
    """Copy ``model``; copy a weight that a module computes from others before it runs (weight_norm) by value."""
    held = [value for module in model.modules() for value in vars(module).values()]
    computed = [value for value in held if isinstance(value, Tensor) and not value.is_leaf]
    return copy.deepcopy(model, {id(tensor): tensor.detach().clone() for tensor in computed})


def fingerprint(model: nn.Module) -> str:
    """Return the network's class and a hash of its modules, parameters and buffers."""
    modules = re.sub(r"0x[0-9a-f]+", "", repr(model))  # without addresses
    return f"{type(model).__name__}-{files.sha256(modules.encode() + save(on_cpu(tensors_of(model))))[:12]}"


def inspect_model(setup: Setup) -> tuple[int, list[str], list[str]]:
    """Run two examples of each set through a copy of the network, as in training and as in evaluation.

    Returns the number of classes, the layers in the order in which they ran, and notes on the data. Raises
    `UsageError` if the network does not turn the examples into logits [N, classes].
    """
    if any(isinstance(p, UninitializedParameter) for p in setup.model.parameters()):
        raise UsageError("the network has lazy layers: run one batch through it first, so that it has weights")
    train, test = ([*side.two.shape] for side in (setup.train, setup.test))
    if setup.recipe.augment and len(train) != 4:
        raise UsageError(
            f"recipe.augment crops and flips images [N, C, H, W], these are {train}: set augment=False"
        )
    called: list[str] = []
    try:
        model = copied(setup.model).to(setup.device.torch)
        for name, module in model.named_modules():
            module.register_forward_pre_hook(lambda *_, name=name: called.append(name))
    except Exception as error:
        raise UsageError(f"the network cannot be copied: {one_line(error)}") from None
    classes = _classes(model.train(), setup.train, setup.precision)
    called.clear()  # a network may run other layers when it trains
    tested = _classes(model.eval(), setup.test, setup.precision)
    if tested != classes:
        shapes = f"{[train[0], classes]} for train_set and {[test[0], tested]} for test_set"
        raise UsageError(f"the network gives logits {shapes}: as many classes were expected")
    sizes = (
        f"train_set has inputs {train[1:]}, test_set has {test[1:]}: the network takes both, and every accuracy "
        "is that on the second; transforms that resize make them alike"
    )
    return classes, called, [sizes] if train[1:] != test[1:] else []


def _classes(model: nn.Module, side: Samples, precision: torch.dtype) -> int:
    """Return the number of logits that ``model`` gives for each of two examples."""
    what = f"the network does not turn inputs {[*side.two.shape]} of {side.name} into logits [N, classes]"
    try:
        with torch.no_grad():
            logits = forward(model, side.two, precision)
    except Exception as error:  # whatever the user's network does
        raise UsageError(f"{what}: {one_line(error)}") from None
    if logits.dim() != 2 or len(logits) != len(side.two):
        raise UsageError(f"{what}: it gives {[*logits.shape]}")
    return logits.shape[1]


def choose_prunable(
    model: nn.Module, asked: Sequence[str] | None, called: Sequence[str] = ()
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Choose the weights ``asked`` for, or those that the paper prunes (appendix A).

    These are all convolutions but the first and one that classifies; in a network without a second convolution,
    all linear layers but the last. ``called`` has the names of layers in the order in which they ran (default: the
    order of the network). A layer that shares the weight of the first or of the classifier is not pruned either.

    Returns their names in the network's order, and the reason for every other weight of two dimensions or more (no
    reasons for weights asked for). Raises `UsageError` if nothing is left to prune, or if a name is not that of a
    trainable weight.
    """
    if asked is not None:
        named = dict(model.named_parameters(remove_duplicate=False))
        unknown = [name for name in asked if name not in named or not named[name].requires_grad]
        if unknown or not asked:
            some = ", ".join([name for name, weight in named.items() if weight.dim() > 1][:4])
            wrong = f"no trainable weight '{unknown[0]}'" if unknown else "no name given"
            raise UsageError(f"prunable: {wrong}; the network has {some}, ...")
        tensors = {id(named[name]) for name in asked}
        return tuple(name for name, weight in model.named_parameters() if id(weight) in tensors), {}
    # Weights are told apart as tensors, since one may have several names.
    weights = {name: weight for name, weight in model.named_parameters() if weight.dim() > 1}
    layers = {name: m for name, m in model.named_modules() if isinstance(m, (*CONVOLUTIONS, nn.Linear))}
    ran = [layers[name] for name in called if name in layers] or [*layers.values()]
    whole = {id(module.weight): FIRST for module in [m for m in ran if isinstance(m, CONVOLUTIONS)][:1]}
    whole |= {id(module.weight): CLASSIFIER for module in ran[-1:]}
    kinds = {id(module.weight): type(module) for module in layers.values()}
    # The result of a parametrization is no parameter; what it is computed from belongs to the layer.
    parameters = {id(weight) for weight in weights.values()}
    computed = [name for name, module in layers.items() if id(module.weight) not in parameters]
    left_out = {f"{name}.weight": COMPUTED for name in computed}
    convolutions: list[str] = []
    for name, weight in weights.items():
        kind = kinds.get(id(weight))
        if kind is None and any(name.startswith(f"{layer}.") for layer in computed):
            continue
        if id(weight) in whole:
            left_out[name] = whole[id(weight)]
        elif not weight.requires_grad:
            left_out[name] = "frozen"
        elif kind is None:
            left_out[name] = "neither a convolution nor a linear layer"
        elif issubclass(kind, CONVOLUTIONS):
            convolutions.append(name)
        else:
            left_out[name] = BESIDE
    chosen = convolutions or [name for name, reason in left_out.items() if reason == BESIDE]
    left_out = {name: reason for name, reason in left_out.items() if name not in chosen}
    if not chosen:
        notes = ", ".join(unusual(left_out))
        raise UsageError(
            "nothing to prune: the network has no second convolution and no second linear layer with a weight of "
            "its own; name the weights to prune with prunable=[...]" + (f"; left out: {notes}" if notes else "")
        )
    return tuple(chosen), left_out


def unusual(left_out: Mapping[str, str]) -> list[str]:
    """Return phrases about weights that are left out for a reason which the paper's networks do not have."""
    phrases = []
    for reason in dict.fromkeys(why for why in left_out.values() if why not in (FIRST, CLASSIFIER)):
        names = [name for name, why in left_out.items() if why == reason]
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        phrases.append(f"{', '.join(names[:SHOWN])}{more} ({reason})")
    return phrases

"""Run a network once before training: check its inputs, count its classes, choose its memory layout."""

from __future__ import annotations

import re

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from repro import files
from repro.engine.lanes import forward
from repro.errors import UsageError, one_line
from repro.ticket.datasets import Samples
from repro.ticket.trainer import Setup, copied, laid_out, on_cpu, on_device, tensors_of


def fingerprint(model: nn.Module) -> str:
    """Return the network's class and a hash of its modules, parameters and buffers."""
    modules = re.sub(r"0x[0-9a-f]+", "", repr(model))  # without addresses
    return f"{type(model).__name__}-{files.sha256(modules.encode() + save(on_cpu(tensors_of(model))))[:12]}"


def inspect_model(setup: Setup) -> tuple[torch.memory_format, int, list[str], list[str]]:
    """Run two examples of each set through copies of the network.

    Returns the memory layout to train in (channels_last, a fifth faster, if the network accepts it), the number of
    classes, the layers in the order in which they ran, and notes on the data. Raises `UsageError` if the network
    does not turn the examples into logits [N, classes].
    """
    if any(isinstance(p, UninitializedParameter) for p in setup.model.parameters()):
        raise UsageError("the network has lazy layers: run one batch through it first, so that it has weights")
    train, test = ([*side.two.shape] for side in (setup.train, setup.test))
    if setup.recipe.augment and len(train) != 4:
        raise UsageError(
            f"recipe.augment crops and flips images [N, C, H, W], these are {train}: set augment=False"
        )
    layouts = [torch.contiguous_format]
    if len(train) == 4 and any(isinstance(module, nn.Conv2d) for module in setup.model.modules()):
        layouts.insert(0, torch.channels_last)
    for layout in layouts:
        try:
            trained, _ = _logits(setup, setup.train, layout, (True, False))  # in training mode some return more
            tested, called = _logits(setup, setup.test, layout, (False,))
            break
        except UsageError:  # in channels_last: the network flattens with view(), for instance
            if layout == torch.contiguous_format:
                raise
    if tested.shape[1] != trained.shape[1]:
        shapes = f"{[*trained.shape]} for train_set and {[*tested.shape]} for test_set"
        raise UsageError(f"the network gives logits {shapes}: as many classes were expected")
    sizes = (
        f"train_set has inputs {train[1:]}, test_set has {test[1:]}: the network takes both, and every accuracy "
        "is that on the second; transforms that resize make them alike"
    )
    return layout, trained.shape[1], called, [sizes] if train[1:] != test[1:] else []


def _logits(
    setup: Setup, side: Samples, layout: torch.memory_format, modes: tuple[bool, ...]
) -> tuple[Tensor, list[str]]:
    """Return the logits of two examples in the last of ``modes`` (training or not), and the layers that ran."""
    inputs, called = side.two, list[str]()
    what = f"the network does not turn inputs {[*inputs.shape]} of {side.name} into logits [N, classes]"
    try:
        model = copied(setup.model)
    except Exception as error:
        raise UsageError(f"the network cannot be copied: {one_line(error)}") from None
    try:
        on_device(model, setup, layout)
        for name, module in model.named_modules():
            module.register_forward_pre_hook(lambda *_, name=name: called.append(name))
        with torch.no_grad():
            for training in modes:
                logits = forward(model.train(training), laid_out(inputs, layout), setup.precision)
    except Exception as error:  # whatever the user's network does
        raise UsageError(f"{what}: {one_line(error)}") from None
    if logits.dim() != 2 or len(logits) != len(inputs):
        raise UsageError(f"{what}: it gives {[*logits.shape]}")
    return logits, called

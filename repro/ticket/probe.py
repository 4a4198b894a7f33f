"""A first look at the user's network: does it take these inputs, how many classes, in which layout is it run."""

from __future__ import annotations

import copy
import re

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from repro import files
from repro.engine.lanes import forward
from repro.errors import UsageError
from repro.params import Recipe
from repro.ticket.samples import Samples
from repro.ticket.trainee import laid_out, place


def fingerprint(model: nn.Module) -> str:
    """The network's class and a hash of its modules, parameters and buffers as they are now."""
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    content = save({name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()})
    modules = re.sub(r"0x[0-9a-f]+", "", repr(model))  # addresses differ from process to process
    return f"{type(model).__name__}-{files.sha256(modules.encode() + content)[:12]}"


def look(
    model: nn.Module,
    training: Samples,
    testing: Samples,
    device: torch.device,
    precision: torch.dtype,
    recipe: Recipe,
) -> tuple[torch.memory_format, int]:
    """The memory layout to train in (channels_last, a fifth faster, where the network takes it) and the number of
    classes.

    Runs two examples through copies of the network, and has both sets check their labels. Raises `UsageError`
    where the network does not take them, or gives something else than logits [N, classes].
    """
    if any(isinstance(p, UninitializedParameter) for p in model.parameters()):
        raise UsageError("the network has lazy layers: run one batch through it first, so that it has weights")
    inputs = next(iter(training.plain(2)))[0][:2]
    if recipe.augment and inputs.dim() != 4:
        shape = [*inputs.shape]
        raise UsageError(
            f"recipe.augment crops and flips images [N, C, H, W], these are {shape}: set augment=False"
        )
    convolves = any(isinstance(module, nn.Conv2d) for module in model.modules())
    found = torch.channels_last if convolves and inputs.dim() == 4 else torch.contiguous_format
    try:
        logits = _logits(model, inputs, device, precision, found)
    except UsageError:
        if found == torch.contiguous_format:
            raise
        found = torch.contiguous_format  # it flattens with view(), for instance
        logits = _logits(model, inputs, device, precision, found)
    for side in (training, testing):
        side.check(logits.shape[1])
    return found, logits.shape[1]


def _logits(
    model: nn.Module, inputs: Tensor, device: torch.device, precision: torch.dtype, layout: torch.memory_format
) -> Tensor:
    shape = [*inputs.shape]
    try:
        probed = place(copy.deepcopy(model), device, layout)
        with torch.no_grad():
            for training in (True, False):  # some networks return more in training
                logits = forward(probed.train(training), laid_out(inputs, layout), precision)
    except (RuntimeError, ValueError, TypeError, AttributeError, IndexError, AssertionError) as error:
        why = str(error).partition("\n")[0]
        raise UsageError(f"the network does not turn inputs {shape} into logits [N, classes]: {why}") from None
    if not isinstance(logits, Tensor) or logits.dim() != 2 or len(logits) != len(inputs):
        raise UsageError(
            f"the network turns inputs {shape} into {[*logits.shape]}; logits [N, classes] were expected"
        )
    return logits

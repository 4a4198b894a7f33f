"""Which weights of any network are pruned."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from repro.errors import UsageError
from repro.pruning import prunable_names

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def choose_prunable(model: nn.Module, asked: Sequence[str] | None) -> tuple[str, ...]:
    """Names of the weights to prune, in the network's order: ``asked``, or what the paper prunes (appendix A).

    That is every convolution but the first, and neither the last linear layer nor, in a network that classifies
    by one, the last convolution. In a network without a second convolution: every linear layer but the last.
    Raises `UsageError` where that leaves nothing, or where a name asked for is no trainable weight.
    """
    weights = dict(model.named_parameters())
    if asked is not None:
        unknown = [name for name in asked if name not in weights or not weights[name].requires_grad]
        if unknown or not asked:
            some = ", ".join([name for name, w in weights.items() if w.dim() > 1][:4])
            wrong = f"no trainable weight '{unknown[0]}'" if unknown else "no name given"
            raise UsageError(f"prunable: {wrong}; the network has {some}, ...")
        return tuple(name for name in weights if name in set(asked))
    layers = [(name, m) for name, m in model.named_modules() if isinstance(m, (*CONVOLUTIONS, nn.Linear))]
    found = prunable_names(model) or [f"{n}.weight" for n, m in layers if isinstance(m, CONVOLUTIONS)][1:]
    if found and isinstance(layers[-1][1], CONVOLUTIONS):
        found = found[:-1]
    if not found:
        found = [f"{name}.weight" for name, module in layers if isinstance(module, nn.Linear)][:-1]
    found = [name for name in found if name in weights and weights[name].requires_grad]
    if not found:
        raise UsageError(
            "nothing to prune: the network has neither a second convolution nor a second linear layer; name the "
            "weights to prune with prunable=[...]"
        )
    return tuple(found)


def weights_of(model: nn.Module, names: Sequence[str]) -> dict[str, nn.Parameter]:
    """The network's parameters of these ``names``, in their order."""
    weights = dict(model.named_parameters())
    return {name: weights[name] for name in names}

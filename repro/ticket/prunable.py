"""Choose the weights of a network that are pruned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from torch import nn

from repro.errors import UsageError

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
LAYERS = (*CONVOLUTIONS, nn.Linear)
FIRST, CLASSIFIER = "the first convolution", "the classifier"
COMPUTED = "computed from other tensors, by weight_norm for instance"
SHOWN = 3  # names in a note


@dataclass(frozen=True)
class Prunable:
    """The ``names`` of the weights to prune, in the network's order; ``left_out`` has the other weights of two
    dimensions or more, each with the reason."""

    names: tuple[str, ...]
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def notes(self) -> list[str]:
        """Sentences about weights that are left out for a reason which the paper's networks do not have."""
        found = []
        for reason in dict.fromkeys(self.left_out.values()):
            names = [name for name, why in self.left_out.items() if why == reason]
            more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
            found.append(f"Not pruned: {', '.join(names[:SHOWN])}{more} ({reason})")
        return [note for note in found if not note.endswith((f"({FIRST})", f"({CLASSIFIER})"))]


def choose_prunable(model: nn.Module, asked: Sequence[str] | None, called: Sequence[str] = ()) -> Prunable:
    """Choose the weights ``asked`` for, or those that the paper prunes (appendix A).

    These are all convolutions but the first and one that classifies; in a network without a second convolution,
    all linear layers but the last. ``called`` has the names of layers in the order in which they ran (default: the
    order of the network). A layer that shares the weight of the first or of the classifier is not pruned either.
    Raises `UsageError` if nothing is left to prune, or if a name is not that of a trainable weight.
    """
    if asked is not None:
        return Prunable(_asked(model, asked))
    layers = {name: module for name, module in model.named_modules() if isinstance(module, LAYERS)}
    ran = [layers[name] for name in called if name in layers] or [*layers.values()]
    first = [module for module in ran if isinstance(module, CONVOLUTIONS)][:1]
    # By tensor, since one may have several names. The result of a parametrization is not a parameter.
    names = {id(weight): name for name, weight in model.named_parameters()}
    computed = [name for name, module in layers.items() if id(module.weight) not in names]
    left_out = {f"{name}.weight": COMPUTED for name in computed}
    for module, why in [*((module, FIRST) for module in first), *((module, CLASSIFIER) for module in ran[-1:])]:
        if id(module.weight) in names:
            left_out[names[id(module.weight)]] = why
    chosen = set[str]()
    for kind in (CONVOLUTIONS, nn.Linear):
        own = [module.weight for module in layers.values() if isinstance(module, kind)]
        chosen = {names[id(w)] for w in own if id(w) in names and w.requires_grad} - left_out.keys()
        if chosen:
            break
    for name, weight in model.named_parameters():
        of_computed = any(name.startswith(f"{other}.") for other in computed)
        if weight.dim() > 1 and name not in chosen | left_out.keys() and not of_computed:
            left_out[name] = _why(weight, layers)
    found = Prunable(tuple(name for name in names.values() if name in chosen), left_out)
    if not chosen:
        notes = [note.removeprefix("Not pruned: ") for note in found.notes]
        raise UsageError(
            "nothing to prune: the network has no second convolution and no second linear layer with a weight of "
            "its own; name the weights to prune with prunable=[...]"
            + (f"; left out: {', '.join(notes)}" if notes else "")
        )
    return found


def _asked(model: nn.Module, asked: Sequence[str]) -> tuple[str, ...]:
    weights = dict(model.named_parameters(remove_duplicate=False))
    unknown = [name for name in asked if name not in weights or not weights[name].requires_grad]
    if unknown or not asked:
        some = ", ".join([name for name, w in weights.items() if w.dim() > 1][:4])
        wrong = f"no trainable weight '{unknown[0]}'" if unknown else "no name given"
        raise UsageError(f"prunable: {wrong}; the network has {some}, ...")
    tensors = {id(weights[name]) for name in asked}
    return tuple(name for name, weight in model.named_parameters() if id(weight) in tensors)


def _why(weight: nn.Parameter, layers: Mapping[str, nn.Module]) -> str:
    if not weight.requires_grad:
        return "frozen"
    linear = any(weight is module.weight for module in layers.values() if isinstance(module, nn.Linear))
    return "a linear layer beside convolutions" if linear else "neither a convolution nor a linear layer"

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
        return [f"Not pruned: {part}" for part in self._unlike]

    @property
    def _unlike(self) -> list[str]:
        by_reason: dict[str, list[str]] = {}
        for name, reason in self.left_out.items():
            by_reason.setdefault(reason, []).append(name)
        return [
            f"{_listed(names)} ({reason})"
            for reason, names in by_reason.items()
            if reason not in (FIRST, CLASSIFIER)
        ]


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
    first = next((module for module in ran if isinstance(module, CONVOLUTIONS)), None)
    whole = [(module, why) for module, why in ((first, FIRST), (ran[-1] if ran else None, CLASSIFIER)) if module]
    # By tensor, since one may have several names. The result of a parametrization is not a parameter.
    names = {id(weight): name for name, weight in model.named_parameters()}
    stays = {names[id(module.weight)]: why for module, why in whole if id(module.weight) in names}
    computed = {name for name, module in layers.items() if id(module.weight) not in names}
    for kind in (CONVOLUTIONS, nn.Linear):
        found = {
            names[id(module.weight)]
            for name, module in layers.items()
            if isinstance(module, kind) and name not in computed and module.weight.requires_grad
        } - set(stays)
        if found:
            break
    left_out = {f"{name}.weight": COMPUTED for name in computed} | stays
    for name, weight in model.named_parameters():
        if (
            weight.dim() > 1
            and name not in found | set(stays)
            and not any(name.startswith(f"{c}.") for c in computed)
        ):
            left_out[name] = _why(name, weight, layers)
    chosen = Prunable(tuple(name for name in names.values() if name in found), left_out)
    if not found:
        left = f"; left out: {', '.join(chosen._unlike)}" if chosen._unlike else ""
        raise UsageError(
            "nothing to prune: the network has no second convolution and no second linear layer with a weight "
            f"of its own; name the weights to prune with prunable=[...]{left}"
        )
    return chosen


def _asked(model: nn.Module, asked: Sequence[str]) -> tuple[str, ...]:
    weights = dict(model.named_parameters(remove_duplicate=False))
    unknown = [name for name in asked if name not in weights or not weights[name].requires_grad]
    if unknown or not asked:
        some = ", ".join([name for name, w in weights.items() if w.dim() > 1][:4])
        wrong = f"no trainable weight '{unknown[0]}'" if unknown else "no name given"
        raise UsageError(f"prunable: {wrong}; the network has {some}, ...")
    tensors = {id(weights[name]) for name in asked}
    return tuple(name for name, weight in model.named_parameters() if id(weight) in tensors)


def _why(name: str, weight: nn.Parameter, layers: Mapping[str, nn.Module]) -> str:
    if not weight.requires_grad:
        return "frozen"
    linear = any(weight is module.weight for module in layers.values() if isinstance(module, nn.Linear))
    return "a linear layer beside convolutions" if linear else "neither a convolution nor a linear layer"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more

"""Statistics of a Run's weights, recorded after every epoch (Fig. 2)."""

from __future__ import annotations

from typing import Any

from repro.engine.network import Trainable
from repro.pruning import layer_rates, magnitude_masks, weight_std
from repro.record import measured


def record_weight_stats(epoch: int, rate: float, network: Trainable, history: dict[str, Any]) -> None:
    """Append to ``history`` the mean and standard deviation of every layer's weights, and the pruned fraction of
    every prunable layer in a global pruning at ``rate``, which is not applied."""
    stats = history["probe"] or {"rate": rate, "epoch": [], "w_std": {}, "w_mean": {}, "layer_rates": {}}
    stats["epoch"].append(epoch)
    for name, weight in network.layer_weights().items():
        stats["w_mean"].setdefault(name, []).append(measured(float(weight.double().mean())))
    for name, value in weight_std(network.layer_weights()).items():
        stats["w_std"].setdefault(name, []).append(measured(value))
    for name, value in layer_rates(magnitude_masks(network.prunable_weights(), rate)).items():
        stats["layer_rates"].setdefault(name, []).append(measured(value))
    history["probe"] = stats

"""What a Run records of its weights after every epoch (Fig. 2)."""

from __future__ import annotations

from typing import Any

from repro.engine.network import Trainable
from repro.pruning import layer_rates, magnitude_masks, weight_std
from repro.record import measured


def probe(epoch: int, rate: float, network: Trainable, history: dict[str, Any]) -> None:
    """Fig. 2: mean and standard deviation of every layer's weights, and the prunable layers' shares in a pruning
    at ``rate`` that is not done."""
    found = history["probe"] or {"rate": rate, "epoch": [], "w_std": {}, "w_mean": {}, "layer_rates": {}}
    found["epoch"].append(epoch)
    for name, weight in network.layer_weights().items():
        found["w_mean"].setdefault(name, []).append(measured(float(weight.double().mean())))
    for name, value in weight_std(network.layer_weights()).items():
        found["w_std"].setdefault(name, []).append(measured(value))
    for name, value in layer_rates(magnitude_masks(network.prunable_weights(), rate)).items():
        found["layer_rates"].setdefault(name, []).append(measured(value))
    history["probe"] = found

"""An early winning ticket for a network that the paper never saw: a small VGG, with pooling and dropout.

    python examples/ticket_vgg.py                      synthetic images; 1 min 20 s of CPU time
    python examples/ticket_vgg.py --data-dir data      a part of CIFAR-10

Stop it at any moment: the same command resumes after the last whole epoch. Replace `network` and the two sets by
your own: any classifier, and any torch Dataset of (tensor, label) or pair of tensors.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor, nn

from repro import data
from repro.data.images import Split
from repro.ticket import Recipe, SearchOptions, find_ticket
from repro.ticket.result import write


def network() -> nn.Module:
    """Images [N, 3, 32, 32] -> logits [N, 10]."""
    layers: list[nn.Module] = []
    inputs = 3
    for width in (16, 32, 64):  # each block halves the side
        for _ in range(2):
            layers += [nn.Conv2d(inputs, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            inputs = width
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.1), nn.Linear(inputs, 10))


def tensors(split: Split, statistics: tuple[tuple[float, ...], ...]) -> tuple[Tensor, Tensor]:
    """A pair of tensors, as `find_ticket` takes it: normalised images [N, 3, 32, 32] and labels [N]."""
    mean, std = (torch.tensor(values) for values in statistics)
    images = (torch.from_numpy(split.images).float() - mean) / std
    return images.permute(0, 3, 1, 2).contiguous(), torch.from_numpy(split.labels)


parser = argparse.ArgumentParser(description="find an early winning ticket of a small VGG")
parser.add_argument("--data-dir", type=Path, help="where CIFAR-10 is (default: synthetic images)")
parser.add_argument("--folder", type=Path, default=Path("runs/example-vgg"), help="where the search is kept")
arguments = parser.parse_args()

source = "cifar10" if arguments.data_dir else "synthetic"
images = data.load(source, [arguments.data_dir] if arguments.data_dir else [])
train_set = tensors(images.train.first(1024), images.statistics)
test_set = tensors(images.test.first(256), images.statistics)

# How the network is trained. The rate falls late, as in the paper: pruning turns out to be safe before it does.
# That depends on what counts as a gain: 256 test images tell accuracies apart to about three points. Without
# ``tolerance`` the search is stricter, waits longer, and takes more epochs.
recipe = Recipe(
    epochs=8, batch_size=32, lr=0.05, milestones=(5, 7), gamma=0.1, momentum=0.9, weight_decay=5e-4,
    augment=True, evaluate_every=1,
)  # fmt: skip

torch.manual_seed(0)
result = find_ticket(
    network(), train_set, test_set, recipe, sparsity=0.8, baselines=["one-shot"], folder=arguments.folder,
    on_event=print, options=SearchOptions(tolerance=3.0),
)  # fmt: skip

print("\n" + result.table(), *result.sentences(), sep="\n")
written = write(result, f"small VGG on {source}")
zeros = sum(int((weight == 0).sum()) for name, weight in result.model.named_parameters() if name in result.masks)
print(f"{zeros:,} weights of result.model are exactly zero; {', '.join(path.name for path in written)} are in "
      f"{arguments.folder}")  # fmt: skip

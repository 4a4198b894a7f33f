"""The loop that an afternoon gives to someone who knows the device, and many processes of it side by side.

Images in the device's memory, crops and flips of whole batches, bfloat16 under autocast where the device
multiplies it, channels_last, the fused SGD of torch.optim, a mask multiplied after every step, cuDNN free to
choose. One network a process. The network is ours, so that all loops train the same one.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection

import torch
import torch.nn.functional as F
from common import pytorch_defaults, settings_of
from torch import Tensor

from repro import nets
from repro.config.recipe import Recipe
from repro.data.images import Images, random_images
from repro.engine import device as devices
from repro.engine.calibration import times
from repro.engine.device import Device
from repro.pruning import magnitude_masks, prunable_names

PAD = 4
CHUNK = 8  # steps between two looks at the clock, as `calibration.time_lanes` takes them
WARM_UPS = 3


class StrongLoop:
    """One pruned network and its images."""

    def __init__(
        self, arch: str, recipe: Recipe, images: Images, device: Device, precision: str, fused: bool = False
    ) -> None:
        here, split = device.torch, images.train
        self._device, self._size, self._low = device, recipe.batch_size, precision == "bfloat16"
        pixels = torch.from_numpy(split.images)  # [N, H, W, C], as channels_last has it in memory
        self._pixels = F.pad(pixels, (0, 0, PAD, PAD, PAD, PAD)).to(here)
        self._labels = torch.from_numpy(split.labels).long().to(here)
        self._mean, self._std = (torch.tensor(values, device=here) for values in images.statistics)
        self._order = torch.randperm(len(split.labels)).to(here)
        self._position = torch.zeros((), dtype=torch.int64, device=here)
        self._within, self._side = torch.arange(self._size, device=here), torch.arange(32, device=here)
        self._model = nets.build(arch, 0).to(here, memory_format=torch.channels_last).train()
        self._optimizer = torch.optim.SGD(
            self._model.parameters(), lr=torch.tensor(recipe.lr, device=here),  # type: ignore[arg-type]
            momentum=recipe.momentum, weight_decay=recipe.weight_decay, fused=True,
        )  # fmt: skip
        self._weights = [self._model.get_parameter(name) for name in prunable_names(self._model)]
        masks = magnitude_masks(dict(enumerate(self._weights)), 0.8)  # type: ignore[arg-type]
        self._masks = [mask.to(here, torch.float32, memory_format=torch.channels_last) for mask in masks.values()]
        self._loss = torch.compile(self._loss_of) if fused else self._loss_of

    def step(self) -> None:
        """One update."""
        chosen = self._order[(self._position + self._within) % len(self._order)]
        self._position += self._size
        self._optimizer.zero_grad()
        self._loss(self._batch(chosen), self._labels[chosen]).backward()
        self._optimizer.step()
        with torch.no_grad():
            torch._foreach_mul_(self._weights, self._masks)

    def _batch(self, chosen: Tensor) -> Tensor:
        top, left = torch.randint(0, 2 * PAD + 1, (2, self._size, 1), device=chosen.device)
        flipped = torch.rand(self._size, 1, device=chosen.device) < 0.5
        rows, columns = top + self._side, left + torch.where(flipped, 31 - self._side, self._side)
        pixels = self._pixels[chosen[:, None, None], rows[:, :, None], columns[:, None, :]]
        return ((pixels.float() - self._mean) / self._std).permute(0, 3, 1, 2)

    def _loss_of(self, pixels: Tensor, labels: Tensor) -> Tensor:
        with torch.autocast(pixels.device.type, torch.bfloat16, enabled=self._low):
            logits = self._model(pixels)
        return F.cross_entropy(logits.float(), labels)

    def recorded(self) -> Callable[[], None]:
        """A whole step in one CUDA graph."""
        stream, here = torch.cuda.Stream(), torch.cuda.current_stream()
        stream.wait_stream(here)
        with torch.cuda.stream(stream):
            for _ in range(WARM_UPS):
                self.step()
        here.wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self.step()
        return graph.replay

    def images_per_second(self, seconds: float, graph: bool = False) -> float:
        """Of about so many seconds of steps, by a CUDA graph or launched one operation after another."""
        chunk = CHUNK if self._device.cuda else 1
        with pytorch_defaults(benchmark=True):
            step = self.recorded() if graph else self.step

            def work() -> None:
                for _ in range(chunk):
                    step()

            taken = times(work, self._device, seconds)
        return len(taken) * chunk * self._size / sum(taken)


class SideBySide:
    """Processes with a plain loop each, ready to run; of them as many as one asks for."""

    def __init__(self, most: int, arch: str, batch: int, precision: str, device: str, images: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipes: list[Connection] = []
        for _ in range(most):
            ours, theirs = context.Pipe()
            asked = (theirs, arch, batch, precision, device, images)
            context.Process(target=_serve, args=asked, daemon=True).start()
            theirs.close()
            self._pipes.append(ours)
        for pipe in self._pipes:
            pipe.recv()

    def images_per_second(self, count: int, threads: int, seconds: float) -> float:
        """Of ``count`` processes together, each with so many threads on a CPU. The others wait."""
        for pipe in self._pipes[:count]:
            pipe.send((threads, seconds))
        return sum(pipe.recv() for pipe in self._pipes[:count])

    def close(self) -> None:
        """Ends them."""
        for pipe in self._pipes:
            pipe.close()


def _serve(pipe: Connection, arch: str, batch: int, precision: str, name: str, images: int) -> None:
    device = devices.choose(name)
    loop = StrongLoop(arch, settings_of(batch).profile.recipe, random_images(images, 1), device, precision)
    loop.images_per_second(0.0)
    pipe.send("ready")
    try:
        while True:
            threads, seconds = pipe.recv()
            if not device.cuda:
                torch.set_num_threads(threads)
            pipe.send(loop.images_per_second(seconds))
    except (EOFError, KeyboardInterrupt):
        return

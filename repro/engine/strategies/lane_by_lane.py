"""Each lane takes its own steps: launched from Python, one lane after another (`Eager`), on any device; or as CUDA
graphs, captured once and replayed without Python, each lane on its own stream (`Streams`)."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from repro.engine.lanes import Lane, Lanes, LossOf, loss_and_logits

WARM_UPS = 3  # calls before a capture, in which cuDNN and cuBLAS initialise


class Eager:
    """The plain loop, with which every other strategy is compared. ``compiled`` as in `step_of`."""

    def __init__(self, lanes: Lanes, compiled: bool = False) -> None:
        self.name = "compiled" if compiled else "eager"
        self._step = step_of(lanes, compiled)

    def train(self, group: Sequence[Lane], steps: int, size: int) -> None:
        for lane in group:
            for _ in range(steps):
                self._step(lane, size)

    def evaluate_batch(self, group: Sequence[Lane], size: int) -> None:
        for lane in group:
            lane.evaluate_batch(size)


def step_of(lanes: Lanes, compiled: bool) -> Callable[[Lane, int], None]:
    """Return a function that takes one step of a lane on so many images. With ``compiled``, forward and backward
    are by torch.compile, which fuses BatchNorm, ReLU and addition, in whole batches: a smaller one an epoch is not
    worth another compilation."""
    full = lanes.recipe.batch_size

    def step(lane: Lane, size: int) -> None:
        lane.update(size, compiled_loss() if compiled and size == full else loss_and_logits)

    return step


@functools.cache
def compiled_loss() -> LossOf:
    """Return `loss_and_logits`, compiled once for all lanes, since a network's tensors are its arguments."""
    return torch.compile(loss_and_logits, dynamic=False)


class CapturedStep:
    """``work(size)`` as one CUDA graph per size. Apart from temporary tensors it writes only ``touched``. Replays
    follow one another on ``stream``, so that the graphs can share memory."""

    def __init__(self, work: Callable[[int], None], touched: Sequence[Tensor], stream: torch.cuda.Stream) -> None:
        self._work, self._touched, self.stream = work, touched, stream
        self._graphs: dict[int, torch.cuda.CUDAGraph] = {}
        self._pool = torch.cuda.graph_pool_handle()

    def graph(self, size: int) -> torch.cuda.CUDAGraph:
        """Return the graph, captured at the first call, which leaves ``touched`` as it was."""
        if size in self._graphs:
            return self._graphs[size]
        before = [tensor.clone() for tensor in self._touched]
        with joined([self.stream]), torch.cuda.stream(self.stream):
            for _ in range(WARM_UPS):
                restore(self._touched, before)  # positions too: beyond an epoch's end there are no indices
                self._work(size)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool, stream=self.stream):
            self._work(size)
        restore(self._touched, before)
        self._graphs[size] = graph
        return graph


class Streams:
    """A whole step as a CUDA graph for each lane, replayed side by side on as many streams. ``compiled``
    as in `step_of`."""

    def __init__(self, lanes: Lanes, compiled: bool = False) -> None:
        self.name = "streams, compiled" if compiled else "streams"
        step = step_of(lanes, compiled)
        self._train, self._evaluations = list[CapturedStep](), list[CapturedStep]()
        for lane in lanes.all:
            stream = torch.cuda.Stream(lanes.device)
            self._train.append(CapturedStep(functools.partial(step, lane), lane.touched(), stream))
            self._evaluations.append(CapturedStep(lane.evaluate_batch, lane.touched(), stream))

    def train(self, group: Sequence[Lane], steps: int, size: int) -> None:
        self._replay([self._train[lane.number] for lane in group], steps, size)

    def evaluate_batch(self, group: Sequence[Lane], size: int) -> None:
        self._replay([self._evaluations[lane.number] for lane in group], 1, size)

    def _replay(self, works: list[CapturedStep], times: int, size: int) -> None:
        graphs = [work.graph(size) for work in works]
        with joined([work.stream for work in works]):
            for _ in range(times):
                for work, graph in zip(works, graphs, strict=True):
                    with torch.cuda.stream(work.stream):
                        graph.replay()


@contextlib.contextmanager
def joined(streams: Sequence[torch.cuda.Stream]) -> Iterator[None]:
    """``streams`` start after the work of the current stream, which continues after theirs."""
    current = torch.cuda.current_stream()
    for stream in streams:
        stream.wait_stream(current)
    yield
    for stream in streams:
        current.wait_stream(stream)


def restore(tensors: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    """Copy ``values`` back into ``tensors``."""
    with torch.no_grad():
        for tensor, value in zip(tensors, values, strict=True):
            tensor.copy_(value)

"""Training on photographs where only a CUDA device shows it: `pytest -m gpu`. Skipped elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from test_streamed import DATA, QUIET, RECIPE, RUN, InMemory
from torch import Tensor

from repro.data.imagenet.augment import normalize
from repro.data.imagenet.loader import Loader
from repro.engine import device as devices
from repro.engine.data_source import StreamedData
from repro.engine.network import Network
from repro.engine.photo_trainer import COMPILE_FROM, PhotoModel, train
from repro.engine.ranks import Ranks
from repro.engine.strategies import TOLERANCE
from repro.store import Store

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]


@pytest.mark.parametrize("arch", ["resnet18", "resnet50"])
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_compiled_gradients_are_those_of_eager_steps(arch: str, precision: torch.dtype) -> None:
    place = devices.choose("cuda").torch
    random = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (32, 3, 128, 128), dtype=torch.uint8, generator=random)
    images = pixels.contiguous(memory_format=torch.channels_last).to(place)
    labels = torch.randint(0, 1000, (32,), generator=random).to(place)
    gradients: list[Tensor] = []
    for trained in (0, COMPILE_FROM):
        network = Network(arch, 0, place)
        network.model.train()
        net = PhotoModel(network, precision, Ranks(), trained)
        net.backward(normalize(images, None), labels, 32)
        assert net.strategy == ("compiled" if trained else "eager")
        gradients.append(network.gradients.clone())
    eager, compiled = gradients
    assert float((compiled - eager).norm() / eager.norm()) < TOLERANCE[precision]


def test_a_run_of_photographs_trains_and_says_where_the_time_went(tmp_path: Path) -> None:
    device = devices.choose("cuda")
    splits = (InMemory(DATA.train, 0), InMemory(DATA.test, 1))
    loaders = [Loader(split, DATA.crop, DATA.resize, device.torch) for split in splits]
    bench = StreamedData(device, Ranks(), loaders[0], loaders[1], "made up")
    store = Store(tmp_path / "runs", tmp_path / "runs.jsonl")
    record = train(RUN, bench, store, {2}, QUIET, lambda _: True)
    assert record.curve["epoch"] == [1, 2] and record.curve["train_loss"][0] < 20
    assert set(record.provenance["throughput"]) == {"images_per_second", "waiting_for_images"}
    assert RECIPE.micro_batches == 2 and store.checkpoint(RUN, 2)

"""The time that is left for everything, judged by what has been trained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from repro.experiments import Study
from repro.plan import cost
from repro.report.training_progress import WORK, TimeLeft, work_per_image
from repro.run import Run

Study_of = Callable[..., Study]


@pytest.fixture
def dense(study: Study_of) -> dict[str, Run]:
    """A dense Run of each network, at full scale."""
    return {arch: study("paper").dense(arch, 0) for arch in WORK}


def test_of_networks_that_have_trained_the_rest_takes_what_their_own_speed_says(dense: dict[str, Run]) -> None:
    left = TimeLeft([dense["resnet20"], dense["resnet56"]])
    images = {arch: cost([dense[arch]]).images for arch in ("resnet20", "resnet56")}
    left.add(dense["resnet20"], 1000, seconds=1.0)  # 1,000 images/s
    left.add(dense["resnet56"], 1000, seconds=9.0)  # a ninth of that: not what the multiply-adds say
    expected = (images["resnet20"] - 1000) / 1000 + 9 * (images["resnet56"] - 1000) / 1000
    assert left.seconds(spent=10.0) == pytest.approx(expected)
    assert left.seconds(spent=20.0) == pytest.approx(2 * expected)  # half of it went into tests and files


def test_a_network_that_has_not_trained_is_slower_by_its_multiply_adds(dense: dict[str, Run]) -> None:
    left = TimeLeft([dense["resnet20"], dense["resnet50"]])
    images = {arch: cost([dense[arch]]).images for arch in ("resnet20", "resnet50")}
    left.add(dense["resnet20"], images["resnet20"], seconds=100.0)
    assert left.seconds(spent=100.0) == pytest.approx(100.0 * 100.0 * images["resnet50"] / images["resnet20"])


def test_within_a_first_epoch_the_images_so_far_are_all_there_is(dense: dict[str, Run]) -> None:
    run = dense["resnet18"]
    images = cost([run]).images
    left = TimeLeft([run])
    within = Counter({run.arch: images // 10})
    assert left.seconds(5.0, within) == pytest.approx(45.0, rel=1e-3)
    assert left.done(within) == pytest.approx(left.total / 10, rel=1e-3)
    left.add(run, images, 7.0)
    assert left.seconds(7.0) == 0.0 and left.done() == left.total


def test_without_times_of_networks_the_rest_takes_what_their_multiply_adds_say(dense: dict[str, Run]) -> None:
    small, large = dense["resnet20"], dense["resnet56"]
    left = TimeLeft([small, large])
    left.add(small, cost([small]).images)
    assert left.seconds(10.0) == pytest.approx(10.0 * WORK["resnet56"])
    within = Counter({"resnet56": cost([large]).images // 2})
    assert left.seconds(25.5, within) == pytest.approx(25.5 * 1.55 / 2.55, rel=1e-3)


def test_the_multiply_adds_are_those_of_the_networks(dense: dict[str, Run]) -> None:
    from roofline import flops_per_image

    def counted(run: Run) -> float:
        return flops_per_image(run.arch, 224 if run.arch in ("resnet18", "resnet50") else 32)

    for run in dense.values():
        assert work_per_image(run) == pytest.approx(counted(run) / counted(dense["resnet20"]), rel=0.02)

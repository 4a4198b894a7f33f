"""The smallest of everything: a few Runs of seconds, for tests that go through whole commands.

`TINY` has nothing of ImageNet; `PHOTOS` has a little of it. `FEW` makes every artifact of CIFAR-10's side with as
few Runs on as few images as will do."""

from __future__ import annotations

CHANGES = [
    "data.train=64", "data.test=20", "recipe.epochs=2", "recipe.milestones=[1]",
    "fig1.s=[1,2]", "fig1.v=[0,2]", "fig3.s=[1,2]", "fig5.s=[1]", "fig5.sizes=[32,64]",
    "table1.sizes=[32,64]", "table1.steps=[[1,0.4],[2,0.6],[3,0.8]]", "table1.further_milestones=[2]",
    "memorization={epochs: 2, milestones: [1], batch_size: 16}",
    "table4={arch: resnet20, imagenet: resnet50, trainings: 3, share: 0.2, rewind: 1}",
    "table2={resnet20: {one_shot: [2], windows: [[0,1]]}}",
    "table3={}", "batch_probe={}", "fig6={resnet56: {rates: [0.01], every: 1}}",
]  # fmt: skip
FEW_PHOTOS = [
    "imagenet.data.train=16", "imagenet.data.test=16", "imagenet.data.crop=32", "imagenet.data.resize=32",
    "imagenet.recipe.epochs=1", "imagenet.recipe.milestones=[]", "imagenet.recipe.batch_size=8",
    "imagenet.recipe.micro_batches=2", "fig6={resnet18: {rates: [0.01], every: 1}}",
    "table3={resnet18: {one_shot: [1], windows: [[0,1]]}, resnet50: {one_shot: [], windows: []}}",
]  # fmt: skip
FEWER = [
    "data.train=32", "data.test=20", "recipe.batch_size=16", "fig1.s=[2]", "fig1.v=[0]", "fig3.s=[2]", "fig4={}",
    "fig6={}", "fig5.sizes=[16]", "table1.sizes=[16]", "table4.trainings=2",
    "memorization={epochs: 1, milestones: [], batch_size: 16}",
]  # fmt: skip
TINY = [word for change in CHANGES for word in ("--set", change)]
PHOTOS = [word for change in FEW_PHOTOS for word in ("--set", change)]
FEW = [*TINY, *(word for change in FEWER for word in ("--set", change))]

"""An artifact for $REPRO_ARTIFACTS: one dense network of ImageNet, and nothing that starts from it."""

from repro.artifacts import Artifact

ARTIFACT = Artifact(
    name="dense-only",
    title="A dense ResNet18",
    own_runs=lambda study, seeds: [study.dense("resnet18", seed) for seed in seeds],
)

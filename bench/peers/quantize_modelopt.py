"""Quantizes an ONNX file with ModelOpt, in a process of its own: quantize_modelopt.py PEER FLOAT.onnx CALIBRATION.npy OUT.onnx"""

import numpy as np
import onnx

from quantize_onnx import samples_of, timed


def modelopt(method):
    from modelopt.onnx.quantization import quantize as quantize_onnx

    def quantize(float_file, calibration, out):
        name, data = samples_of(onnx.load(float_file), calibration)
        quantize_onnx(
            float_file,
            quantize_mode="int8",
            calibration_data={name: np.array(data)},
            calibration_method=method,
            calibration_eps=["cpu"],
            # its default, fp16, is for GPUs
            high_precision_dtype="fp32",
            output_path=out,
        )

    return quantize


if __name__ == "__main__":
    timed({"modelopt": lambda: modelopt("entropy"), "modelopt-max": lambda: modelopt("max")})

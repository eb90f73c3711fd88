"""Quantizes a network of digits with onnxruntime.quantization or NNCF.

transformer_peer.py PEER FLOAT.onnx CALIBRATION.idx3-ubyte OUT.onnx
"""

import pathlib
import sys

import numpy as np
import onnx


def feeds(name, calibration):
    pixels = np.frombuffer(pathlib.Path(calibration).read_bytes()[16:], np.uint8).reshape(-1, 1, 1, 28, 28)
    return [{name: image.astype(np.float32) / 255} for image in pixels]


def onnxruntime_quantizer(float_file, samples, out, method):
    """What its documentation says for x64 with VNNI."""
    from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType
    from onnxruntime.quantization import quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.samples = iter(samples)

        def get_next(self):
            return next(self.samples, None)

    prepared = out + ".prepared.onnx"
    quant_pre_process(float_file, prepared)
    quantize_static(
        prepared, out, Reader(), quant_format=QuantFormat.QDQ, per_channel=True,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, calibrate_method=CalibrationMethod[method],
    )


def nncf_quantizer(float_file, samples, out, **settings):
    import nncf

    quantized = nncf.quantize(
        onnx.load(float_file), nncf.Dataset(samples), preset=nncf.QuantizationPreset.MIXED, subset_size=len(samples),
        **settings,
    )
    onnx.save(quantized, out)


def main(peer, float_file, calibration, out):
    samples = feeds(onnx.load(float_file).graph.input[0].name, calibration)
    if peer == "nncf":
        nncf_quantizer(float_file, samples, out)
    elif peer == "nncf-transformer":
        import nncf

        # tries SmoothQuant
        nncf_quantizer(float_file, samples, out, model_type=nncf.ModelType.TRANSFORMER)
    else:
        methods = {"ort-minmax": "MinMax", "ort-percentile": "Percentile", "ort-entropy": "Entropy"}
        onnxruntime_quantizer(float_file, samples, out, methods[peer])


if __name__ == "__main__":
    main(*sys.argv[1:])

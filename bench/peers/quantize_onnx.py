"""Quantizes an ONNX file with one peer, in a process of its own.

quantize_onnx.py PEER FLOAT.onnx CALIBRATION.npy OUT.onnx

Prints one JSON line: seconds of the quantizer's own work (not of imports), and the process's peak memory.
"""

import json
import os
import resource
import sys
import time

import numpy as np
import onnx


def samples_of(model, path):
    """Samples with batch 1, by the name of the network's input; read as they are asked for."""
    initializers = {tensor.name for tensor in model.graph.initializer}
    name = next(value.name for value in model.graph.input if value.name not in initializers)
    data = np.load(path, mmap_mode="r")
    return name, data


def onnxruntime_quantizer(method):
    from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType
    from onnxruntime.quantization import quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def __init__(self, name, data):
            self.feeds = ({name: np.ascontiguousarray(data[i : i + 1])} for i in range(len(data)))

        def get_next(self):
            return next(self.feeds, None)

    def quantize(float_file, calibration, out):
        name, data = samples_of(onnx.load(float_file), calibration)
        prepared = out + ".prepared.onnx"
        quant_pre_process(float_file, prepared)
        # what its documentation says for x64 with VNNI
        quantize_static(
            prepared,
            out,
            Reader(name, data),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod[method],
        )
        os.remove(prepared)

    return quantize


def nncf_quantizer(**settings):
    import nncf

    def quantize(float_file, calibration, out):
        model = onnx.load(float_file)
        name, data = samples_of(model, calibration)
        dataset = nncf.Dataset(range(len(data)), lambda i: {name: np.ascontiguousarray(data[i : i + 1])})
        quantized = nncf.quantize(
            model,
            dataset,
            # asymmetric activations: what NNCF advises where accuracy counts
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(data),
            **settings,
        )
        onnx.save(quantized, out)

    return quantize


def without_bias_correction():
    import nncf

    return nncf.AdvancedQuantizationParameters(disable_bias_correction=True)


def timed(peers):
    """Does what the command line says; prints seconds and peak memory."""
    peer, float_file, calibration, out = sys.argv[1:]
    quantize = peers[peer]()
    start, cpu_start = time.perf_counter(), time.process_time()
    quantize(float_file, calibration, out)
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print("\n" + json.dumps({"seconds": seconds, "cpuSeconds": cpu_seconds, "peakRssBytes": peak}))


if __name__ == "__main__":
    timed(
        {
            "ort-minmax": lambda: onnxruntime_quantizer("MinMax"),
            "ort-percentile": lambda: onnxruntime_quantizer("Percentile"),
            "ort-entropy": lambda: onnxruntime_quantizer("Entropy"),
            "nncf": lambda: nncf_quantizer(),
            "nncf-full-bias": lambda: nncf_quantizer(fast_bias_correction=False),
            "nncf-no-bias": lambda: nncf_quantizer(advanced_parameters=without_bias_correction()),
        }
    )

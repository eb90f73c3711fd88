"""One quantization by onnxruntime.quantization, timed from reading the model to the written file.

    python quantize_static.py MODEL SAMPLES.npy INDICES.json METHOD OUT.onnx

METHOD: minmax, percentile or entropy. Prints one line of JSON: seconds without the imports, and peak resident bytes.
"""

import json
import resource
import sys
import time
from importlib.metadata import version

import numpy
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
import onnx

methods = {
    "minmax": CalibrationMethod.MinMax,
    "percentile": CalibrationMethod.Percentile,
    "entropy": CalibrationMethod.Entropy,
}


class Samples(CalibrationDataReader):
    """Rows of a .npy file, mapped: only the row at hand is in memory."""

    def __init__(self, path, indices, input_name):
        self.array = numpy.load(path, mmap_mode="r")
        self.indices = iter(indices)
        self.input_name = input_name

    def get_next(self):
        index = next(self.indices, None)
        return None if index is None else {self.input_name: numpy.array(self.array[index : index + 1])}


def main():
    model, samples, indices_path, method, out = sys.argv[1:]
    with open(indices_path) as file:
        indices = json.load(file)
    start = time.perf_counter()
    cpu_start = time.process_time()
    input_name = onnx.load(model).graph.input[0].name
    quantize_static(
        model,
        out,
        Samples(samples, indices, input_name),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=methods[method],
        extra_options={"ActivationSymmetric": False},
    )
    print(
        json.dumps(
            {
                "seconds": time.perf_counter() - start,
                "cpuSeconds": time.process_time() - cpu_start,
                "peakRssBytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
                "version": version("onnxruntime"),
            }
        )
    )


main()

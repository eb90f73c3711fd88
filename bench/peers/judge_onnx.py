"""Runs ONNX files in ONNX Runtime, one thread.

judge_onnx.py outputs SAMPLES.npy MODEL=OUT.npy...
judge_onnx.py latency SAMPLES.npy MODEL...
"""

import sys

import numpy as np
import onnxruntime as ort

from judge import main


class Opened:
    def __init__(self, path):
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0].name
        self.output = self.session.get_outputs()[0].name

    def run(self, x):
        return self.session.run([self.output], {self.input: x})[0]

    def bound(self, x):
        """A call that infers on x and does nothing else."""
        binding = self.session.io_binding()
        given = ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(x))
        made = ort.OrtValue.ortvalue_from_numpy(self.run(x))
        binding.bind_ortvalue_input(self.input, given)
        binding.bind_ortvalue_output(self.output, made)
        return lambda: self.session.run_with_iobinding(binding)


main(Opened, sys.argv[1:])

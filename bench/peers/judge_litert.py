"""Runs TensorFlow Lite files in LiteRT with XNNPACK, one thread; Keras files for their outputs only.

judge_litert.py outputs SAMPLES.npy MODEL=OUT.npy...
judge_litert.py latency SAMPLES.npy MODEL...
"""

import sys

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from judge import main


class Opened:
    def __init__(self, path):
        self.interpreter = Interpreter(path, num_threads=1)
        self.interpreter.allocate_tensors()
        (self.input,) = self.interpreter.get_input_details()
        (self.output,) = self.interpreter.get_output_details()
        for tensor in (self.input, self.output):
            if tensor["dtype"] != np.float32:
                raise ValueError(f"{path}: {tensor['name']} is {tensor['dtype']}, not float32")

    def run(self, x):
        self.interpreter.set_tensor(self.input["index"], np.ascontiguousarray(x))
        self.interpreter.invoke()
        return self.interpreter.get_tensor(self.output["index"]).copy()

    def bound(self, x):
        """A call that infers on x and does nothing else."""
        self.interpreter.set_tensor(self.input["index"], np.ascontiguousarray(x))
        return self.interpreter.invoke


class OpenedKeras:
    def __init__(self, path):
        import keras_file

        self.model = keras_file.load(path)

    def run(self, x):
        return np.array(self.model(x, training=False))


main(lambda path: (OpenedKeras if path.endswith(".h5") else Opened)(path), sys.argv[1:])

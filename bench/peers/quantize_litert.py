"""Quantizes a TensorFlow Lite network with one peer, in a process of its own.

quantize_litert.py PEER FLOAT.tflite|FLOAT.h5 CALIBRATION.npy OUT.tflite

Prints one JSON line: seconds of the quantizer's own work (not of imports), and the process's peak memory.
"""

import json
import resource
import sys
import time

import numpy as np


def tflite_converter(read):
    """@param read from a path to a function of one input"""
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    def quantize(float_file, data):
        spec = tf.TensorSpec([1, *data.shape[1:]], tf.float32)
        function = read(float_file)
        concrete = tf.function(function, input_signature=[spec]).get_concrete_function()
        # by itself it does not freeze the variables of Keras 3
        frozen = convert_variables_to_constants_v2(concrete)
        converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen])
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([np.array(data[i : i + 1])] for i in range(len(data)))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        return converter.convert()

    return quantize


def from_tflite():
    from rebuild_tf import function_of

    return tflite_converter(function_of)


def from_keras():
    from keras_file import load

    def function_of(path):
        model = load(path)
        return lambda x: model(x, training=False)

    return tflite_converter(function_of)


def ai_edge_quantizer(algorithm):
    from ai_edge_litert.interpreter import Interpreter
    from ai_edge_quantizer import quantizer, recipe

    def quantize(float_file, data):
        ((key, signature),) = Interpreter(float_file).get_signature_list().items()
        (name,) = signature["inputs"]
        work = quantizer.Quantizer(float_file, float_in_and_out(recipe.AlgorithmName[algorithm]))
        feeds = [{name: np.array(data[i : i + 1])} for i in range(len(data))]
        statistics = work.calibrate({key: feeds})
        return bytes(work.quantize(statistics).quantized_model)

    return quantize


def float_in_and_out(algorithm):
    """Its recipe static_wi8_ai8 with real inputs and outputs, as the other peers have them."""
    from ai_edge_quantizer import recipe, recipe_manager

    manager = recipe_manager.RecipeManager()
    manager.add_static_config(
        regex=".*",
        operation_name=recipe.TFLOperationName.ALL_SUPPORTED,
        activation_num_bits=8,
        weight_num_bits=8,
        algorithm_key=algorithm,
    )
    for end in (recipe.TFLOperationName.INPUT, recipe.TFLOperationName.OUTPUT):
        manager.add_quantization_config(
            regex=".*", operation_name=end, algorithm_key=recipe.AlgorithmName.NO_QUANTIZE
        )
    return manager.get_quantization_recipe()


peers = {
    "tflite-converter": from_tflite,
    "tflite-converter-keras": from_keras,
    "ai-edge-quantizer": lambda: ai_edge_quantizer("MIN_MAX_UNIFORM_QUANT"),
    "ai-edge-quantizer-octav": lambda: ai_edge_quantizer("OCTAV"),
    "ai-edge-quantizer-mse": lambda: ai_edge_quantizer("MSE"),
}

if __name__ == "__main__":
    peer, float_file, calibration, out = sys.argv[1:]
    quantize = peers[peer]()
    data = np.load(calibration, mmap_mode="r")
    start, cpu_start = time.perf_counter(), time.process_time()
    quantized = quantize(float_file, data)
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    with open(out, "wb") as file:
        file.write(quantized)
    print("\n" + json.dumps({"seconds": seconds, "cpuSeconds": cpu_seconds, "peakRssBytes": peak}))

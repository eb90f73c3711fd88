"""The function of a float `.tflite` file as TensorFlow operators, for a converter that does not read `.tflite`."""

import numpy as np
import tensorflow as tf
from tensorflow.lite.python import schema_py_generated as schema

operator_names = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
activations = {
    schema.ActivationFunctionType.NONE: lambda x: x,
    schema.ActivationFunctionType.RELU: tf.nn.relu,
    schema.ActivationFunctionType.RELU6: tf.nn.relu6,
}
padding_names = {schema.Padding.SAME: "SAME", schema.Padding.VALID: "VALID"}


def function_of(path):
    """@returns a function of one input"""
    with open(path, "rb") as file:
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(file.read(), 0))
    graph = model.subgraphs[0]
    constants = {}
    for index, tensor in enumerate(graph.tensors):
        content = model.buffers[tensor.buffer].data
        if content is not None and len(content) > 0:
            dtype = {schema.TensorType.FLOAT32: np.float32, schema.TensorType.INT32: np.int32}[tensor.type]
            constants[index] = np.frombuffer(bytes(content), dtype).reshape(tensor.shape)

    def function(x):
        values = {int(graph.inputs[0]): x}
        get = lambda index: values[index] if index in values else constants[index]
        for operator in graph.operators:
            code = model.operatorCodes[operator.opcodeIndex]
            name = operator_names[max(code.builtinCode, code.deprecatedBuiltinCode)]
            given = [get(index) for index in operator.inputs if index >= 0]
            values[int(operator.outputs[0])] = operators[name](operator.builtinOptions, *given)
        return get(int(graph.outputs[0]))

    return function


def convolution(options, x, weights, bias=None):
    y = tf.nn.conv2d(
        x,
        weights.transpose(1, 2, 3, 0),
        [options.strideH, options.strideW],
        padding_names[options.padding],
        dilations=[options.dilationHFactor, options.dilationWFactor],
    )
    return finish(options, y, bias)


def depthwise_convolution(options, x, weights, bias=None):
    y = tf.nn.depthwise_conv2d(
        x,
        # [1, height, width, channels · multiplier] in the file
        weights[0].reshape(*weights.shape[1:3], -1, options.depthMultiplier),
        [1, options.strideH, options.strideW, 1],
        padding_names[options.padding],
        dilations=[options.dilationHFactor, options.dilationWFactor],
    )
    return finish(options, y, bias)


def fully_connected(options, x, weights, bias=None):
    return finish(options, tf.matmul(tf.reshape(x, [-1, weights.shape[1]]), weights.T), bias)


def finish(options, y, bias):
    return activations[options.fusedActivationFunction](y if bias is None else tf.nn.bias_add(y, bias))


def pool(kind):
    return lambda options, x: activations[options.fusedActivationFunction](
        kind(
            x,
            [options.filterHeight, options.filterWidth],
            [options.strideH, options.strideW],
            padding_names[options.padding],
        )
    )


operators = {
    "CONV_2D": convolution,
    "DEPTHWISE_CONV_2D": depthwise_convolution,
    "FULLY_CONNECTED": fully_connected,
    "AVERAGE_POOL_2D": pool(tf.nn.avg_pool2d),
    "MAX_POOL_2D": pool(tf.nn.max_pool2d),
    "ADD": lambda options, a, b: activations[options.fusedActivationFunction](a + b),
    "MEAN": lambda options, x, axes: tf.reduce_mean(x, axes.tolist(), options.keepDims),
    "PAD": lambda _, x, amounts: tf.pad(x, amounts),
    "RELU": lambda _, x: tf.nn.relu(x),
    "RELU6": lambda _, x: tf.nn.relu6(x),
    "RESHAPE": lambda options, x, shape=None: tf.reshape(x, options.newShape if shape is None else shape),
    "SOFTMAX": lambda _, x: tf.nn.softmax(x),
    "TRANSPOSE": lambda _, x, order: tf.transpose(x, order),
}

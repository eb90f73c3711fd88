"""Makes the models of this folder and golden.json: what Keras itself computes for one input each.

Run twice, because Keras 2 and 3 do not live in one process:
    python generate.py keras3 && python generate.py keras2
"""
import gzip
import json
import os
import sys
import zipfile

os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'
os.environ['TF_USE_LEGACY_KERAS'] = '1' if sys.argv[1] == 'keras2' else '0'
import numpy as np

here = os.path.dirname(os.path.abspath(__file__))
if sys.argv[1] == 'keras2':
    import tf_keras as keras
else:
    import keras
L = keras.layers
rng = np.random.default_rng(3)


def convolutions():
    i = keras.Input((9, 8, 4))
    x = L.Conv2D(6, (3, 2), strides=(2, 1), padding='same', activation='relu')(i)
    x = L.BatchNormalization()(x)
    x = L.DepthwiseConv2D(3, depth_multiplier=2, padding='same', strides=2)(x)
    x = L.SeparableConv2D(5, 2, activation='tanh')(x)
    x = L.Conv2DTranspose(4, 3, strides=2, padding='same', use_bias=False)(x)
    x = L.Conv2DTranspose(3, (2, 3), strides=3, padding='valid')(x)
    x = L.Conv2DTranspose(3, 3, strides=2, padding='same', output_padding=1)(x)
    x = L.Conv2D(4, 3, dilation_rate=2)(x)
    return keras.Model(i, L.Conv2D(4, 1, groups=2)(x))


def sequences():
    i = keras.Input((12, 3))
    x = L.Conv1D(6, 3, padding='causal', dilation_rate=2, activation='elu')(i)
    x = L.SeparableConv1D(4, 3, padding='same')(x)
    x = L.ZeroPadding1D((1, 2))(x)
    x = L.Cropping1D((2, 0))(x)
    x = L.MaxPooling1D(2, padding='same')(x)
    x = L.UpSampling1D(2)(x)
    x = L.AveragePooling1D(3, strides=2, padding='same')(x)
    x = L.LayerNormalization()(x)
    x = L.TimeDistributed(L.Dense(5, activation='softsign'))(x)
    x = L.Permute((2, 1))(x)
    y = L.Dense(3)(x)
    return keras.Model(i, [L.GlobalAveragePooling1D()(y), L.GlobalMaxPooling1D()(y)])


def maps():
    i = keras.Input((6, 7, 3))
    x = L.Rescaling(1 / 127.5, offset=-1)(i)
    x = L.ZeroPadding2D(((1, 2), (0, 3)))(x)
    x = L.Cropping2D(((0, 1), (2, 0)))(x)
    a = L.MaxPooling2D(3, strides=2, padding='same')(x)
    b = L.AveragePooling2D(3, strides=2, padding='same')(x)
    c = L.Concatenate()([a, b])
    d = L.UpSampling2D((2, 3), interpolation='nearest')(c)
    e = L.UpSampling2D(2, interpolation='bilinear')(d)
    f = L.Resizing(7, 5)(e)
    g = L.PReLU(shared_axes=[1, 2])(f)
    h = L.Dropout(0.5)(L.GlobalAveragePooling2D(keepdims=True)(g))
    m = L.Multiply()([g, h])
    return keras.Model(i, [L.GlobalMaxPooling2D()(m), L.Dense(4)(L.Flatten()(f))])


def activations():
    i = keras.Input((20,))
    names = ['relu', 'relu6', 'sigmoid', 'tanh', 'elu', 'selu', 'softplus', 'softsign', 'swish', 'gelu', 'hard_sigmoid',
             'exponential', 'softmax', 'mish', 'linear']
    outputs = [L.Activation(name)(i) for name in names]
    outputs += [L.LeakyReLU()(i), L.ELU(0.7)(i), L.PReLU()(i), L.Softmax()(i), L.ReLU(max_value=0.5)(i),
                L.ReLU(negative_slope=0.2, max_value=0.6)(i), L.ReLU(threshold=0.3, negative_slope=0.1, max_value=0.8)(i)]
    return keras.Model(i, L.Concatenate(axis=1)(outputs))


def merges():
    a, b = keras.Input((4, 3), name='left'), keras.Input((4, 3), name='right')
    outputs = [cls()([a, b]) for cls in (L.Add, L.Subtract, L.Multiply, L.Average, L.Maximum, L.Minimum)]
    x = L.Concatenate(axis=1)(outputs)
    return keras.Model([a, b], [x, L.Dot(axes=(2, 2))([a, b]), L.Dot(axes=1)([L.Flatten()(a), L.Flatten()(b)])])


def recurrent():
    i = keras.Input((6, 3))
    x = L.Bidirectional(L.LSTM(3, return_sequences=True))(i)
    x = L.GRU(4, return_sequences=True, go_backwards=True)(x)
    a = L.GRU(3, reset_after=False)(x)
    b = L.SimpleRNN(3)(x)
    c = L.LSTM(3, go_backwards=True, recurrent_activation='hard_sigmoid')(x)
    d = L.Bidirectional(L.GRU(2), merge_mode='sum')(x)
    return keras.Model(i, L.Concatenate()([a, b, c, d]))


def nested():
    block = keras.Sequential([keras.Input((5,)), L.Dense(5, activation='relu'), L.BatchNormalization()], name='block')
    j = keras.Input((5,))
    inner = keras.Model(j, L.Add()([j, L.Dense(5, name='twice')(block(j))]), name='inner')
    i = keras.Input((5,))
    shared = L.Dense(5, name='shared')
    x = shared(inner(shared(i)))
    x = L.Reshape((1, -1))(x)
    return keras.Model(i, L.RepeatVector(3)(L.Flatten()(x)))


def channels_first():
    i = keras.Input((3, 6, 5))
    x = L.ZeroPadding2D(1, data_format='channels_first')(i)
    x = L.BatchNormalization(axis=1)(x)
    x = L.UpSampling2D(2, data_format='channels_first')(x)
    return keras.Model(i, L.Flatten(data_format='channels_first')(x))


def embedding():
    normalization = L.Normalization()
    normalization.adapt(rng.normal(2, 3, (32, 4)))
    i = keras.Input((6,), dtype='int32')
    x = L.Embedding(10, 4)(i)
    return keras.Model(i, L.GlobalAveragePooling1D()(normalization(x)))


def sequential():
    return keras.Sequential([keras.Input((6, 6, 1)), L.Conv2D(3, 3, activation='relu'), L.MaxPooling2D(2), L.Flatten(),
                             L.Dense(4), L.Activation('softmax')])


def randomize(model):
    # what `adapt` learned is computed from once and for all
    adapted = [id(w) for layer in model.layers if isinstance(layer, L.Normalization) for w in layer.weights]
    for weight in model.weights:
        if 'seed' in weight.name or id(weight) in adapted:
            continue
        values = rng.normal(0, 0.4, weight.shape)
        weight.assign(np.abs(values) + 0.5 if 'variance' in weight.name else values)


def inputs_of(model):
    for tensor in model.inputs:
        shape = [1, *tensor.shape[1:]]
        whole = 'int' in str(tensor.dtype)
        yield (rng.integers(0, 10, shape).astype('int32') if whole else rng.normal(0, 1, shape).astype('float32'))


def record(golden, file, model):
    feeds = list(inputs_of(model))
    results = model(feeds if len(feeds) > 1 else feeds[0], training=False)
    results = results if isinstance(results, (list, tuple)) else [results]
    flat = lambda array: [float(f'{number:.7g}') for number in np.asarray(array).reshape(-1)]
    golden[file] = {'inputs': [flat(feed) for feed in feeds], 'outputs': [flat(result) for result in results]}


def main():
    path = os.path.join(here, 'golden.json')
    golden = json.load(open(path)) if os.path.exists(path) else {}
    builders = [convolutions, sequences, maps, activations, merges, recurrent, nested, channels_first, embedding, sequential]
    for build in builders:
        keras.backend.clear_session()
        model = build()
        randomize(model)
        file = f'{build.__name__}.{"h5" if sys.argv[1] == "keras2" else "keras"}'
        model.save(os.path.join(here, file))
        record(golden, file, model)
        if sys.argv[1] == 'keras3' and build in (sequential, nested):
            file = f'{build.__name__}_keras3.h5'
            model.save(os.path.join(here, file))
            record(golden, file, model)
    if sys.argv[1] == 'keras2':
        import tensorflow_model_optimization as tfmot
        i = keras.Input((6, 6, 3))
        x = L.BatchNormalization()(L.Conv2D(4, 3)(i))
        x = L.DepthwiseConv2D(3)(L.ReLU()(x))
        x = L.Dense(3, activation='softmax')(L.Flatten()(x))
        model = tfmot.quantization.keras.quantize_model(keras.Model(i, x))
        model.compile('sgd', 'mse')
        model.fit(rng.normal(0, 1, (64, 6, 6, 3)), rng.random((64, 3)), epochs=3, verbose=0)
        model.save(os.path.join(here, 'quantized.h5'), include_optimizer=False)
        record(golden, 'quantized.h5', model)
    for file in golden:
        shrink(os.path.join(here, file))
    # one model a line
    lines = ',\n'.join(f'{json.dumps(file)}: {json.dumps(golden[file])}' for file in sorted(golden))
    open(path, 'w').write('{\n' + lines + '\n}\n')


def shrink(path):
    """HDF5 pads a lot: an .h5 is kept gzipped, the parts of a .keras are deflated."""
    if not os.path.exists(path):
        return
    if path.endswith('.h5'):
        with gzip.GzipFile(path + '.gz', 'wb', mtime=0) as packed:
            packed.write(open(path, 'rb').read())
        os.remove(path)
        return
    with zipfile.ZipFile(path) as old:
        parts = [(name, old.read(name)) for name in old.namelist()]
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED, compresslevel=9) as new:
        for name, content in parts:
            new.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)


main()

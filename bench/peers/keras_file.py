"""Opens a Keras .h5 file, whichever Keras wrote it."""

import keras
import tf_keras


def load(path):
    try:
        return tf_keras.models.load_model(path, compile=False)
    except TypeError:
        # written by Keras 3, which names its arguments otherwise
        return keras.models.load_model(path, compile=False)

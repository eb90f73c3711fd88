"""Quantizes an ONNX file with AIMET, in a process of its own: quantize_aimet.py PEER FLOAT.onnx CALIBRATION.npy OUT.onnx"""

import onnx

from quantize_onnx import samples_of, timed


def aimet(equalize):
    from aimet_onnx.cross_layer_equalization import equalize_model
    from aimet_onnx.quantsim import QuantizationSimModel

    def quantize(float_file, calibration, out):
        model = onnx.load(float_file)
        name, data = samples_of(model, calibration)
        if equalize:
            equalize_model(model)
        simulation = QuantizationSimModel(model, param_type="int8", activation_type="int8")
        simulation.compute_encodings([{name: data[i : i + 1]} for i in range(len(data))])
        onnx.save(simulation.to_onnx_qdq(), out)

    return quantize


if __name__ == "__main__":
    timed({"aimet": lambda: aimet(False), "aimet-cle": lambda: aimet(True)})

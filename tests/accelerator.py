"""The devices that tests run on: the CPU always, a GPU where builds and driver are there."""

import faiss
import onnxruntime as ort
import pytest

from service.onnx_session import Device

HAS_GPU = (
    "CUDAExecutionProvider" in ort.get_available_providers()
    and hasattr(faiss, "StandardGpuResources")
    and faiss.get_num_gpus() > 0
)
NO_GPU = "no GPU that ONNX Runtime and FAISS both reach"
ON_A_GPU = (pytest.mark.gpu, pytest.mark.skipif(not HAS_GPU, reason=NO_GPU))
DEVICES = [Device.CPU, pytest.param(Device.CUDA, marks=ON_A_GPU)]
"""Parameters of tests that say the same of every device."""

import logging
from pathlib import Path
from types import SimpleNamespace

import onnxruntime as ort
import pytest

from service.contract.errors import ConfigError
from service.onnx_session import Device, load_cuda_libraries, open_session


def test_what_the_libraries_of_cuda_print_becomes_a_line_of_the_log(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    def preload_dlls() -> None:
        print("Failed to load libcublas.so.13: no such file")  # noqa: T201  # as the library does

    with caplog.at_level(logging.WARNING):
        load_cuda_libraries(SimpleNamespace(preload_dlls=preload_dlls))

    assert capsys.readouterr().out == ""
    assert [vars(record)["said"] for record in caplog.records] == [
        "Failed to load libcublas.so.13: no such file"
    ]


def test_libraries_that_are_found_are_not_talked_about(caplog: pytest.LogCaptureFixture) -> None:
    called: list[bool] = []

    load_cuda_libraries(SimpleNamespace(preload_dlls=lambda: called.append(True)))

    assert called == [True]
    assert not caplog.records


def test_a_build_that_cannot_load_them_is_left_to_the_system(
    caplog: pytest.LogCaptureFixture,
) -> None:
    load_cuda_libraries(SimpleNamespace())

    assert not caplog.records


@pytest.mark.skipif(
    "CUDAExecutionProvider" in ort.get_available_providers(), reason="this build knows CUDA"
)
@pytest.mark.parametrize(("device", "times"), [(Device.CPU, 0), (Device.CUDA, 1)])
def test_they_are_loaded_before_cuda_is_asked_for_and_for_nothing_else(
    tiny_bundle: Path, device: Device, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[bool] = []
    monkeypatch.setattr(ort, "preload_dlls", lambda: called.append(True))

    if device is Device.CPU:
        open_session(tiny_bundle / "encoder.onnx", device)
    else:
        with pytest.raises(ConfigError, match="install the extra `gpu`"):
            open_session(tiny_bundle / "encoder.onnx", device)

    assert len(called) == times

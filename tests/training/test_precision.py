import pytest
import torch

from service.contract.errors import ConfigError
from training.config import RunSection, load_config
from training.precision import choose_machine


def run(*overrides: str) -> RunSection:
    return load_config(overrides=overrides).run


def test_auto_on_a_cpu_takes_half_width_only_where_the_cpu_multiplies_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for has_bf16, dtype in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda answer=has_bf16: answer)
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)

        assert choose_machine(run("run.device=cpu")).dtype is dtype


def test_what_is_asked_for_is_taken() -> None:
    machine = choose_machine(run("run.device=cpu", "run.precision=float32"))

    assert not machine.is_mixed
    assert str(machine) == "cpu, float32"


def test_float16_needs_cuda() -> None:
    with pytest.raises(ConfigError, match="float16 needs CUDA"):
        choose_machine(run("run.device=cpu", "run.precision=float16"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what happens without CUDA")
def test_cuda_that_is_not_there_is_an_error_not_a_silent_cpu() -> None:
    with pytest.raises(ConfigError, match="no CUDA device"):
        choose_machine(run("run.device=cuda"))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_auto_takes_the_gpu_where_there_is_one() -> None:
    machine = choose_machine(run())

    assert machine.device.type == "cuda"
    assert machine.is_mixed

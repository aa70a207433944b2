from itertools import combinations

import pytest

from service.contract.errors import ConfigError
from service.packages import ONE_OF, installed_packages, refuse_mixed_packages

PAIRS = [pair for builds in ONE_OF for pair in combinations(builds, 2)]


@pytest.mark.parametrize("pair", PAIRS)
def test_two_builds_of_one_library_are_refused_by_name(pair: tuple[str, str]) -> None:
    with pytest.raises(ConfigError, match=f"{pair[0]} and {pair[1]} are installed side by side"):
        refuse_mixed_packages({*pair, "numpy"})


@pytest.mark.parametrize(
    "one_profile",
    [set[str](), {"onnxruntime", "faiss-cpu"}, {"onnxruntime-gpu", "faiss-gpu-cuvs"}],
)
def test_one_profile_is_let_in(one_profile: set[str]) -> None:
    refuse_mixed_packages(one_profile)


def test_the_packages_of_this_environment_are_found_and_may_serve() -> None:
    installed = installed_packages()

    assert "numpy" in installed
    assert any(name in installed for name in ONE_OF[0])
    refuse_mixed_packages(installed)

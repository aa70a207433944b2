import pytest
from surematch_client import AsyncClient, Client
from surematch_client.connection import checked_url, headers_for


@pytest.mark.parametrize(
    "address",
    [
        "",
        "host",
        "host:8000",
        "ftp://host",
        "http://",
        "http://host/?k=3",
        "http://host:port",
        "/x",
    ],
)
def test_what_is_no_address_of_a_service_is_a_mistake(address: str) -> None:
    with pytest.raises(ValueError, match="base_url"):
        checked_url(address)


def test_a_password_in_a_wrong_address_is_not_repeated() -> None:
    with pytest.raises(ValueError, match="base_url") as caught:
        checked_url("ftp://user:hunter2@host")

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("key", ["", "two words", "line\n", "schlüssel", "tab\t", "a\x7f"])
def test_a_key_that_fits_in_no_header_is_a_mistake_that_is_not_repeated(key: str) -> None:
    with pytest.raises(ValueError, match="api_key") as caught:
        headers_for(key)

    assert not key or key not in str(caught.value)


def test_a_key_goes_as_a_bearer_and_none_goes_not_at_all() -> None:
    assert headers_for("k-1")["Authorization"] == "Bearer k-1"
    assert "Authorization" not in headers_for(None)


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_a_client_shows_its_address_and_no_secret(kind: type[Client | AsyncClient]) -> None:
    shown = repr(kind("http://user:hunter2@host:81/prefix", api_key="k-secret"))

    assert shown == f"{kind.__name__}(URL('http://user:[secure]@host:81/prefix/'))"


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_no_time_at_all_or_for_ever_is_a_mistake(
    kind: type[Client | AsyncClient], seconds: float
) -> None:
    with pytest.raises(ValueError, match="timeout_seconds is"):
        kind("http://host", timeout_seconds=seconds)


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_no_call_under_way_is_a_mistake_at_once(kind: type[Client | AsyncClient]) -> None:
    with pytest.raises(ValueError, match="in_flight is 0, needed is 1 or more"):
        kind("http://host").recommend_many(["a"], in_flight=0)

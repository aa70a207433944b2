import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.access.exposure import anonymous_scopes
from service.access.keys import Scope
from service.contract.errors import ConfigError

LOOPBACK = ["127.0.0.1", "127.0.0.2", "127.255.255.254", "::1", "0:0:0:0:0:0:0:1", "localhost"]
ELSEWHERE = [
    *("0.0.0.0", "::", "", "192.168.1.2", "10.0.0.1", "8.8.8.8", "fe80::1", "2001:db8::1"),  # noqa: S104
    *("shop.example", "localhost.example", "127.0.0.1.example", "128.0.0.1", "127.0.0", "1"),
    "::ffff:127.0.0.1",  # reachable by tricks on some systems; the plain form is there
]


@pytest.mark.parametrize("host", [*LOOPBACK, "LocalHost"])
@pytest.mark.parametrize("allow_anonymous", [False, True])
def test_on_a_loopback_address_anybody_may_do_everything(
    host: str, *, allow_anonymous: bool
) -> None:
    assert anonymous_scopes(host, allow_anonymous=allow_anonymous) == frozenset(Scope)


@pytest.mark.parametrize("host", ELSEWHERE)
def test_elsewhere_nothing_is_open_until_it_is_said(host: str) -> None:
    with pytest.raises(ConfigError) as caught:
        anonymous_scopes(host, allow_anonymous=False)

    complaint = str(caught.value)
    assert complaint.startswith(host or "every address")
    assert "SUREMATCH_KEYS_FILE" in complaint
    assert "SUREMATCH_ALLOW_ANONYMOUS=true" in complaint
    assert "\n" not in complaint


@pytest.mark.parametrize("host", ELSEWHERE)
def test_elsewhere_anybody_may_be_let_ask_and_nothing_else(host: str) -> None:
    assert anonymous_scopes(host, allow_anonymous=True) == {Scope.RECOMMEND}


@given(st.ip_addresses())
def test_an_address_is_open_only_if_it_is_loopback(address: object) -> None:
    text = str(address)
    is_loopback = text.startswith("127.") or text == "::1"

    try:
        opened = anonymous_scopes(text, allow_anonymous=False)
    except ConfigError:
        opened = frozenset[Scope]()

    assert opened == (frozenset(Scope) if is_loopback else frozenset())

"""Bytes that are no good requests: some are refused as no HTTP, some are answered all the same."""

import random

from tests.wire import recommending

GOOD = recommending("canon eos r5 body")
BODY = GOOD.partition(b"\r\n\r\n")[2]
POST = b"POST /recommend HTTP/1.1\r\nHost: x\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
MANY_FIELDS = b"".join(b"X-%d: y\r\n" % number for number in range(100_000))

REFUSED: dict[str, bytes] = {
    "no HTTP": b"\x00\x01\x02\x03\r\n\r\n",
    "the hello of TLS": bytes.fromhex("16030100c8010000c40303") + b"\r\n\r\n",
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "another version": b"GET /livez HTTP/3.0\r\nHost: x\r\n\r\n",
    "another method": b"FETCH /livez HTTP/1.1\r\nHost: x\r\n\r\n",
    "a tunnel": b"CONNECT 127.0.0.1:443 HTTP/1.1\r\nHost: x\r\n\r\n",
    "a tunnel to a path": b"CONNECT /livez HTTP/1.1\r\nHost: x\r\n\r\n",
    "a flood of header fields": POST + MANY_FIELDS,
    "an endless header field": POST + b"X-Long: " + b"y" * 1_000_000,
    "an endless name of a header field": POST + b"y" * 1_000_000,
    "an endless path": b"GET /" + b"y" * 1_000_000,
    "an endless query": b"GET /livez?" + b"y=1&" * 250_000,
    "an endless method": b"G" * 1_000_000,
    "a flood of empty lines": b"\r\n" * 200_000,
    "NUL in a header field": POST + b"X-N: a\x00b\r\n" + LENGTH + b"\r\n" + BODY,
    "NUL in the name of one": POST + b"X\x00N: a\r\n" + LENGTH + b"\r\n" + BODY,
    "NUL in the path": b"GET /li\x00vez HTTP/1.1\r\nHost: x\r\n\r\n",
    "a folded header field": POST + b"X-A: b\r\n c\r\n" + LENGTH + b"\r\n" + BODY,
    "a space before a colon": POST + b"Content-Length : 5\r\n\r\n12345",
    "lines without carriage return": b"GET /livez HTTP/1.1\nHost: x\n\n",
    "a negative length": POST + b"Content-Length: -5\r\n\r\n",
    "a signed length": POST + b"Content-Length: +5\r\n\r\n12345",
    "a length of 24 digits": POST + b"Content-Length: " + b"9" * 24 + b"\r\n\r\n",
    "two lengths": POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n123456",
    "a length and chunks": POST
    + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and a length": POST
    + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "another transfer encoding": POST + b"Transfer-Encoding: gzip\r\n\r\n0\r\n\r\n",
    "no size of a chunk": CHUNKED + b"zz\r\n",
    "a chunk of 20 hex digits": CHUNKED + b"F" * 20 + b"\r\n",
    "a chunk longer than its size": CHUNKED + b"1\r\nabc\r\n0\r\n\r\n",
    "an endless extension of a chunk": CHUNKED + b"1;" + b"x" * 1_000_000,
    "a flood of trailers": CHUNKED + b"0\r\n" + MANY_FIELDS,
}
"""What gets 400, and the end of its connection."""

ANSWERED: dict[str, tuple[bytes, int]] = {
    "chunks": (CHUNKED + b"%x;a=b\r\n" % len(BODY) + BODY + b"\r\n0\r\nX-T: 1\r\n\r\n", 200),
    "empty lines before a request": (b"\r\n\r\n" + GOOD, 200),
    "a header field of 60,000 bytes": (
        POST + b"X-Long: " + b"y" * 60_000 + b"\r\n" + LENGTH + b"\r\n" + BODY,
        200,
    ),
    "an id of 10,000 bytes": (
        POST + b"X-Request-ID: " + b"i" * 10_000 + b"\r\n" + LENGTH + b"\r\n" + BODY,
        200,
    ),
    "an id that is no ASCII": (POST + b"X-Request-ID: \xff\xfe\r\n" + LENGTH + b"\r\n" + BODY, 200),
    "a trace of 50,000 bytes": (
        POST + b"traceparent: 00-" + b"a" * 50_000 + b"\r\n" + LENGTH + b"\r\n" + BODY,
        200,
    ),
    "a thousand traces": (POST + b"traceparent: 00-a\r\n" * 1000 + LENGTH + b"\r\n" + BODY, 200),
    "several keys": (
        POST + b"Authorization: Bearer a\r\n" * 3 + b"X-API-Key: b\r\n" + LENGTH + b"\r\n" + BODY,
        200,
    ),
    "an offer of HTTP/2": (POST + OFFER + LENGTH + b"\r\n" + BODY, 200),
    "an offer of HTTP/2 before chunks": (
        POST
        + OFFER
        + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(BODY)
        + BODY
        + b"\r\n0\r\n\r\n",
        200,
    ),
    "an offer of a web socket": (
        b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        200,
    ),
    "HTTP/1.0": (b"POST /recommend HTTP/1.0\r\n" + LENGTH + b"\r\n" + BODY, 200),
    "a whole URL": (b"GET http://x/livez HTTP/1.1\r\nHost: x\r\n\r\n", 200),
    "an escaped NUL": (b"GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    "escapes that are none": (b"GET /%zz%ff HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    "a way out of the folder": (b"GET /docs/../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    "no path": (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    "a length that cuts the body": (POST + b"Content-Length: 10\r\n\r\n" + BODY, 400),
    "a deadline of NUL bytes": (
        POST + b"X-Request-Deadline-Ms: 1e3\r\n" + LENGTH + b"\r\n" + BODY,
        422,
    ),
}
"""What is strange and gets the answer of a request all the same."""

PIECES = (
    *(b"\r\n", b"\r\n\r\n", b"\x00", b"\xff\xfe", b": ", b"0\r\n\r\n", b"HTTP/1.1", b"GET /livez "),
    *(b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"Expect: 100-continue\r\n"),
    *(b"Connection: close\r\n", OFFER, GOOD, BODY, b"5\r\nab", b'{"queries": [', b"A" * 3000),
)


def mutated(chance: random.Random) -> bytes:
    """Return one to three good requests with a few pieces cut out, put in or changed."""
    content = bytearray(GOOD * chance.randint(1, 3))
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(content) + 1)
        match chance.randrange(4):
            case 0:
                content[at:at] = chance.choice(PIECES)
            case 1:
                del content[at : at + chance.randint(1, 40)]
            case 2:
                content[at : at + 1] = bytes([chance.randrange(256)])
            case _:
                content[at:at] = content[: chance.randrange(200)]
    return bytes(content)

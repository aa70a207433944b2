"""The listening socket at its end: no new connection gets in, and none that did is lost."""

import ctypes
import select
import socket
from typing import Protocol

_SO_ATTACH_FILTER = 26
"""Of Linux; Python has no name for it."""
_FLAGS_OF_TCP = 13
"""Where the byte of flags stands in the header of a segment."""
_SYN = 0x02


class HasDescriptor(Protocol):
    """A socket, or what a transport shows of one."""

    def fileno(self) -> int:
        """Return the descriptor."""
        ...


class _Instruction(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_uint16),
        ("if_true", ctypes.c_uint8),
        ("if_false", ctypes.c_uint8),
        ("operand", ctypes.c_uint32),
    )


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("instructions", ctypes.POINTER(_Instruction)))


def refuse_new_connections(listener: socket.socket) -> bool:
    """Let nobody begin a connection any more; return False where this system cannot.

    To close a listening socket resets every connection that nobody has accepted yet, with the
    request that may have been sent on it. So the doorbell is switched off first: the kernel throws
    segments away that ask for a connection. Handshakes under way are finished, and what was
    begun can be accepted. Whoever asks meanwhile asks again after a second, by himself.
    """
    program = (_Instruction * 4)(
        _Instruction(0x30, 0, 0, _FLAGS_OF_TCP),  # load the byte
        _Instruction(0x45, 0, 1, _SYN),  # is the bit set?
        _Instruction(0x06, 0, 0, 0),  # yes: keep nothing of the segment
        _Instruction(0x06, 0, 0, 0xFFFFFFFF),  # no: keep all of it
    )
    try:
        filtered = bytes(_Program(len(program), program))
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, filtered)
    except OSError:  # another system, or a container that forbids it
        return False
    return True


def has_something_to_read(of: HasDescriptor) -> bool:
    """Return whether a socket has bytes, an end or a new connection that nobody took yet."""
    poll = select.poll()
    poll.register(of.fileno(), select.POLLIN)
    return bool(poll.poll(0))

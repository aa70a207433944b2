"""A disk that fills up: from some moment on, no file of this process may grow."""

import resource
from collections.abc import Callable, Generator
from contextlib import contextmanager


@contextmanager
def no_room(*, beyond: int = 0) -> Generator[Callable[[], None]]:
    """Yield what fills the disk: no file may grow beyond so many bytes until the block ends.

    The kernel refuses the write itself (EFBIG), in every library. Output must not go to a file
    meanwhile, so a test that prints takes `capsys`.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (beyond, hard))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

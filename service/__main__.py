"""The service as a process: ``python -m service --bundle BUNDLE``."""

import sys

from service.cores import limit_native_threads

if __name__ == "__main__":
    limit_native_threads()  # libraries read it when they are loaded, which is what comes next
    from service.command import main

    sys.exit(main(sys.argv[1:]))

"""Writes the dashboards' JSON anew: ``python -m deploy.dashboards``."""

import sys

from deploy.dashboards.files import write_all

if __name__ == "__main__":
    for path in write_all():
        sys.stdout.write(f"{path}\n")

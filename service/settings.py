"""Settings: where and how the service runs, never what it answers."""

import argparse
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.contract.errors import ConfigError

PREFIX = "SUREMATCH_"
NOT_OURS = frozenset({"SUREMATCH_DATA"})
"""Variables with our prefix that the test suite reads."""

LogLevel = Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(str.lower)]


class Settings(BaseSettings):
    """Every setting of the service; a flag of the command line wins over its variable."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, extra="forbid", frozen=True
    )

    bundle: Annotated[Path, Field(description="folder of the bundle to serve")]
    host: Annotated[str, Field(description="address to listen on")] = "127.0.0.1"
    port: Annotated[
        int, Field(ge=0, le=65535, description="port to listen on; 0 takes a free one")
    ] = 8000
    max_body_bytes: Annotated[
        int, Field(ge=1, description="largest body of a request in bytes")
    ] = 4 * 1024 * 1024
    max_queries: Annotated[int, Field(ge=1, description="most queries of one body")] = 1000
    workers: Annotated[
        int | None, Field(ge=1, description="bodies answered at a time; one per core if not set")
    ] = None
    max_waiting: Annotated[
        int, Field(ge=0, description="bodies that may wait for a worker; more get 429")
    ] = 128
    drain_seconds: Annotated[
        float,
        Field(
            ge=0,
            allow_inf_nan=False,
            description="on SIGTERM, how long to answer on while /readyz says 503",
        ),
    ] = 0.0
    shutdown_seconds: Annotated[
        int, Field(ge=1, description="after that, how long requests in flight may take to finish")
    ] = 30
    log_level: Annotated[
        LogLevel, Field(description="least severe log lines: debug, info, warning or error")
    ] = "info"


def read_settings(arguments: Sequence[str]) -> Settings:
    """Return the settings of a command line and the ``SUREMATCH_*`` variables.

    Raises:
        ConfigError: if a variable is unknown, a value is invalid or no bundle is named.
        SystemExit: if the command line has an unknown flag (2), or asks for help (0).
    """
    flags = {k: v for k, v in vars(_parser().parse_args(arguments)).items() if v is not None}
    _refuse_unknown(os.environ)
    try:
        return Settings(**flags)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        name = str(first["loc"][0])
        flag = f"--{name.replace('_', '-')}"
        if first["type"] == "missing":
            message = f"no {name} is named; give {flag} {name.upper()} or set {variable(name)}"
        else:
            message = f"{flag if name in flags else variable(name)}: {first['msg']}"
        raise ConfigError(message) from None


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return PREFIX + name.upper()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m service",
        description="Serve the recommendations of a bundle over HTTP.",
        epilog="Each setting can also be given as the variable named beside it; a flag wins.",
        allow_abbrev=False,
    )
    for name, field in Settings.model_fields.items():
        has_default = not field.is_required() and field.default is not None
        default = f"default {field.default}, " if has_default else ""
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            metavar=name.upper(),
            help=f"{field.description} ({default}{variable(name)})",
        )
    return parser


def _refuse_unknown(environment: Iterable[str]) -> None:
    known = {variable(name) for name in Settings.model_fields} | NOT_OURS
    ours = (name for name in environment if name.upper().startswith(PREFIX))
    unknown = sorted(name for name in ours if name.upper() not in known)
    if unknown:
        names = ", ".join(sorted(known - NOT_OURS))
        message = f"{unknown[0]} is no setting of the service; it reads {names}"
        raise ConfigError(message)

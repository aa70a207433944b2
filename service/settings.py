"""Settings: where and how the service runs, never what it answers."""

import argparse
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.contract.errors import ConfigError
from service.onnx_session import Device

PREFIX = "SUREMATCH_"
NOT_OURS = frozenset({"SUREMATCH_DATA"})
"""Variables with our prefix that the test suite reads."""

LogLevel = Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(str.lower)]


class Settings(BaseSettings):
    """Every setting of the service; a flag of the command line wins over its variable."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, extra="forbid", frozen=True
    )

    bundle: Annotated[
        Path,
        Field(description="bundle to serve, or a folder of bundles whose file CURRENT names one"),
    ]
    wait_for_bundle: Annotated[
        bool, Field(description="without a whole bundle wait for one, live but not ready")
    ] = False
    host: Annotated[str, Field(description="address to listen on")] = "127.0.0.1"
    port: Annotated[
        int, Field(ge=0, le=65535, description="port to listen on; 0 takes a free one")
    ] = 8000

    keys_file: Annotated[
        Path | None, Field(description="TOML file of API keys; see python -m service.new_key")
    ] = None
    allow_anonymous: Annotated[
        bool, Field(description="let anybody who reaches the address ask, without a key")
    ] = False
    bundle_root: Annotated[
        Path | None,
        Field(description="folder whose bundles may be swapped in; the one around the bundle"),
    ] = None
    watch_seconds: Annotated[
        float,
        Field(
            gt=0, allow_inf_nan=False, description="how often CURRENT and the keys are looked at"
        ),
    ] = 2.0

    changes_folder: Annotated[
        Path | None,
        Field(description="folder that keeps changes of products; without it there can be none"),
    ] = None
    merge_products: Annotated[
        int,
        Field(
            ge=1, description="products searched beside the index before they are merged into it"
        ),
    ] = 5000
    accept_new_products: Annotated[
        bool,
        Field(description="let answers with products newer than the calibration be accepted"),
    ] = False

    device: Annotated[Device, Field(description="where encoder and index are: cpu or cuda")] = (
        Device.CPU
    )
    device_memory_mb: Annotated[
        int | None,
        Field(ge=1, description="MiB of an accelerator for the encoder; all there is if unset"),
    ] = None
    workers: Annotated[
        int | None,
        Field(ge=1, description="threads that encode; one per core, or one for an accelerator"),
    ] = None
    batch_tokens: Annotated[
        int | None, Field(ge=1, description="most tokens of a batch; measured at the start")
    ] = None
    interactive_queries: Annotated[
        int, Field(ge=1, description="bodies of more queries wait in a lane of their own")
    ] = 8

    max_body_bytes: Annotated[
        int, Field(ge=1, description="largest body of a request in bytes")
    ] = 4 * 1024 * 1024
    max_stream_bytes: Annotated[
        int, Field(ge=1, description="largest body of a stream of lines in bytes")
    ] = 64 * 1024 * 1024
    max_streams: Annotated[
        int, Field(ge=1, description="streams under way at a time; more get 429")
    ] = 8
    max_queries: Annotated[int, Field(ge=1, description="most queries of one body")] = 1000
    max_waiting: Annotated[
        int, Field(ge=1, description="bodies under way in each lane; more get 429")
    ] = 1024
    max_interactive_tokens: Annotated[
        int, Field(ge=1, description="tokens of small bodies that may wait; more get 429")
    ] = 8192
    max_interactive_seconds: Annotated[
        float,
        Field(
            gt=0,
            allow_inf_nan=False,
            description="longest a small body may have to wait for those before it; else 429",
        ),
    ] = 0.5
    max_bulk_tokens: Annotated[
        int, Field(ge=1, description="tokens of large bodies that may wait; more get 429")
    ] = 131072
    deadline_seconds: Annotated[
        float,
        Field(
            gt=0,
            allow_inf_nan=False,
            description="how long a request may take that sends no X-Request-Deadline-Ms",
        ),
    ] = 60.0
    cache_bytes: Annotated[
        int, Field(ge=0, description="memory for answers of texts that repeat; 0 is none")
    ] = 64 * 1024 * 1024

    recall_probe_share: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            allow_inf_nan=False,
            description="of searches in an approximate index, compared with exact ones behind",
        ),
    ] = 0.001

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
    otlp_endpoint: Annotated[
        str | None, Field(description="URL of an OpenTelemetry collector (HTTP); none sends none")
    ] = None


def read_settings(arguments: Sequence[str]) -> Settings:
    """Return the settings of a command line and the ``SUREMATCH_*`` variables.

    Raises:
        ConfigError: if a variable is unknown, a value is invalid, no bundle is named, or several
            workers shall share an accelerator.
        SystemExit: if the command line has an unknown flag (2), or asks for help (0).
    """
    flags = {k: v for k, v in vars(_parser().parse_args(arguments)).items() if v is not None}
    _refuse_unknown(os.environ)
    try:
        return _one_worker_a_device(Settings(**flags))
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


def _one_worker_a_device(settings: Settings) -> Settings:
    """Return the settings; one thread owns what lies on an accelerator, more would queue there."""
    if settings.device is Device.CUDA and (settings.workers or 1) > 1:
        message = (
            f"{variable('workers')} is {settings.workers} with {variable('device')}={Device.CUDA}, "
            "but one worker feeds an accelerator; leave it unset, and start a process for each GPU"
        )
        raise ConfigError(message)
    return settings


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

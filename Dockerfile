# The service: constraints' packages, then one folder. No compiler, no torch, no root.
# Nothing here depends on the processor: every package has wheels for amd64 and arm64.
#   docker build -t surematch-service .
#   docker build -t surematch-service-gpu --build-arg VARIANT=gpu .     # CUDA 13; never run by us
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS packages
# which constraints and which extra: cpu or gpu
ARG VARIANT=cpu
WORKDIR /build
RUN python -m venv /opt/venv
COPY constraints/ constraints/
RUN /opt/venv/bin/pip install --no-cache-dir --constraint constraints/cpu.txt pip hatchling editables
# the project's packages without its code, so that a change of the code installs nothing anew
COPY pyproject.toml LICENSE ./
COPY service/contract/release.py service/contract/
RUN mkdir training export && touch README.md \
    && /opt/venv/bin/pip install --no-cache-dir --constraint "constraints/${VARIANT}.txt" \
       --no-build-isolation ".[service,${VARIANT}]" \
    && /opt/venv/bin/pip uninstall --yes surematch hatchling editables setuptools pip
# 55 MB that nothing here loads: pyarrow's RPC, its headers and its tests
RUN cd "$(/opt/venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("platlib"))')/pyarrow" \
    && rm -rf tests include libarrow_flight* libarrow_python_flight* _flight*

FROM ${BASE_IMAGE}
# a named volume takes owner and mode of the folder it is mounted on
RUN useradd --system --user-group --uid 10001 --no-create-home --home-dir /tmp surematch \
    && install -d -o surematch -g surematch /bundles
COPY --from=packages /opt/venv /opt/venv
WORKDIR /app
COPY service/ service/
# a read-only file system keeps no bytecode, so it is made here
RUN /opt/venv/bin/python -m compileall -q service
USER 10001
ENV PATH=/opt/venv/bin:$PATH HOME=/tmp PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    MALLOC_MMAP_THRESHOLD_=131072 \
    SUREMATCH_BUNDLE=/bundle SUREMATCH_HOST=0.0.0.0 SUREMATCH_PORT=8000
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ['SUREMATCH_PORT'] + '/readyz', timeout=4)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["python", "-m", "service"]
# last, because they differ from build to build
ARG BASE_IMAGE
ARG VARIANT=cpu
ARG RELEASE=unknown
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="surematch service (${VARIANT})" \
      org.opencontainers.image.description="Product recommendation that says which matches a person must check" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${RELEASE}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.base.name="${BASE_IMAGE}"

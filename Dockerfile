# The service: constraints' packages, then one folder. No compiler, no torch, no root.
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS packages
WORKDIR /build
RUN python -m venv /opt/venv
COPY constraints/ constraints/
RUN /opt/venv/bin/pip install --no-cache-dir --constraint constraints/cpu.txt pip hatchling editables
COPY pyproject.toml README.md LICENSE ./
COPY service/ service/
RUN mkdir training export \
    && /opt/venv/bin/pip install --no-cache-dir --constraint constraints/cpu.txt \
       --no-build-isolation '.[service,cpu]' \
    && /opt/venv/bin/pip uninstall --yes surematch hatchling editables pip

FROM ${BASE_IMAGE}
LABEL org.opencontainers.image.title="surematch service" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=packages /opt/venv /opt/venv
WORKDIR /app
COPY service/ service/
RUN useradd --system --uid 10001 --no-create-home surematch
USER surematch
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    MALLOC_MMAP_THRESHOLD_=131072 \
    SUREMATCH_BUNDLE=/bundle SUREMATCH_HOST=0.0.0.0 SUREMATCH_PORT=8000
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
  CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/readyz', timeout=2)"]
ENTRYPOINT ["python", "-m", "service"]

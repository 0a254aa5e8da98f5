# The service and its worker in one image. Nix builds run inside the container, in Nix's own sandbox, as the unprivileged user.
#
# That sandbox makes user, mount and PID namespaces and mounts a /proc in them, which Docker's defaults forbid: the seccomp profile
# refuses the namespaces, AppArmor's refuses mounts, and the kernel refuses a new /proc while parts of the old one are covered. So:
#
#   docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined …
#
# as both compose files do. Nothing is privileged, and the sandbox is never switched off: without these options a download fails and
# says so. A host that forbids unprivileged user namespaces (kernel.apparmor_restrict_unprivileged_userns=1) must allow them.

FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m venv /opt/example
WORKDIR /src
# The pins change less often than the code: first, so that their layer is kept.
COPY requirements.txt ./
RUN /opt/example/bin/pip install --requirement requirements.txt
COPY pyproject.toml setup.py README.md ./
COPY example ./example
RUN /opt/example/bin/pip install --no-deps .

FROM python:3.11-slim-bookworm AS runtime
# nix-bin without its daemon: the service's user owns /nix and is its only writer. tini reaps what killed builds leave behind.
# Versions are Debian stable's own, and its security updates must come through.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends nix-bin tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --user-group --no-create-home --home-dir /data --shell /usr/sbin/nologin example \
    && install --directory --owner=example --group=example --mode=0750 /data \
    && install --directory --owner=example --group=example --mode=0755 /nix
COPY --from=build /opt/example /opt/example
ENV PATH=/opt/example/bin:$PATH PYTHONUNBUFFERED=1 DATA_DIR=/data
WORKDIR /app
USER 10001:10001
VOLUME ["/data", "/nix"]
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health', timeout=3)"]
ENTRYPOINT ["/usr/bin/tini", "--"]
# The service writes its own request log; uvicorn's would cost a third of the throughput. Run example-init before the first start.
CMD ["uvicorn", "example.server:app", "--host", "0.0.0.0", "--port", "8000", "--no-access-log", "--timeout-graceful-shutdown", "5"]

"""The Compose files and the Dockerfile: what their schema and hadolint (``make lint``) can't know."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from example.config import Settings
from tests.packaging.paths import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
FILES = ["docker-compose.yml", "docker-compose.prod.yml"]


def services_of(file: str) -> dict[str, dict[str, Any]]:
    services: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / file).read_text(encoding="utf-8"))["services"]
    return services


PRODUCTION = services_of("docker-compose.prod.yml")


def test_the_image_runs_as_nobody_special() -> None:
    user = re.findall(r"^USER (\d+):(\d+)$", DOCKERFILE, re.MULTILINE)
    assert user, "numeric, so that runAsNonRoot of Kubernetes can check it"
    assert "0" not in user[-1]


def test_commands_and_health_check_are_in_exec_form() -> None:
    commands = re.findall(r"^\s*(?:CMD|ENTRYPOINT) (.+)$", DOCKERFILE, re.MULTILINE)
    assert len(commands) == 3
    for command in commands:
        assert all(isinstance(word, str) for word in json.loads(command))


def test_base_images_are_pinned_to_python_and_debian_release() -> None:
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) == {"python:3.11-slim-bookworm"}


def test_everything_that_is_copied_gets_past_dockerignore() -> None:
    kept = re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(encoding="utf-8"), re.MULTILINE)
    copied = {name for line in re.findall(r"^COPY ((?!--).+) \S+$", DOCKERFILE, re.MULTILINE) for name in line.split()}
    assert copied == set(kept)


@pytest.mark.parametrize("file", FILES)
def test_every_setting_in_a_compose_file_exists(file: str) -> None:
    known = {name.upper() for name in Settings.model_fields} | {"PYTHONPATH"}
    for name, service in services_of(file).items():
        if name not in ("database", "redis"):
            assert set(service["environment"]) <= known


@pytest.mark.parametrize("file", FILES)
def test_whoever_runs_nix_may_make_its_sandbox_and_nothing_more(file: str) -> None:
    for service in services_of(file).values():
        if any("/nix" in volume for volume in service.get("volumes", [])):
            assert {"seccomp:unconfined", "apparmor:unconfined", "systempaths=unconfined"} <= set(service["security_opt"])
            assert service["cap_drop"] == ["ALL"]
        assert not service.get("privileged")


@pytest.mark.parametrize("file", FILES)
def test_ports_are_published_on_loopback(file: str) -> None:
    published = [port for service in services_of(file).values() for port in service.get("ports", [])]
    assert published
    assert all("127.0.0.1:" in port for port in published)


def test_production_publishes_only_the_web_process() -> None:
    assert [name for name, service in PRODUCTION.items() if "ports" in service] == ["web"]


def test_production_migrates_before_anything_starts() -> None:
    assert PRODUCTION["migrate"]["command"] == ["example-init"]
    for name in ("web", "worker"):
        assert PRODUCTION[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}


def test_production_runs_jobs_in_the_worker_only() -> None:
    assert PRODUCTION["web"]["environment"]["JOBS_IN_WEB"] == "false"
    assert PRODUCTION["worker"]["command"] == ["example-worker"]
    assert PRODUCTION["web"]["volumes"] == PRODUCTION["worker"]["volumes"], "the worker builds what the web process activates"


@pytest.mark.parametrize("name", ["migrate", "web", "worker"])
def test_production_starts_only_with_secrets(name: str) -> None:
    environment = PRODUCTION[name]["environment"]
    assert environment["APP_ENV"] == "production"
    assert environment["SECRET_KEY"].startswith("${SECRET_KEY:?")
    assert "${POSTGRES_PASSWORD:?" in environment["DATABASE_URL"]


def test_production_waits_for_healthy_stores() -> None:
    assert all("test" in PRODUCTION[name]["healthcheck"] for name in ("database", "redis"))
    assert PRODUCTION["migrate"]["depends_on"]["database"] == {"condition": "service_healthy"}

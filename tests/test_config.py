"""Settings: what a combination of environment variables means, and which ones are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from example.config import AppEnv, Settings

GOOD_KEY = "kJ8s-Qm2ZxV0rT5yWc7LbN4dFh1GpUaE9oXi"


def make(**values: Any) -> Settings:
    return Settings(_env_file=None, **values)


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def refusal(**values: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        make(**values)
    return str(caught.value)


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THREADS", "7")
    assert make().threads == 7


def test_settings_come_from_a_dotenv_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("THREADS=8\nUNKNOWN=ignored\n")
    assert Settings(_env_file=tmp_path / ".env").threads == 8


def test_without_settings_the_database_is_a_file_in_the_data_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert make().sqlalchemy_url.render_as_string() == f"sqlite:///{tmp_path}/data/app.db"


def test_db_path_names_another_file(tmp_path: Path) -> None:
    assert make(db_path=tmp_path / "x.db").sqlalchemy_url.database == str(tmp_path / "x.db")


def test_paths_are_absolute_because_subprocesses_run_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = make(data_dir="d", nix_root="r", database_url="sqlite:///x/app.db")
    assert (settings.data_dir, settings.nix_root, settings.sqlalchemy_url.database) == (
        tmp_path / "d",
        tmp_path / "r",
        f"{tmp_path}/x/app.db",
    )


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+asyncpg", "postgresql+psycopg2", "postgresql+psycopg"])
def test_every_postgresql_url_runs_on_the_synchronous_driver(scheme: str) -> None:
    url = make(database_url=f"{scheme}://user:pass@db.example/app").sqlalchemy_url
    assert url.render_as_string(hide_password=False) == "postgresql+psycopg://user:pass@db.example/app"


@pytest.mark.parametrize("scheme", ["sqlite", "sqlite+aiosqlite", "sqlite+pysqlite"])
def test_every_sqlite_url_runs_on_the_synchronous_driver(scheme: str) -> None:
    assert make(database_url=f"{scheme}:////tmp/app.db").sqlalchemy_url.drivername == "sqlite"


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite+aiosqlite://"])
def test_a_database_in_memory_is_refused_because_processes_share_it(url: str) -> None:
    assert "names no file" in refusal(database_url=url)


def test_another_database_is_refused_with_the_ones_that_work() -> None:
    assert "DATABASE_URL names 'mysql'; use sqlite:///path or postgresql://…" in refusal(database_url="mysql://u:hunter2@h/d")


def test_what_is_no_url_is_refused() -> None:
    assert "DATABASE_URL is not a URL" in refusal(database_url="hunter2")


@pytest.mark.parametrize(
    "key", [None, "", "short", "a" * 64, "please-change-me-please-change-me-now", "my-secret-key-0123456789-abcdefghijk"]
)
def test_production_refuses_a_missing_short_or_sample_secret_key(key: str | None) -> None:
    assert "SECRET_KEY must be set to at least 32 random characters" in refusal(app_env="production", secret_key=key)


def test_development_needs_no_secret_key() -> None:
    assert make().secret_key is None


@pytest.mark.parametrize("values", [{"app_env": "production", "secret_key": "hunter2hunter2"}, {"database_url": "mysql://u:hunter2@h/d"}])
def test_a_refusal_never_repeats_a_secret(values: dict[str, str]) -> None:
    assert "hunter2" not in refusal(**values)


def test_secrets_are_hidden_when_settings_are_shown() -> None:
    assert GOOD_KEY not in repr(make(secret_key=GOOD_KEY))


@pytest.mark.parametrize(("env", "given", "rule"), [
    ("development", None, "loopback"), ("production", None, "never"), ("production", "loopback", "loopback"), ("development", "never",
    "never"),
])  # fmt: skip
def test_who_gets_a_first_token(env: str, given: str | None, rule: str) -> None:
    settings = make(app_env=env, secret_key=GOOD_KEY, anonymous_tokens=given)
    assert settings.anonymous_token_rule == rule
    assert settings.production is (settings.app_env is AppEnv.PRODUCTION)


def test_nix_path_is_the_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIX_PATH", "nixpkgs=/x")
    assert make().nix_path == "nixpkgs=/x"

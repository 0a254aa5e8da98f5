"""Settings: every value that an operator can set, read from the environment or ``.env``.

Owns names, defaults and what makes a combination invalid. Documented one by one in docs/settings.md (a test checks that none is missing).
"""

from __future__ import annotations

import ipaddress
import os
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from limits import parse_many
from pydantic import AfterValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

SHORTEST_SECRET_KEY = 32
SAMPLE_SECRET_KEYS = ("change-me", "changeme", "change_me", "secret-key", "secret_key", "insecure", "password")


LARGEST_LIMIT = 1_000_000_000
LONGEST_LIMIT_SECONDS = 366 * 24 * 3600


def _one_limit(text: str) -> str:
    """A limit in the notation of the library ``limits``; nothing turns it off."""
    text = text.strip()
    try:
        limits = parse_many(text) if text else []
        usable = all(1 <= one.amount <= LARGEST_LIMIT and one.get_expiry() <= LONGEST_LIMIT_SECONDS for one in limits)
    except ValueError:
        limits, usable = [], not text
    if not usable or len(limits) > 1:
        raise ValueError(f"{text!r} is not one limit; write it as 60/hour or 5 per 30 seconds, or leave it empty for none")
    return text


def _networks(text: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())


def _only_networks(text: str) -> str:
    """Addresses and networks, separated by commas."""
    try:
        _networks(text)
    except ValueError as error:
        raise ValueError(f"{error}; name addresses or networks, separated by commas: 127.0.0.1, 10.0.0.0/8, fd00::/8") from None
    return text


def _redis_address(text: str) -> str:
    """What redis-py connects to. A message never shows it: there may be a password in it."""
    try:
        url = urlsplit(text)
        usable = bool(url.path) if url.scheme == "unix" else url.scheme in ("redis", "rediss") and bool(url.hostname) and url.port != 0
    except ValueError:
        usable = False
    if text and not usable:
        raise ValueError("is no address of a Redis; use redis://[user:password@]host[:port][/number], rediss://… or unix:///path")
    return text


RateLimit = Annotated[str, AfterValidator(_one_limit)]


class AppEnv(StrEnum):
    """Where the service runs; production refuses the conveniences of development."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


class Settings(BaseSettings):
    """All settings. Field names are the environment variables' names."""

    model_config = SettingsConfigDict(
        env_file=".env", env_file_encoding="utf-8", case_sensitive=False, extra="ignore", hide_input_in_errors=True
    )

    app_env: AppEnv = AppEnv.DEVELOPMENT
    debug: bool = False
    data_dir: Path = Path("data")
    db_path: Path | None = None
    database_url: str | None = None
    secret_key: SecretStr | None = None
    secret_key_previous: SecretStr | None = None
    registration: Literal["open", "invite", "closed"] | None = None
    anonymous_tokens: Literal["loopback", "always", "never"] | None = None
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["json", "console"] | None = None
    threads: Annotated[int, Field(ge=1, le=64)] = 4

    jobs_in_web: bool = True
    job_concurrency: Annotated[int, Field(ge=1, le=64)] = 4
    job_poll_seconds: Annotated[float, Field(ge=0.01, le=60)] = 0.25
    job_retention_days: Annotated[int, Field(ge=1)] = 30
    audit_retention_days: Annotated[int, Field(ge=1)] = 366

    rate_limit_anonymous: RateLimit = "60/hour"
    rate_limit_authenticated: RateLimit = "5000/hour"
    rate_limit_search: RateLimit = "100/hour"
    rate_limit_login: RateLimit = "10/hour"
    rate_limit_pat: RateLimit = ""
    redis_url: Annotated[str, AfterValidator(_redis_address)] = ""
    trusted_proxies: Annotated[str, AfterValidator(_only_networks)] = ""

    nix_pins: str = ""
    nix_root: Path | None = None
    nix_substituters: str = ""
    nix_trusted_public_keys: str = ""
    nix_sandbox_paths: str = ""
    nix_eval_timeout: Annotated[int, Field(ge=1)] = 120
    nix_build_timeout: Annotated[int, Field(ge=1)] = 3600
    nix_silent_timeout: Annotated[int, Field(ge=1)] = 900
    nix_log_limit: Annotated[int, Field(ge=1024)] = 8 * 1024 * 1024

    @model_validator(mode="after")
    def _resolve_paths(self) -> Self:
        """Make every path absolute at once: subprocesses and workers run in other directories."""
        self.data_dir = self.data_dir.absolute()
        self.db_path = (self.db_path or self.data_dir / "app.db").absolute()
        self.nix_root = self.nix_root.absolute() if self.nix_root else None
        return self

    @model_validator(mode="after")
    def _production_needs_a_key(self) -> Self:
        if self.app_env is AppEnv.PRODUCTION:
            key = self.secret_key.get_secret_value() if self.secret_key else ""
            if len(key) < SHORTEST_SECRET_KEY or any(sample in key.lower() for sample in SAMPLE_SECRET_KEYS) or len(set(key)) < 8:
                raise ValueError(
                    f"SECRET_KEY must be set to at least {SHORTEST_SECRET_KEY} random characters when APP_ENV=production; "
                    "make one with: python3 -c 'import secrets; print(secrets.token_urlsafe(48))'"
                )
        return self

    @model_validator(mode="after")
    def _database_url_is_usable(self) -> Self:
        url = self.sqlalchemy_url
        if url.get_backend_name() not in ("sqlite", "postgresql"):
            raise ValueError(f"DATABASE_URL names {url.get_backend_name()!r}; use sqlite:///path or postgresql://…")
        if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
            raise ValueError("DATABASE_URL names no file, and processes share one; use sqlite:///path")
        return self

    @property
    def production(self) -> bool:
        """Whether the rules of production hold."""
        return self.app_env is AppEnv.PRODUCTION

    @property
    def anonymous_token_rule(self) -> Literal["loopback", "always", "never"]:
        """Who may ask for a first token without credentials (SECURITY: the first token)."""
        return self.anonymous_tokens or ("never" if self.production else "loopback")

    @property
    def registration_rule(self) -> Literal["open", "invite", "closed"]:
        """Who may make an account: everybody, who was invited, or nobody (an administrator makes them)."""
        return self.registration or ("closed" if self.production else "open")

    @property
    def trusted_networks(self) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
        """The proxies whose forwarded headers are believed."""
        return _networks(self.trusted_proxies)

    @cached_property
    def sqlalchemy_url(self) -> URL:
        """The database as SQLAlchemy takes it: ``DATABASE_URL`` on the synchronous driver, else SQLite at ``DB_PATH``."""
        if not self.database_url:
            return URL.create("sqlite", database=str(self.db_path))
        try:
            url = make_url(self.database_url)
        except (ArgumentError, ValueError):
            raise ValueError("DATABASE_URL is not a URL; use sqlite:///path or postgresql://user:password@host/name") from None
        if url.get_backend_name() in ("postgresql", "postgres"):
            return url.set(drivername="postgresql+psycopg")
        if url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:"):
            return url.set(drivername="sqlite", database=os.path.abspath(url.database))
        return url

    @property
    def nix_path(self) -> str:
        """``NIX_PATH`` of the host: it decides whether ``<nixpkgs>`` is there."""
        return os.environ.get("NIX_PATH", "")

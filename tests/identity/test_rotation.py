"""Rotating SECRET_KEY: nobody is locked out, and what was used meanwhile outlives the old key."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from pydantic import SecretStr

from example.audit.verify import verify
from example.config import Settings
from example.core import open_core
from example.errors import SchemaMismatch
from tests.nixstore import eventually
from tests.people import PASSWORD
from tests.service import Service, expect, expect_problem, in_process

OLD, NEW = "old-key-0123456789-abcdefghijklmnop", "new-key-9876543210-ponmlkjihgfedcba"


@contextmanager
def service_with(settings: Settings, key: str, previous: str | None = None) -> Iterator[Service]:
    keys = {"secret_key": SecretStr(key), "secret_key_previous": SecretStr(previous) if previous else None}
    yield from in_process(settings.model_copy(update=keys))


def test_a_rotation_locks_nobody_out_and_what_was_used_meanwhile_outlives_the_old_key(settings: Settings) -> None:
    with service_with(settings, OLD) as service:
        used, unused = (service.with_token(service.new_token()["token"]) for _ in range(2))
        account = {"username": "rotor", "email": "rotor@example.org", "password": PASSWORD}
        expect(service.post("/auth/register", account), 201)
        session = expect(service.post("/auth/login", {"username": "rotor", "password": PASSWORD}), 200)
    with service_with(settings, NEW, OLD) as service:
        first = expect(service.get("/tokens", headers=used), 200)
        assert eventually(lambda: any(one["last_used_at"] for one in expect(service.get("/tokens", headers=used), 200)[1:2])), first
        expect(service.get("/users/me", headers=service.with_token(session["token"])), 200)
        fresh = expect(service.post("/auth/refresh", {"refresh_token": session["refresh_token"]}), 200)
    with service_with(settings, NEW) as service:
        expect(service.get("/packages", headers=used), 200)
        expect_problem(service.get("/packages", headers=unused), 401, "token_invalid")
        expect(service.post("/auth/refresh", {"refresh_token": fresh["refresh_token"]}), 200)
        assert service.services is not None
        core = service.services.core
        assert verify(core.database, core.keys.audit).entries > 0


def test_the_new_key_alone_is_refused_before_the_rotation(settings: Settings) -> None:
    open_core(settings.model_copy(update={"secret_key": SecretStr(OLD)})).close()
    with pytest.raises(SchemaMismatch, match="SECRET_KEY_PREVIOUS"):
        open_core(settings.model_copy(update={"secret_key": SecretStr(NEW)}))

"""Policies, as settings name them, and the subjects they count."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from example.config import Settings
from example.ratelimit.policies import Policies, Policy, address_subject, login_subject, storable


def settings(**values: str) -> Settings:
    return Settings(_env_file=None, **values)  # type: ignore[arg-type]


def policy(text: str) -> Policy:
    made = Policy.of("test", text)
    assert made is not None
    return made


@pytest.mark.parametrize(("name", "amount"), [("anonymous", 60), ("authenticated", 5000), ("search", 100), ("login", 10)])
def test_each_policy_has_its_default_an_hour(name: str, amount: int) -> None:
    found: Policy = getattr(Policies.of(settings()), name)
    assert (found.name, found.amount, found.seconds) == (name, amount, 3600)


def test_tokens_have_no_limit_of_their_own_by_default() -> None:
    assert Policies.of(settings()).pat is None


def test_an_empty_setting_turns_a_policy_off() -> None:
    assert Policies.of(settings(rate_limit_login="")).login is None


def test_a_limit_may_be_for_several_units() -> None:
    made = policy("5 per 30 seconds")
    assert (made.amount, made.seconds) == (5, 30)


@pytest.mark.parametrize(
    "text", ["often", "10", "10/fortnight", "0/hour", "1/second; 5/minute", "-1/hour", "9999999999/hour", "1/2 year", "9" * 5000 + "/hour"]
)
def test_a_limit_that_is_none_refuses_the_start(text: str) -> None:
    with pytest.raises(ValidationError, match="is not one limit; write it as 60/hour"):
        settings(rate_limit_login=text)


@pytest.mark.parametrize("url", ["redis://cache", "redis://user:secret@cache:6379/1", "rediss://[::1]:6380", "unix:///run/redis.sock?db=1"])
def test_the_address_of_a_redis_is_taken(url: str) -> None:
    assert settings(redis_url=url).redis_url == url


@pytest.mark.parametrize("url", ["cache:6379", "http://cache", "redis://", "redis://:secret@/0", "redis://h:secret", "unix:", "redis://["])
def test_what_is_no_address_of_a_redis_refuses_the_start_and_is_not_shown(url: str) -> None:
    with pytest.raises(ValidationError, match="no address of a Redis") as caught:
        settings(redis_url=url)
    assert "secret" not in str(caught.value)


def test_trusted_proxies_are_addresses_and_networks() -> None:
    assert [str(one) for one in settings(trusted_proxies="127.0.0.1, 10.0.0.0/8,fd00::/8,").trusted_networks] == [
        "127.0.0.1/32",
        "10.0.0.0/8",
        "fd00::/8",
    ]


def test_nobody_is_trusted_by_default() -> None:
    assert settings().trusted_networks == ()


@pytest.mark.parametrize("text", ["10.0.0.1/8", "proxy.example", "*", "10.0.0.0/33"])
def test_trusted_proxies_that_are_no_networks_refuse_the_start(text: str) -> None:
    with pytest.raises(ValidationError, match="name addresses or networks, separated by commas"):
        settings(trusted_proxies=text)


@pytest.mark.parametrize(
    ("address", "subject"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::ffff", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "unknown"),
        (None, "unknown"),
    ],
)
def test_addresses_are_folded_to_whom_they_stand_for(address: str | None, subject: str) -> None:
    assert address_subject(address) == subject


def test_logging_in_is_counted_by_name_and_address() -> None:
    tried = {login_subject(name, address) for name in ("ada", "bob") for address in ("192.0.2.1", "192.0.2.2")}
    assert len(tried) == 4


def test_a_password_in_the_field_of_the_name_is_not_kept() -> None:
    assert "hunter2" not in login_subject("hunter2", "192.0.2.1")


@pytest.mark.parametrize("odd", ["x" * 101, "nul\0", "line\nbreak", "\ud800"])
def test_a_subject_that_no_column_takes_becomes_a_digest(odd: str) -> None:
    assert len(storable(odd)) == 32
    assert storable("user 7") == "user 7"


def test_another_limit_counts_anew() -> None:
    assert policy("5/hour").key("x") != policy("6/hour").key("x")

"""Which passwords are good, how they are kept, and where hashing runs."""

from __future__ import annotations

import asyncio
import os
import threading

import pytest

from example.errors import Invalid, Unavailable
from example.identity import passwords

GOOD = "seven lazy otters at dawn"


@pytest.fixture(scope="module")
def kept() -> str:
    return passwords.hashed(GOOD)


@pytest.mark.parametrize("password", [GOOD, "x" * 60 + GOOD, "kJ8s-Qm2Z", "пароль неизвестный никому", "a b c d e f g h Q 9"])
def test_good_ones_are_taken(password: str) -> None:
    passwords.require_good(password)


@pytest.mark.parametrize("password", ["", "seven77", "kJ8s-Qm" + "x" * 122])
def test_the_length_is_said_without_the_password(password: str) -> None:
    with pytest.raises(Invalid, match=f"8 to 128 characters, and this one has {len(password)}"):
        passwords.require_good(password)


@pytest.mark.parametrize("password", ["12345678", "qwertyuiop", "x" * 128, "abcabcabcabc", "Password1!"])
def test_weak_ones_are_refused_with_advice_and_without_the_password(password: str) -> None:
    with pytest.raises(Invalid, match=r"too easy to guess\. \w+") as refused:
        passwords.require_good(password, field="new_password")
    assert password not in str(refused.value)
    assert refused.value.extra["errors"][0]["field"] == "new_password"


@pytest.mark.parametrize("password", ["marguerite77", "wollstonecraft"])
def test_what_is_made_of_the_users_own_name_is_weak(password: str) -> None:
    passwords.require_good("Wollstonecraft-Qx7")
    with pytest.raises(Invalid, match="too easy to guess"):
        passwords.require_good(password, names=("marguerite77", "wollstonecraft@example.com"))


def test_a_hash_is_argon2id_with_the_documented_cost(kept: str) -> None:
    assert kept.startswith("$argon2id$v=19$m=65536,t=3,p=4$") and len(kept) <= 200
    assert passwords.matches(kept, GOOD)
    assert not passwords.matches(kept, GOOD + " ")
    assert not passwords.needs_rehash(kept)


def test_how_a_character_is_composed_makes_no_difference() -> None:
    assert passwords.matches(passwords.hashed("Bänkelsänger 9"), "Ba\u0308nkelsa\u0308nger 9")


def test_nobodys_password_matches_nothing_and_costs_what_anybodys_costs(kept: str) -> None:
    assert not passwords.matches(None, GOOD)
    assert passwords._NOBODYS.split("$")[:4] == kept.split("$")[:4]


@pytest.mark.parametrize("broken", ["$argon2id$broken", "!", "$2b$12$abc"])
def test_what_is_no_hash_matches_nothing(broken: str) -> None:
    assert not passwords.matches(broken, GOOD)


def test_a_hash_of_another_cost_is_to_be_made_anew() -> None:
    cheap = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$2RmRJQ7lHlzRx1nBhuUwbA"
    assert passwords.needs_rehash(cheap)


def test_hashing_runs_in_threads_of_low_priority() -> None:
    def where() -> tuple[str, int]:
        return threading.current_thread().name, os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    name, niceness = asyncio.run(passwords.aside(where))
    assert name.startswith("passwords")
    assert niceness == min(19, passwords.NICENESS)
    assert where()[1] < niceness


def test_no_more_than_a_hundred_wait() -> None:
    async def flood() -> list[object]:
        gate = threading.Event()
        waiting = [asyncio.ensure_future(passwords.aside(gate.wait)) for _ in range(passwords.WAITING_AT_MOST)]
        await asyncio.sleep(0)
        with pytest.raises(Unavailable, match="try again"):
            await passwords.aside(gate.wait)
        gate.set()
        return list(await asyncio.gather(*waiting))

    assert len(asyncio.run(flood())) == passwords.WAITING_AT_MOST
    assert asyncio.run(passwords.aside(lambda: "again")) == "again"

"""Passwords are hashed as the settings say, a bounded number at once."""

import asyncio

import pytest
from argon2 import PasswordHasher

from agents.runtime.http import hashing
from agents.runtime.http.hashing import Hasher
from agents.runtime.http.problems import Problem
from config.settings import load

QUICK = {"argon2_memory_kib": 8192, "argon2_time_cost": 1}


async def test_a_hash_names_its_parameters_and_fits_its_password_only() -> None:
    hasher = Hasher(load(**QUICK, argon2_parallelism=2))
    first, second = await asyncio.gather(hasher.hash("密码 correct"), hasher.hash("密码 correct"))
    hasher.close()
    assert first.startswith("$argon2id$v=19$m=8192,t=1,p=2$") and first != second
    assert PasswordHasher().verify(first, "密码 correct")


async def test_beyond_the_limit_the_next_one_is_refused_and_the_places_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "HASHES_WAITING_MAX", 2)
    hasher = Hasher(load(**QUICK))
    results = await asyncio.gather(*(hasher.hash("correct horse") for _ in range(5)), return_exceptions=True)
    assert [isinstance(r, Problem) and r.code for r in results].count("busy") == 3
    assert (await hasher.hash("correct horse")).startswith("$argon2id$")
    hasher.close()

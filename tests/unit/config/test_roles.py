"""Roles: every permission that the API asks for is somebody's, and who is not in the table may nothing."""

import pytest

from config.roles import MEMBERS, PERMISSIONS, STAFF, may
from gateway import principals, registrations
from gateway.table import OPERATIONS
from tools import admin

WANTED = {operation.permission for operation in OPERATIONS if operation.permission}


def test_what_the_api_asks_for_is_what_is_given() -> None:
    assert set().union(*PERMISSIONS.values()) == WANTED


@pytest.mark.parametrize("role", ["", "root", "BORROWER", "borrower "])
def test_a_role_that_is_none_may_nothing(role: str) -> None:
    assert not any(may(role, permission) for permission in WANTED)


@pytest.mark.parametrize("role", [*MEMBERS, *STAFF])
def test_nobody_may_what_is_no_permission(role: str) -> None:
    assert may(role, "see_me") and not may(role, "") and not may(role, "see")


def test_money_is_moved_by_its_owner_and_audits_are_made_by_auditors() -> None:
    moves = {"open_account", "recharge", "authorize_repay", "publish_loan", "withdraw_loan", "bid", "pay"}
    assert not any(may(role, permission) for role in STAFF for permission in moves)
    assert [role for role in PERMISSIONS if may(role, "audit_loan")] == ["auditor"]
    assert [role for role in PERMISSIONS if may(role, "publish_loan")] == ["borrower"]
    assert [role for role in PERMISSIONS if may(role, "bid")] == ["investor"]


def test_the_table_has_the_roles_that_can_be_had() -> None:
    assert set(PERMISSIONS) == {*MEMBERS, *STAFF}
    assert set(STAFF) == set(admin.ROLES) == principals.STAFF
    assert set(MEMBERS) == set(registrations.ROLES)

"""Every sentence of the contract of accounts."""

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from alerts.ledger.accounts import SqlAccounts, open_accounts
from alerts.people import Actor, Role
from tests.alerts.ledger.builders import lay_empty

LATER_US = 1_000
DUTY = Actor(account="duty", role=Role.OFFICER)


@pytest.fixture
def accounts(tmp_path: Path) -> Iterator[SqlAccounts]:
    """With one officer, who has no password yet."""
    opened = open_accounts(lay_empty(tmp_path / "ledger.db"))
    opened.create("duty", Role.OFFICER, now_us=0)
    yield opened
    opened.close()


def test_accounts_make_the_ledger_when_there_is_none(tmp_path: Path) -> None:
    opened = open_accounts(tmp_path / "ledger.db")
    opened.create("duty", Role.OFFICER, now_us=0)
    assert opened.names() == {"duty": Role.OFFICER}
    opened.close()


def test_accounts_are_listed_by_name_and_start_without_a_password(accounts: SqlAccounts) -> None:
    accounts.create("boss.2-x_", Role.ADMIN, now_us=0)
    assert list(accounts.names().items()) == [("boss.2-x_", Role.ADMIN), ("duty", Role.OFFICER)]
    assert accounts.password_hash("duty") is None
    assert accounts.password_hash("nobody") is None


@pytest.mark.parametrize("name", ["", "a", "a" * 41, "Duty", "du ty", "duty\n", "หมู่", "a/b", "a@b"])
def test_a_bad_name_is_refused(accounts: SqlAccounts, name: str) -> None:
    with pytest.raises(ValueError, match="2-40"):
        accounts.create(name, Role.VIEWER, now_us=0)
    assert list(accounts.names()) == ["duty"]


def test_a_taken_name_is_refused_and_keeps_its_role(accounts: SqlAccounts) -> None:
    with pytest.raises(ValueError, match="taken"):
        accounts.create("duty", Role.ADMIN, now_us=0)
    assert accounts.names() == {"duty": Role.OFFICER}


def test_the_longest_and_shortest_names_are_accepted(accounts: SqlAccounts) -> None:
    accounts.create("ab", Role.VIEWER, now_us=0)
    accounts.create("a" * 40, Role.VIEWER, now_us=0)
    assert len(accounts.names()) == 3


def test_an_invite_sets_the_password_once(accounts: SqlAccounts) -> None:
    token = accounts.invite("duty", now_us=0, expires_us=LATER_US)
    assert accounts.invited(token, now_us=1) == DUTY
    assert accounts.redeem(token, password_hash="hash1", now_us=1) == DUTY
    assert accounts.password_hash("duty") == "hash1"

    assert accounts.invited(token, now_us=1) is None
    assert accounts.redeem(token, password_hash="hash2", now_us=1) is None
    assert accounts.password_hash("duty") == "hash1"


def test_an_invite_ends_at_its_expiry(accounts: SqlAccounts) -> None:
    token = accounts.invite("duty", now_us=0, expires_us=LATER_US)
    assert accounts.invited(token, now_us=LATER_US - 1) == DUTY
    assert accounts.invited(token, now_us=LATER_US) is None
    assert accounts.redeem(token, password_hash="hash", now_us=LATER_US) is None
    assert accounts.password_hash("duty") is None


def test_a_new_invite_ends_the_older_ones_of_its_account_only(accounts: SqlAccounts) -> None:
    accounts.create("other", Role.VIEWER, now_us=0)
    others = accounts.invite("other", now_us=0, expires_us=LATER_US)
    older = accounts.invite("duty", now_us=0, expires_us=LATER_US)
    newer = accounts.invite("duty", now_us=0, expires_us=LATER_US)
    assert accounts.invited(older, now_us=1) is None
    assert accounts.invited(newer, now_us=1) == DUTY
    assert accounts.invited(others, now_us=1) == Actor(account="other", role=Role.VIEWER)


def test_redeeming_ends_all_sessions_of_the_account_only(accounts: SqlAccounts) -> None:
    accounts.create("other", Role.VIEWER, now_us=0)
    mine = [accounts.open_session("duty", now_us=0, expires_us=LATER_US) for _ in range(2)]
    others = accounts.open_session("other", now_us=0, expires_us=LATER_US)
    token = accounts.invite("duty", now_us=0, expires_us=LATER_US)
    assert [accounts.session(session, now_us=1) for session in mine] == [DUTY, DUTY]
    accounts.redeem(token, password_hash="hash", now_us=1)
    assert [accounts.session(session, now_us=1) for session in mine] == [None, None]
    assert accounts.session(others, now_us=1) is not None


def test_a_session_lasts_until_its_expiry_or_its_end(accounts: SqlAccounts) -> None:
    token = accounts.open_session("duty", now_us=0, expires_us=LATER_US)
    assert accounts.session(token, now_us=LATER_US - 1) == DUTY
    assert accounts.session(token, now_us=LATER_US) is None
    accounts.close_session(token)
    accounts.close_session(token)
    assert accounts.session(token, now_us=1) is None


def test_opening_a_session_clears_expired_ones_and_keeps_the_others(accounts: SqlAccounts) -> None:
    old = accounts.open_session("duty", now_us=0, expires_us=5)
    young = accounts.open_session("duty", now_us=0, expires_us=LATER_US)
    accounts.open_session("duty", now_us=5, expires_us=LATER_US)
    assert accounts.session(old, now_us=1) is None
    assert accounts.session(young, now_us=6) == DUTY


def test_nobody_can_be_invited_or_signed_in_who_has_no_account(accounts: SqlAccounts) -> None:
    with pytest.raises(KeyError, match="nobody"):
        accounts.invite("nobody", now_us=0, expires_us=LATER_US)
    with pytest.raises(KeyError, match="nobody"):
        accounts.open_session("nobody", now_us=0, expires_us=LATER_US)


@pytest.mark.parametrize("token", ["", "x", "ก", "\ud800", "a" * 10_000])
def test_a_made_up_token_opens_nothing(accounts: SqlAccounts, token: str) -> None:
    assert accounts.session(token, now_us=0) is None
    assert accounts.invited(token, now_us=0) is None
    assert accounts.redeem(token, password_hash="hash", now_us=0) is None
    accounts.close_session(token)


def test_an_invite_is_no_session_and_a_session_no_invite(accounts: SqlAccounts) -> None:
    invite = accounts.invite("duty", now_us=0, expires_us=LATER_US)
    session = accounts.open_session("duty", now_us=0, expires_us=LATER_US)
    assert accounts.session(invite, now_us=1) is None
    assert accounts.invited(session, now_us=1) is None


def test_tokens_are_long_differ_and_are_stored_as_hashes_only(accounts: SqlAccounts, tmp_path: Path) -> None:
    invite = accounts.invite("duty", now_us=0, expires_us=LATER_US)
    session = accounts.open_session("duty", now_us=0, expires_us=LATER_US)
    assert invite != session
    assert min(len(invite), len(session)) >= 43
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as raw:
        dump = "\n".join(raw.iterdump())
    for token in (invite, session):
        assert token not in dump
        assert hashlib.sha256(token.encode()).hexdigest() in dump


def test_accounts_outlive_a_restart(accounts: SqlAccounts, tmp_path: Path) -> None:
    token = accounts.open_session("duty", now_us=0, expires_us=LATER_US)
    again = open_accounts(tmp_path / "ledger.db")
    try:
        assert again.session(token, now_us=1) == DUTY
    finally:
        again.close()

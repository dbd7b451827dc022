"""Accounts of officers and technicians in the ledger's database."""

import re
import secrets
from hashlib import sha256
from pathlib import Path

from sqlalchemy import Connection, Table, delete, insert, select, update

from alerts.ledger.sql_engine import Database, insert_into, open_database
from alerts.ledger.tables import ACCOUNT, INVITE, SESSION
from alerts.people import Accounts, Actor, Role

NAME = re.compile(r"[a-z0-9._-]{2,40}")
TOKEN_BYTES = 32
"""256 bits: a token cannot be guessed, so a plain hash of it is enough."""


def open_accounts(where: str | Path) -> "SqlAccounts":
    """Open the accounts of the ledger at a path or `sqlite:///path`; see `open_ledger`."""
    return SqlAccounts(open_database(where))


class SqlAccounts(Accounts):
    """See `Accounts`. Owns the database it is given. A token that was used or ended has no row any more."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, name: str, role: Role, *, now_us: int) -> None:
        """See the contract."""
        if not NAME.fullmatch(name):
            raise ValueError(f"account name {name!r} is not 2-40 characters of a-z 0-9 . _ -")
        row = {"name": name, "role": role, "password_hash": None, "created_us": now_us}
        with self._database.write() as connection:
            if connection.execute(insert_into(ACCOUNT).on_conflict_do_nothing(), row).rowcount != 1:
                raise ValueError(f"account name {name!r} is taken")

    def invite(self, name: str, *, now_us: int, expires_us: int) -> str:
        """See the contract."""
        with self._database.write() as connection:
            connection.execute(delete(INVITE).where(INVITE.c.account == name))
            return _new_token(connection, INVITE, name, now_us=now_us, expires_us=expires_us)

    def invited(self, token: str, *, now_us: int) -> Actor | None:
        """See the contract."""
        return self._holder(INVITE, token, now_us=now_us)

    def redeem(self, token: str, *, password_hash: str, now_us: int) -> Actor | None:
        """See the contract."""
        with self._database.write() as connection:
            actor = _holder(connection, INVITE, token, now_us=now_us)
            if actor is None:
                return None
            chosen = update(ACCOUNT).where(ACCOUNT.c.name == actor.account)
            connection.execute(chosen.values(password_hash=password_hash))
            for table in (INVITE, SESSION):
                connection.execute(delete(table).where(table.c.account == actor.account))
            return actor

    def password_hash(self, name: str) -> str | None:
        """See the contract."""
        with self._database.read() as connection:
            stored: str | None = connection.execute(
                select(ACCOUNT.c.password_hash).where(ACCOUNT.c.name == name)
            ).scalar()
            return stored

    def open_session(self, name: str, *, now_us: int, expires_us: int) -> str:
        """See the contract. Sessions of the account that have expired are cleared away."""
        with self._database.write() as connection:
            connection.execute(delete(SESSION).where(SESSION.c.account == name, SESSION.c.expires_us <= now_us))
            return _new_token(connection, SESSION, name, now_us=now_us, expires_us=expires_us)

    def session(self, token: str, *, now_us: int) -> Actor | None:
        """See the contract."""
        return self._holder(SESSION, token, now_us=now_us)

    def close_session(self, token: str) -> None:
        """See the contract."""
        with self._database.write() as connection:
            connection.execute(delete(SESSION).where(SESSION.c.token_sha256 == _digest(token)))

    def names(self) -> dict[str, Role]:
        """See the contract."""
        with self._database.read() as connection:
            everyone = connection.execute(select(ACCOUNT.c.name, ACCOUNT.c.role).order_by(ACCOUNT.c.name))
            return {name: Role(role) for name, role in everyone}

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def _holder(self, table: Table, token: str, *, now_us: int) -> Actor | None:
        with self._database.read() as connection:
            return _holder(connection, table, token, now_us=now_us)


def _digest(token: str) -> str:
    """What is stored instead of a token; a token may be any text that a browser sent."""
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _new_token(connection: Connection, table: Table, name: str, *, now_us: int, expires_us: int) -> str:
    if connection.execute(select(ACCOUNT.c.name).where(ACCOUNT.c.name == name)).first() is None:
        raise KeyError(name)
    token = secrets.token_urlsafe(TOKEN_BYTES)
    row = {"token_sha256": _digest(token), "account": name, "created_us": now_us, "expires_us": expires_us}
    connection.execute(insert(table), row)
    return token


def _holder(connection: Connection, table: Table, token: str, *, now_us: int) -> Actor | None:
    """Whose unexpired token this is."""
    found = connection.execute(
        select(ACCOUNT.c.name, ACCOUNT.c.role)
        .join(table, table.c.account == ACCOUNT.c.name)
        .where(table.c.token_sha256 == _digest(token), table.c.expires_us > now_us)
    ).first()
    return None if found is None else Actor(account=found.name, role=Role(found.role))

"""What the three programs share: the rows of ../drizzle/schema.sql, and what a refusal must say."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

ACME = UUID("01900000-0000-7000-8000-00000000000a")
BOLT = UUID("01900000-0000-7000-8000-00000000000b")


def row(tail: str) -> UUID:
    """An id of schema.sql by its last digits: row("1a1") is the anvil."""
    return UUID(f"01900000-0000-7000-8000-{tail.zfill(12)}")


@dataclass(frozen=True)
class Honest:
    """A query that must succeed and give exactly these rows."""

    name: str
    run: Callable[[Any], Awaitable[Any]]
    expected: Any


@dataclass(frozen=True)
class Forgotten:
    """A query without its filter: it leaks on PostgreSQL, and the guard must refuse it."""

    name: str
    run: Callable[[Any], Awaitable[Any]]
    table: str
    rules: tuple[str, ...] = ("unbound-tenant",)
    leaks: Callable[[Any], bool] = lambda result: re.search("Foreign|Gone", repr(result)) is not None


@dataclass(frozen=True)
class Conversation:
    """Steps that run in every mode, and what must have come of them in each."""

    name: str
    run: Callable[[Any], Awaitable[Any]]
    audit: Any
    enforce: Any


@dataclass
class Refusal:
    """The fields of the server's error, however a driver names them."""

    sqlstate: str | None
    message: str
    detail: str | None
    hint: str | None
    position: str | None


@dataclass
class Shop:
    """One driver: how to connect, its lists, and how to read its errors."""

    connect: Callable[[str, UUID | None], Awaitable[Any]]
    close: Callable[[Any], Awaitable[None]]
    backend_pid: Callable[[Any], Awaitable[int]]
    refusal: Callable[[BaseException], Refusal | None]
    honest: list[Honest]
    forgotten: list[Forgotten]
    conversations: list[Conversation]
    sent: list[str] = field(default_factory=list)


def as_sent(text: str) -> str:
    """The text with psycopg's placeholders numbered as psycopg numbers them before it sends."""
    numbers: dict[str, int] = {}
    count = 0

    def number(match: re.Match[str]) -> str:
        nonlocal count
        if match[0] == "%%":
            return "%"
        name = match[1]
        if name is None or name not in numbers:
            count += 1
            numbers[name or f"#{count}"] = count
        return f"${count if name is None else numbers[name]}"

    return re.sub(r"%%|%(?:\((\w+)\))?s", number, text)


HINTS = {"visible-deleted": "deleted_at", "mixed-tenants": "tenant"}


def assert_refusal(refusal: Refusal, entry: Forgotten, sql: str) -> None:
    """A refusal must name the rule, the table, the place, and what to write instead."""
    assert refusal.sqlstate == "42501", f"SQLSTATE {refusal.sqlstate}: {refusal.message}"
    rule = next((name for name in entry.rules if name in (refusal.detail or "")), None)
    assert rule, f"DETAIL names none of {entry.rules}: {refusal.detail}"
    assert entry.table in (refusal.detail or ""), f"DETAIL does not name {entry.table}: {refusal.detail}"
    predicate = HINTS.get(rule, "organization_id")
    assert predicate in (refusal.hint or ""), f"HINT does not name {predicate}: {refusal.hint}"
    assert re.fullmatch(r"[1-9]\d*", refusal.position or ""), f"POSITION is {refusal.position}"
    rest = sql[int(refusal.position) - 1 :]
    assert re.match(rf'("?public"?\.)?"?{entry.table}\b', rest), f"POSITION {refusal.position} of: {sql}"

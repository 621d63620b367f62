"""Runs a driver's lists over one connection whose startup packet names Acme as the organization.

DATABASE_URL  the guard, or PostgreSQL itself (whose tables ../drizzle/schema.sql made)
EXPECT        enforce: forgotten queries are refused; audit: every query works
DRIVER        psycopg, asyncpg or sqlalchemy
LIST          only this list (honest, forgotten or conversation); all of them if not set

Prints one line a query and at last `N passed, N failed`; the exit code says whether none failed.
"""

import asyncio
import importlib
import os
import sys
import traceback

from shop import ACME, Forgotten, Honest, Shop, assert_refusal

DRIVERS = ("psycopg", "asyncpg", "sqlalchemy")


async def run_forgotten(shop: Shop, connection, entry: Forgotten, mode: str) -> None:
    if mode == "audit":
        result = await entry.run(connection)
        assert entry.leaks(result), f"gives nothing away: {result!r}"
        return
    before = await shop.backend_pid(connection)
    shop.sent.clear()
    refusal = None
    try:
        result = await entry.run(connection)
    except Exception as error:
        refusal = shop.refusal(error)
        if refusal is None:
            raise
    assert refusal is not None, f"not refused: {result!r}"
    assert_refusal(refusal, entry, next(sql for sql in reversed(shop.sent) if entry.table in sql))
    assert await shop.backend_pid(connection) == before, "the connection was not kept"


async def run_one(shop: Shop, connection, entry, mode: str) -> None:
    if isinstance(entry, Forgotten):
        await run_forgotten(shop, connection, entry, mode)
        return
    expected = entry.expected if isinstance(entry, Honest) else getattr(entry, mode)
    actual = await entry.run(connection)
    assert actual == expected, f"got {actual!r}, expected {expected!r}"


async def main() -> int:
    url, mode, driver = (os.environ.get(name, "") for name in ("DATABASE_URL", "EXPECT", "DRIVER"))
    if not url or mode not in ("audit", "enforce") or driver not in DRIVERS:
        print(f"DATABASE_URL, EXPECT (enforce or audit) and DRIVER ({', '.join(DRIVERS)}) must be set", file=sys.stderr)
        return 2
    shop: Shop = importlib.import_module(f"with_{driver}").SHOP
    connection = await shop.connect(url, ACME)
    passed = failed = 0
    only = os.environ.get("LIST")
    for entry in [*shop.honest, *shop.forgotten, *shop.conversations]:
        list_name = type(entry).__name__.lower()
        if only and only != list_name:
            continue
        label = f"{list_name}: {entry.name}"
        try:
            await asyncio.wait_for(run_one(shop, connection, entry, mode), 30)
            passed += 1
            print(f"ok    {label}")
        except Exception as error:  # the next query is tried whatever this one met
            failed += 1
            print(f"FAIL  {label}\n      {''.join(traceback.format_exception_only(error)).strip()}")
            await shop.close(connection)
            connection = await shop.connect(url, ACME)
    await shop.close(connection)
    print(f"{passed} passed, {failed} failed")
    return 0 if failed == 0 and passed > 0 else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

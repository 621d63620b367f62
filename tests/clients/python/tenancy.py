"""Workers of two organizations, many at once, that take their tenant in one of three forms:

startup  each organization has a pool whose connections name it in the startup packet
set      both share one pool; a worker that takes a connection says SET, or set_config(…, false)
local    both share one pool; every transaction says SET LOCAL, or set_config(…, true)

DATABASE_URL  the guard
DRIVER        psycopg, asyncpg or sqlalchemy
FORM          startup, set or local
ROUNDS        rounds of each worker (default 10), or
SECONDS       how long to go on instead
MISCHIEF      1: between the rounds errors, cancels, COPY and connections that end in the middle

A round reads, writes and reads what it wrote, and each read must give exactly the organization's live
rows; then it asks for the other organization's rows and must be refused. Prints one JSON object: the
rounds, the rows seen, the refusals that were to come, and what went wrong.
"""

import asyncio
import importlib
import itertools
import json
import os
import sys
import time
import traceback

from shop import ACME, BOLT

LIVE = {ACME: ["Anvil", "Bellows", "Chisel"], BOLT: ["Foreign drill", "Foreign saw"]}
OTHER = {ACME: BOLT, BOLT: ACME}
FIXED_TAGS = {ACME: {"heavy"}, BOLT: {"Foreign tag"}}
WORKERS = 3
POOL = 3


class Tally:
    """What the workers did, and what went wrong."""

    def __init__(self):
        self.counts = {"rounds": 0, "rows": 0, "refused": 0, "mischief": 0, "honest_refused": 0, "foreign_rows": 0}
        self.problems = []

    def add(self, what, number=1):
        self.counts[what] += number

    def rows(self, tenant, names, expected):
        self.add("rows", len(names))
        self.add("foreign_rows", sum(name in LIVE[OTHER[tenant]] or "Gone" in name for name in names))
        assert names == expected, f"{tenant} saw {names}, not {expected}"

    def tags(self, tenant, names, own):
        """Tags of other workers come and go; those of the other organization must not be seen."""
        mark = str(tenant)[-1] + ":"
        self.add("rows", len(names))
        wrong = [name for name in names if not name.startswith(mark) and name not in FIXED_TAGS[tenant]]
        self.add("foreign_rows", len(wrong))
        assert not wrong and own in names, f"{tenant} saw {names}"


async def one_round(driver, pools, form, tenant, at, tally):
    """One use of a connection, which then goes back to its pool."""
    own = f"{str(tenant)[-1]}:{os.environ['DRIVER']}:{form}:{at}"

    async def honest(connection):
        tally.rows(tenant, await driver.products(connection, tenant), LIVE[tenant])
        tally.rows(tenant, await driver.products_by_setting(connection), LIVE[tenant])
        await driver.add_tag(connection, tenant, own)
        tally.tags(tenant, await driver.tags(connection, tenant), own)
        await driver.remove_tag(connection, tenant, own)

    async def foreign(connection):
        try:
            names = await driver.products(connection, OTHER[tenant])
        except Exception as error:
            if driver.sqlstate(error) != "42501":
                raise
            tally.add("refused")
        else:
            tally.add("foreign_rows", len(names))
            raise AssertionError(f"{tenant} was given {names} of the other organization")

    await driver.in_tenant(pools[tenant], form, tenant, honest)
    await driver.in_tenant(pools[tenant], form, tenant, foreign, fails=True)
    tally.add("rounds")


async def worker(driver, pools, url, form, tenant, number, until, tally):
    mischief = itertools.cycle(driver.mischief) if os.environ.get("MISCHIEF") == "1" else None
    for at in itertools.count():
        if not until(at):
            return
        try:
            await asyncio.wait_for(one_round(driver, pools, form, tenant, number * 1_000_000 + at, tally), 60)
            if mischief and at % 5 == number % 5:
                await asyncio.wait_for(next(mischief)(url, pools[tenant], form, tenant), 60)
                tally.add("mischief")
        except Exception as error:
            if driver.sqlstate(error) == "42501":
                tally.add("honest_refused")
            where = traceback.extract_tb(error.__traceback__)[-1]
            tally.problems.append(f"{type(error).__name__} at {where.name}:{where.lineno}: {str(error)[:300]}")
            if len(tally.problems) > 5:
                return


async def main():
    url, driver_name, form = (os.environ.get(name, "") for name in ("DATABASE_URL", "DRIVER", "FORM"))
    assert form in ("startup", "set", "local"), "FORM must be startup, set or local"
    driver = importlib.import_module(f"tenants_{driver_name}")
    if seconds := os.environ.get("SECONDS"):
        end = time.monotonic() + float(seconds)
        until = lambda _: time.monotonic() < end  # noqa: E731
    else:
        rounds = int(os.environ.get("ROUNDS", "10"))
        until = lambda at: at < rounds  # noqa: E731
    tally = Tally()
    if form == "startup":
        pools = {tenant: await driver.open_pool(url, tenant, POOL) for tenant in LIVE}
    else:
        pools = dict.fromkeys(LIVE, await driver.open_pool(url, None, POOL))
    async with asyncio.TaskGroup() as group:
        for number in range(WORKERS):
            for tenant in LIVE:
                group.create_task(worker(driver, pools, url, form, tenant, number, until, tally))
    for pool in set(pools.values()):
        await driver.close_pool(pool)
    print(json.dumps({**tally.counts, "problems": tally.problems}))
    return 1 if tally.problems or tally.counts["rounds"] == 0 else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

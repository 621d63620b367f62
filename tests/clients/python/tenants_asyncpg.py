"""asyncpg with its pool, which sends RESET ALL whenever a connection comes back."""

import asyncio
from uuid import uuid4

import asyncpg


async def open_pool(url, tenant, size):
    settings = {"application_name": "asyncpg pool"}
    if tenant:
        settings["app.organization_id"] = str(tenant)
    return await asyncpg.create_pool(url, min_size=1, max_size=size, server_settings=settings)


async def close_pool(pool):
    await pool.close()


def sqlstate(error):
    return error.sqlstate if isinstance(error, asyncpg.PostgresError) else None


async def in_tenant(pool, form, tenant, work, *, fails=False):
    async with pool.acquire() as connection:
        if form == "startup":
            await work(connection)
        elif form == "set":
            await connection.execute(f"SET app.organization_id = '{tenant}'")
            await work(connection)
        elif fails:
            try:
                async with connection.transaction():
                    await connection.execute(f"SET LOCAL app.organization_id = '{tenant}'")
                    await work(connection)
            except asyncpg.InFailedSQLTransactionError:
                pass  # the refusal was caught inside, and COMMIT of what failed is an error to asyncpg
        else:
            async with connection.transaction():
                await connection.execute("SELECT set_config('app.organization_id', $1, true)", str(tenant))
                await work(connection)


PRODUCTS = "SELECT name FROM org_products WHERE organization_id = $1 AND deleted_at IS NULL ORDER BY name"
BY_SETTING = (
    "SELECT name FROM org_products WHERE organization_id = current_setting('app.organization_id')::uuid "
    "AND deleted_at IS NULL ORDER BY name"
)


async def names(connection, text, *parameters):
    return [row["name"] for row in await connection.fetch(text, *parameters)]


async def products(connection, tenant):
    return await names(connection, PRODUCTS, tenant)


async def products_by_setting(connection):
    return await names(connection, BY_SETTING)


async def add_tag(connection, tenant, name):
    await connection.execute("INSERT INTO org_tags (id, organization_id, name) VALUES ($1, $2, $3)", uuid4(), tenant, name)


async def tags(connection, tenant):
    return await names(connection, "SELECT name FROM org_tags WHERE organization_id = $1 AND deleted_at IS NULL", tenant)


async def remove_tag(connection, tenant, name):
    tag = await connection.execute(
        "DELETE FROM org_tags WHERE organization_id = $1 AND deleted_at IS NULL AND name = $2", tenant, name
    )
    assert tag == "DELETE 1", tag


class Undo(Exception):
    """Thrown to roll a transaction back."""


async def errors(_url, pool, form, tenant):
    async def work(connection):
        try:
            async with connection.transaction():
                await add_tag(connection, tenant, f"{str(tenant)[-1]}:lost")
                for text in ("SELECT 1 / 0", "SELECT nothing FROM plans", "SELEC"):
                    try:
                        async with connection.transaction():
                            await connection.execute(text)
                    except (asyncpg.DivisionByZeroError, asyncpg.UndefinedColumnError, asyncpg.PostgresSyntaxError):
                        pass
                    except asyncpg.InsufficientPrivilegeError:
                        assert text == "SELEC"  # what the guard cannot read, it refuses
                raise Undo
        except Undo:
            pass

    await in_tenant(pool, form, tenant, work)


async def cancel(_url, pool, _form, _tenant):
    """A timeout of asyncpg sends a cancel request."""
    async with pool.acquire() as connection:
        try:
            await connection.fetch("SELECT pg_sleep(20)", timeout=1)
        except TimeoutError:
            assert await connection.fetchval("SELECT 1") == 1
            return
        raise AssertionError("was not cancelled")


async def copies(_url, pool, form, tenant):
    async def work(connection):
        got = bytearray()

        async def take(data):
            got.extend(data)

        await connection.copy_from_query(PRODUCTS, tenant, output=take)
        assert got.count(b"\n") >= 2, got
        await connection.copy_records_to_table("scratch", records=[(f"note {at}",) for at in range(50)], columns=["note"])

    await in_tenant(pool, form, tenant, work)


async def cursors(_url, pool, form, tenant):
    async def work(connection):
        async with connection.transaction():
            assert len([row async for row in connection.cursor(PRODUCTS, tenant, prefetch=1)]) >= 2
            opened = await connection.cursor(PRODUCTS, tenant)
            await opened.fetch(1)  # and then it is left as it is
        statement = await connection.prepare(PRODUCTS)
        assert len(await statement.fetch(tenant)) >= 2
        await connection.executemany(
            "UPDATE org_tags SET name = name WHERE organization_id = $1 AND deleted_at IS NULL AND name = $2",
            [(tenant, str(at)) for at in range(10)],
        )

    await in_tenant(pool, form, tenant, work)


async def prepared(url, _pool, _form, tenant):
    """More statements than the driver caches: the oldest are closed."""
    connection = await asyncpg.connect(
        url, statement_cache_size=10, server_settings={"app.organization_id": str(tenant), "application_name": "asyncpg"}
    )
    for at in range(30):
        await connection.fetch(f"{PRODUCTS} /* {at} */", tenant)
    await connection.close()


async def gone(url, _pool, _form, tenant):
    """The client dies in the middle: of a transaction, of a query."""
    for text in ("SELECT 1", "SELECT pg_sleep(1)"):
        connection = await asyncpg.connect(url, server_settings={"app.organization_id": str(tenant), "application_name": "asyncpg"})
        await connection.execute("BEGIN")
        await connection.fetch(PRODUCTS, tenant)
        waiting = asyncio.create_task(connection.execute(text))
        await asyncio.sleep(0.05)
        connection.terminate()
        try:
            await waiting
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            pass


mischief = [errors, copies, cursors, prepared, cancel, gone]

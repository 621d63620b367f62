"""psycopg 3 with its pool; statements are prepared from their sixth run."""

import asyncio
import os
import socket
from uuid import uuid4

import psycopg
from psycopg import sql
from psycopg_pool import AsyncConnectionPool


async def open_pool(url, tenant, size):
    options = {"options": f"-c app.organization_id={tenant}"} if tenant else {}
    pool = AsyncConnectionPool(
        url, min_size=1, max_size=size, open=False, kwargs={"autocommit": True, "application_name": "psycopg pool", **options}
    )
    await pool.open()
    return pool


async def close_pool(pool):
    await pool.close()


def sqlstate(error):
    return error.sqlstate if isinstance(error, psycopg.Error) else None


async def in_tenant(pool, form, tenant, work, *, fails=False):
    async with pool.connection() as connection:
        if form == "startup":
            await work(connection)
        elif form == "set":
            # SET takes no parameter, so the client writes the literal.
            await connection.execute(sql.SQL("SET app.organization_id = {}").format(sql.Literal(str(tenant))))
            await work(connection)
        else:
            async with connection.transaction():
                await connection.execute("SELECT set_config('app.organization_id', %s, true)", (str(tenant),))
                await work(connection)


async def names(connection, text, parameters=None):
    cursor = await connection.execute(text, parameters)
    return [name for (name,) in await cursor.fetchall()]


async def products(connection, tenant):
    return await names(
        connection, "SELECT name FROM org_products WHERE organization_id = %s AND deleted_at IS NULL ORDER BY name", (tenant,)
    )


async def products_by_setting(connection):
    return await names(
        connection,
        "SELECT name FROM org_products WHERE organization_id = current_setting('app.organization_id')::uuid AND deleted_at IS NULL ORDER BY name",
    )


async def add_tag(connection, tenant, name):
    await connection.execute("INSERT INTO org_tags (id, organization_id, name) VALUES (%s, %s, %s)", (uuid4(), tenant, name))


async def tags(connection, tenant):
    return await names(connection, "SELECT name FROM org_tags WHERE organization_id = %s AND deleted_at IS NULL", (tenant,))


async def remove_tag(connection, tenant, name):
    cursor = await connection.execute(
        "DELETE FROM org_tags WHERE organization_id = %s AND deleted_at IS NULL AND name = %s", (tenant, name)
    )
    assert cursor.rowcount == 1, cursor.rowcount


async def errors(_url, pool, form, tenant):
    async def work(connection):
        async with connection.transaction(force_rollback=True):
            await add_tag(connection, tenant, f"{str(tenant)[-1]}:lost")
            try:
                async with connection.transaction():
                    await connection.execute("SELECT 1 / 0")
            except psycopg.errors.DivisionByZero:
                pass
            try:
                async with connection.transaction():
                    await connection.execute("SELECT nothing FROM plans")
            except psycopg.errors.UndefinedColumn:
                pass

    await in_tenant(pool, form, tenant, work)


async def cancel(_url, pool, _form, _tenant):
    async with pool.connection() as connection:
        waiting = asyncio.create_task(connection.execute("SELECT pg_sleep(50)"))
        while not waiting.done():  # a cancel that comes before the query does nothing
            await connection.cancel_safe()
            await asyncio.sleep(0.05)
        try:
            await waiting
        except psycopg.errors.QueryCanceled:
            return
        raise AssertionError("was not cancelled")


async def copies(_url, pool, form, tenant):
    async def work(connection):
        text = f"COPY (SELECT name FROM org_products WHERE organization_id = '{tenant}' AND deleted_at IS NULL) TO STDOUT"
        async with connection.cursor().copy(text) as copy:
            assert len([row async for row in copy.rows()]) >= 2
        async with connection.cursor().copy("COPY scratch (note) FROM STDIN") as copy:
            for at in range(50):
                await copy.write_row((f"note {at}",))
        try:
            async with connection.cursor().copy("COPY scratch (note) FROM STDIN") as copy:
                await copy.write_row(("half",))
                raise LookupError
        except LookupError:
            pass

    try:
        await in_tenant(pool, form, tenant, work)
    except psycopg.errors.QueryCanceled:
        pass  # the copy that was given up, where a transaction was around it


async def pipeline(_url, pool, form, tenant):
    async def work(connection):
        async with connection.pipeline():
            found = [
                await connection.execute(
                    "SELECT name FROM org_products WHERE organization_id = %s AND deleted_at IS NULL AND sku <> %s", (tenant, str(at))
                )
                for at in range(10)
            ]
            assert {len(await cursor.fetchall()) for cursor in found} <= {2, 3}

    await in_tenant(pool, form, tenant, work)


async def prepared(url, _pool, _form, tenant):
    """Many names in one session, of the protocol and of SQL, then all of them gone."""
    async with await psycopg.AsyncConnection.connect(
        url, autocommit=True, options=f"-c app.organization_id={tenant}", prepare_threshold=0
    ) as connection:
        for at in range(30):
            await connection.execute(
                f"SELECT name FROM org_products WHERE organization_id = %s AND deleted_at IS NULL AND stock > %s /* {at} */", (tenant, at)
            )
        await connection.execute(
            f"PREPARE by_hand AS SELECT name FROM org_products WHERE organization_id = '{tenant}' AND deleted_at IS NULL"
        )
        await connection.execute("EXECUTE by_hand")
        await connection.execute("DEALLOCATE ALL")
        async with connection.transaction(), connection.cursor("held", withhold=True) as cursor:
            await cursor.execute("SELECT name FROM org_products WHERE organization_id = %s AND deleted_at IS NULL", (tenant,))
            assert len(await cursor.fetchmany(2)) == 2


async def gone(url, _pool, _form, tenant):
    """The client dies in the middle: of a transaction, of a query, of a copy."""
    for text in ("SELECT 1", "SELECT pg_sleep(1)", "COPY scratch (note) FROM STDIN"):
        connection = await psycopg.AsyncConnection.connect(url, options=f"-c app.organization_id={tenant}")
        await connection.execute("SELECT name FROM org_tags WHERE organization_id = %s AND deleted_at IS NULL", (tenant,))
        connection.pgconn.send_query(text.encode())
        connection.pgconn.flush()
        abort(connection)


def abort(connection):
    """Closes the socket without a Terminate."""
    own = socket.socket(fileno=os.dup(connection.fileno()))
    own.shutdown(socket.SHUT_RDWR)
    own.close()
    connection.pgconn.finish()


mischief = [errors, copies, pipeline, prepared, cancel, gone]

"""asyncpg: every statement prepared and cached, parameters and results in binary, COPY, cursors."""

import asyncio
from contextlib import asynccontextmanager

import asyncpg

import harness
from harness import ACME, URL, fresh, new_id
from raw import STATEMENTS, Shop, filters


class Connection:
    def __init__(self, raw: asyncpg.Connection):
        self.raw = raw

    async def run(self, text, values):
        statement = await self.raw.prepare(text)
        rows = await statement.fetch(*values)
        counted = statement.get_statusmsg().split()[-1]
        return [tuple(found) for found in rows], int(counted) if counted.isdigit() else -1

    @asynccontextmanager
    async def transaction(self):
        async with self.raw.transaction():
            yield

    async def close(self):
        await self.raw.close()


async def connect(tenant):
    settings = {"application_name": "shop"} | ({"app.organization_id": str(tenant)} if tenant else {})
    return Connection(await asyncpg.connect(URL, server_settings=settings))


def error_of(error):
    return (error.sqlstate, str(error).split("\n")[0]) if isinstance(error, asyncpg.PostgresError) else None


def own_steps(connection: Connection):
    raw = connection.raw

    async def stream():
        """A named portal, read in two Executes."""
        async with raw.transaction():
            cursor = await raw.cursor(filters(STATEMENTS["list"].text), ACME)
            return [[found[0] for found in await cursor.fetch(2)] for _ in range(2)]

    async def batch():
        names = [fresh("batch") for _ in range(3)]
        await raw.executemany(STATEMENTS["insert_tag"].text, [(harness.organization(), new_id(), name) for name in names])
        return [await raw.fetchval(filters(STATEMENTS["count_tags"].text), ACME, name) for name in names]

    async def copy_out():
        copied = bytearray()

        async def take(data):
            copied.extend(data)

        await raw.copy_from_query(filters(STATEMENTS["list"].text), ACME, output=take)
        return [line.split("\t")[0] for line in copied.decode().splitlines()]

    return {"stream": stream, "copy_out": copy_out, "batch": batch}


async def main():
    connection = await connect(ACME)

    async def pid():
        return await connection.raw.fetchval("SELECT pg_backend_pid()")

    shop = Shop(connection, connect, error_of)
    await harness.run([f"asyncpg {asyncpg.__version__}"], own_steps(connection) | shop.steps(), pid, error_of)
    await connection.close()


asyncio.run(main())

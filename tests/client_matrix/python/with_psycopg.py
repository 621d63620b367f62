"""psycopg 3: parameters in binary, statements prepared from the sixth run, pipelines, COPY."""

import asyncio
import re
from contextlib import asynccontextmanager

import psycopg
from psycopg import AsyncConnection

import harness
from harness import ACME, URL, fresh, new_id
from raw import STATEMENTS, Shop, filters


def placeholders(text: str) -> str:
    return re.sub(r"\$(\d+)", r"%(v\1)s", text.replace("%", "%%"))


def named(values):
    return {f"v{at}": value for at, value in enumerate(values, 1)}


class Connection:
    def __init__(self, raw: AsyncConnection):
        self.raw = raw

    async def run(self, text, values):
        cursor = await self.raw.execute(placeholders(text), named(values))
        return await cursor.fetchall() if cursor.description else [], cursor.rowcount

    @asynccontextmanager
    async def transaction(self):
        async with self.raw.transaction():
            yield

    async def close(self):
        await self.raw.close()


async def connect(tenant):
    options = f"-c app.organization_id={tenant}" if tenant else ""
    return Connection(await AsyncConnection.connect(URL, options=options, application_name="shop", autocommit=True))


def error_of(error):
    return (error.sqlstate, str(error).split("\n")[0]) if isinstance(error, psycopg.Error) and error.sqlstate else None


def own_steps(connection: Connection):
    raw = connection.raw

    async def stream():
        """A cursor of the server (DECLARE, FETCH)."""
        text = placeholders(filters(STATEMENTS["list"].text))
        async with raw.transaction(), raw.cursor("shop") as cursor:
            await cursor.execute(text, named([ACME]))
            return [[found[0] for found in await cursor.fetchmany(2)] for _ in range(2)]

    async def pipeline():
        text = placeholders(filters(STATEMENTS["by_sku"].text))
        async with raw.pipeline():
            cursors = [await raw.execute(text, named([ACME, sku])) for sku in ("ANVIL", "CHISEL", "HAMMER")]
            return [len(await cursor.fetchall()) for cursor in cursors]

    async def batch():
        text = placeholders(STATEMENTS["insert_tag"].text)
        counts = []
        async with raw.cursor() as cursor:
            await cursor.executemany(
                text, [named([harness.organization(), new_id(), fresh("batch")]) for _ in range(3)], returning=True
            )
            while True:
                counts.append(cursor.rowcount)
                if not cursor.nextset():
                    return counts

    async def copy_out():
        text = filters(STATEMENTS["list"].text).replace("$1", f"'{ACME}'")
        async with raw.cursor().copy(f"COPY ({text}) TO STDOUT") as copy:
            return [found[0] async for found in copy.rows()]

    return {"stream": stream, "pipeline": pipeline, "copy_out": copy_out, "batch": batch}


async def main():
    connection = await connect(ACME)

    async def pid():
        return (await connection.run("SELECT pg_backend_pid()", []))[0][0][0]

    shop = Shop(connection, connect, error_of)
    versions = [f"psycopg {psycopg.__version__}", f"libpq {psycopg.pq.version() // 10000}"]
    await harness.run(versions, own_steps(connection) | shop.steps(), pid, error_of)
    await connection.close()


asyncio.run(main())

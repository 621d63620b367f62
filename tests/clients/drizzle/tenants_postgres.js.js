// Drizzle over postgres.js, whose pool lends a connection as `reserve()`.
import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';

import { sql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/postgres-js';
import postgres from 'postgres';

import * as schema from './schema.js';

const base = { application_name: 'drizzle postgres.js' };
const open = (url, tenant, max) => postgres(url, {
  max, onnotice: () => {}, connection: { ...base, ...(tenant && { 'app.organization_id': tenant }) },
});

export const openPool = open;

export const closePool = (client) => client.end({ timeout: 10 });

export async function inTenant(client, form, tenant, work) {
  if (form === 'local') {
    return drizzle(client, { schema }).transaction(async (tx) => {
      await tx.execute(sql`select set_config('app.organization_id', ${tenant}, true)`);
      return work(tx);
    });
  }
  const reserved = await client.reserve();
  try {
    // Drizzle asks a client for its options, which a reserved one lacks.
    reserved.options ??= client.options;
    const db = drizzle(reserved, { schema });
    if (form === 'set') await db.execute(sql`select set_config('app.organization_id', ${tenant}, false)`);
    return await work(db);
  } finally {
    reserved.release();
  }
}

const fails = async (promise, ...codes) => {
  const code = await promise.then(() => 'worked', (error) => (error.cause ?? error).code);
  assert.ok(codes.includes(code), `${code} instead of ${codes}`);
};

export const mischief = {
  errors: ({ pool, form, tenant }) => inTenant(pool, form, tenant, async (db) => {
    if (form === 'local') return;
    await fails(db.execute(sql`select 1 / ${0}::int`), '22012');
    await fails(db.execute(sql`select nothing from plans`), '42703');
  }),
  // Named statements, cached for each connection.
  tagged: async ({ url, tenant }) => {
    const client = open(url, tenant, 2);
    const own = () => client`select name from org_products where organization_id = ${tenant} and deleted_at is null`;
    const found = await Promise.all(Array.from({ length: 12 }, (_, at) => (at % 5 === 3
      ? client`select 1 / ${0}::int`.then(() => assert.fail('worked'), (error) => assert.equal(error.code, '22012'))
      : own())));
    assert.ok(found.every((rows) => rows === undefined || rows.length >= 2));
    for await (const rows of own().cursor(1)) {
      assert.equal(rows.length, 1);
      break;
    }
    await client.begin(async (tx) => {
      await tx`select 1`;
      await tx.savepoint((nested) => nested`select 1 / ${0}::int`).catch((error) => assert.equal(error.code, '22012'));
    });
    await client.end({ timeout: 10 });
  },
  cancels: async ({ url, tenant }) => {
    const [client, other] = [open(url, tenant, 1), open(url, tenant, 1)];
    // postgres.js 3.4.7 loses a query that is cancelled before it is the first of its connection.
    await client`select 1`;
    const key = Math.floor(Math.random() * 2 ** 31);
    const waiting = client`select pg_advisory_xact_lock(${key}::int), pg_sleep(50)`;
    const outcome = fails(waiting, '57014');
    while ((await other`select pg_try_advisory_xact_lock(${key}::int) as free`)[0].free) await pause(20);
    waiting.cancel();
    await outcome;
    assert.equal((await client`select 1 as one`)[0].one, 1);
    await Promise.all([client.end({ timeout: 10 }), other.end({ timeout: 10 })]);
  },
  gone: async ({ url, tenant }) => {
    const client = open(url, tenant, 1);
    await client`select name from org_products where organization_id = ${tenant} and deleted_at is null`;
    client`select pg_sleep(1)`.catch(() => {});
    await pause(30);
    await client.end({ timeout: 0 });
  },
};

// Drizzle over node-postgres and its pool.
import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';

import { sql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/node-postgres';
import pg from 'pg';
import Cursor from 'pg-cursor';

import * as schema from './schema.js';

const base = { application_name: 'drizzle node-postgres' };
const options = (tenant) => (tenant ? { options: `-c app.organization_id=${tenant}` } : {});

export function openPool(url, tenant, max) {
  return new pg.Pool({ connectionString: url, max, ...base, ...options(tenant) });
}

export const closePool = (pool) => pool.end();

export async function inTenant(pool, form, tenant, work) {
  const client = await pool.connect();
  try {
    const db = drizzle(client, { schema });
    if (form === 'startup') return await work(db);
    if (form === 'set') {
      await db.execute(sql`select set_config('app.organization_id', ${tenant}, false)`);
      return await work(db);
    }
    return await db.transaction(async (tx) => {
      await tx.execute(sql`select set_config('app.organization_id', ${tenant}, true)`);
      return work(tx);
    });
  } finally {
    client.release();
  }
}

const fails = async (promise, ...codes) => {
  const code = await promise.then(() => 'worked', (error) => (error.cause ?? error).code);
  assert.ok(codes.includes(code), `${code} instead of ${codes}`);
};

const OWN = 'select name from org_products where organization_id = $1 and deleted_at is null';

async function connect(url, tenant) {
  const client = new pg.Client({ connectionString: url, ...base, ...options(tenant) });
  client.on('error', () => {});
  await client.connect();
  return client;
}

export const mischief = {
  errors: ({ pool, form, tenant }) => inTenant(pool, form, tenant, async (db) => {
    await db.transaction(async (tx) => {
      await tx.transaction((nested) => fails(nested.execute(sql`select 1 / ${0}::int`), '22012')).catch(() => {});
      tx.rollback();
    }).catch((error) => assert.match(error.message, /Rollback/i));
  }),
  cursors: async ({ url, tenant }) => {
    const client = await connect(url, tenant);
    const cursor = client.query(new Cursor(OWN, [tenant]));
    assert.equal((await cursor.read(1)).length, 1);
    await cursor.close();
    for (let at = 0; at < 20; at += 1) await client.query({ name: `own_${at}`, text: `${OWN} and stock > $2`, values: [tenant, at] });
    await client.query('deallocate own_3; deallocate all');
    await client.query('discard all').catch((error) => assert.equal(error.code, '42501'));
    await client.end();
  },
  pipelined: async ({ url, tenant }) => {
    const client = await connect(url, tenant);
    const all = Array.from({ length: 20 }, (_, at) => (at % 7 === 3 ? fails(client.query('select 1 / 0'), '22012') : client.query(OWN, [tenant])));
    await Promise.all(all);
    await client.end();
  },
  cancels: async ({ url, tenant }) => {
    const [client, other] = [await connect(url, tenant), await connect(url, tenant)];
    let over = false;
    const waiting = fails(client.query('select pg_sleep(50)'), '57014').finally(() => { over = true; });
    // One that comes before the query does nothing.
    while (!over) {
      await other.query('select pg_cancel_backend($1)', [client.processID]);
      await pause(50);
    }
    await waiting;
    await Promise.all([client.end(), other.end()]);
  },
  gone: async ({ url, tenant }) => {
    for (const text of ['select 1', 'select pg_sleep(1)', 'copy scratch (note) from stdin']) {
      const client = await connect(url, tenant);
      await client.query('begin');
      await client.query(OWN, [tenant]);
      client.query(text).catch(() => {});
      await pause(30);
      client.connection.stream.destroy();
    }
  },
};


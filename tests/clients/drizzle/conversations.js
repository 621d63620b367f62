// What a refusal does to its surroundings: the same steps in every mode, and what must have come of
// them when the forgotten query ran (`audit`) and when it was refused (`enforce`).
import { and, eq } from 'drizzle-orm';

import { orgTags } from './schema.js';
import { ACME, withOrgFilter } from './tenant.js';

const HONEST = 'select name from org_tags where organization_id = $1 and deleted_at is null';
const FORGOTTEN = 'select name from org_customers where deleted_at is null';

/** What became of a query: the number of rows, or the SQLSTATE. */
const fate = (promise) => promise.then((rows) => rows.length, (error) => (error.cause ?? error).code);

const plant = `insert into org_tags (id, organization_id, name) values (gen_random_uuid(), '${ACME}', 'planted')`;

/** Counts the planted rows and takes them away again. */
async function planted({ db }) {
  const ours = and(withOrgFilter(orgTags, ACME), eq(orgTags.name, 'planted'));
  return (await db.delete(orgTags).where(ours).returning({ id: orgTags.id })).length;
}

export const conversations = [
  {
    name: 'a refusal between queries sent at once',
    run: async ({ raw }) => Promise.all([
      fate(raw(HONEST, [ACME])), fate(raw(`${FORGOTTEN} and name <> $1`, [''])), fate(raw(HONEST, [ACME])), fate(raw('select 1')),
    ]),
    audit: [1, 3, 1, 1],
    enforce: [1, '42501', 1, 1],
  },
  {
    name: 'a refusal aborts the transaction',
    run: async (ctx) => {
      const fates = [];
      for (const text of ['begin', plant, FORGOTTEN, 'select 1', 'commit']) fates.push(await fate(ctx.raw(text)));
      return [...fates, await planted(ctx)];
    },
    audit: [0, 0, 3, 1, 0, 1],
    enforce: [0, 0, '42501', '25P02', 0, 0],
  },
  {
    name: 'a savepoint survives a refusal',
    run: async (ctx) => {
      const fates = [];
      for (const text of ['begin', plant, 'savepoint org_a', plant, FORGOTTEN, 'rollback to savepoint org_a', 'commit']) {
        fates.push(await fate(ctx.raw(text)));
      }
      return [...fates, await planted(ctx)];
    },
    audit: [0, 0, 0, 0, 3, 0, 0, 1],
    enforce: [0, 0, 0, 0, '42501', 0, 0, 1],
  },
  {
    name: 'a refused string runs none of its statements',
    run: async (ctx) => [await fate(ctx.raw(`${plant}; ${FORGOTTEN}`)), await planted(ctx)],
    audit: [3, 1],
    enforce: ['42501', 0],
  },
  {
    name: 'a refused Drizzle transaction keeps nothing',
    run: async (ctx) => [
      await fate(ctx.db.transaction(async (tx) => {
        await tx.insert(orgTags).values({ id: crypto.randomUUID(), organizationId: ACME, name: 'planted' });
        return tx.select({ name: orgTags.name }).from(orgTags).where(eq(orgTags.name, 'planted'));
      })),
      await planted(ctx),
    ],
    audit: [1, 1],
    enforce: ['42501', 0],
  },
  {
    name: 'refusals mixed into a pool of four',
    run: async ({ another }) => {
      const pool = await another({ tenant: ACME, max: 4 });
      try {
        const fates = await Promise.all(Array.from({ length: 36 }, (_, at) => fate(
          at % 3 === 1 ? pool.raw(`${FORGOTTEN} and name <> $1`, ['']) : pool.raw(HONEST, [ACME]),
        )));
        return [...new Set(fates.map((what, at) => `${at % 3}:${what}`))].sort();
      } finally {
        await pool.end();
      }
    },
    audit: ['0:1', '1:3', '2:1'],
    enforce: ['0:1', '1:42501', '2:1'],
  },
];

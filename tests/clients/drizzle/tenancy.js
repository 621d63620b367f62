// Workers of two organizations, many at once, that take their tenant in one of three forms:
//
//   startup  each organization has a pool whose connections name it in the startup packet
//   set      both share one pool; a worker that takes a connection says set_config(…, false)
//   local    both share one pool; every transaction says set_config(…, true)
//
//   DATABASE_URL  the guard
//   DRIVER        node-postgres or postgres.js
//   FORM          startup, set or local
//   ROUNDS        rounds of each worker (default 10), or
//   SECONDS       how long to go on instead
//   MISCHIEF      1: between the rounds errors, cancels, COPY and connections that end in the middle
//
// A round reads, writes and reads what it wrote, and each read must give exactly the organization's
// live rows; then it asks for the other organization's rows and must be refused. Prints one JSON
// object: the rounds, the rows seen, the refusals that were to come, and what went wrong.
import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';

import { and, asc, eq, sql } from 'drizzle-orm';

import { orgProducts, orgTags } from './schema.js';
import { ACME, BOLT, withOrgFilter } from './tenant.js';

const { DATABASE_URL: url, DRIVER: driverName, FORM: form, ROUNDS: rounds = '10', SECONDS: seconds, MISCHIEF: mischievous } = process.env;
assert.ok(['startup', 'set', 'local'].includes(form), 'FORM must be startup, set or local');
const driver = await import(`./tenants_${driverName}.js`);

const LIVE = { [ACME]: ['Anvil', 'Bellows', 'Chisel'], [BOLT]: ['Foreign drill', 'Foreign saw'] };
const FIXED_TAGS = { [ACME]: ['heavy'], [BOLT]: ['Foreign tag'] };
const OTHER = { [ACME]: BOLT, [BOLT]: ACME };
const WORKERS = 3;
const POOL = 3;

const tally = { rounds: 0, rows: 0, refused: 0, mischief: 0, honest_refused: 0, foreign_rows: 0, problems: [] };

/** What the server, or the guard, said: Drizzle wraps it. */
const cause = (error) => (error.code || !error.cause ? error : error.cause);

function seen(tenant, names) {
  tally.rows += names.length;
  tally.foreign_rows += names.filter((name) => LIVE[OTHER[tenant]].includes(name) || name.includes('Gone')).length;
  assert.deepEqual(names, LIVE[tenant], `${tenant} saw ${names}`);
}

/** Tags of other workers come and go; those of the other organization must not be seen. */
function seenTags(tenant, names, own) {
  tally.rows += names.length;
  const wrong = names.filter((name) => !name.startsWith(`${tenant.at(-1)}:`) && !FIXED_TAGS[tenant].includes(name));
  tally.foreign_rows += wrong.length;
  assert.ok(wrong.length === 0 && names.includes(own), `${tenant} saw ${names}`);
}

const products = async (db, tenant) => (await db.select({ name: orgProducts.name }).from(orgProducts)
  .where(withOrgFilter(orgProducts, tenant)).orderBy(asc(orgProducts.name))).map(({ name }) => name);

const bySetting = async (db) => (await db.select({ name: orgProducts.name }).from(orgProducts)
  .where(withOrgFilter(orgProducts, sql`current_setting('app.organization_id')::uuid`)).orderBy(asc(orgProducts.name))).map(({ name }) => name);

/** One use of a connection, which then goes back to its pool. */
async function round(pools, tenant, at) {
  const own = `${tenant.at(-1)}:${driverName}:${form}:${at}`;
  await driver.inTenant(pools[tenant], form, tenant, async (db) => {
    seen(tenant, await products(db, tenant));
    seen(tenant, await bySetting(db));
    const prepared = db.select({ name: orgProducts.name }).from(orgProducts)
      .where(withOrgFilter(orgProducts, sql.placeholder('tenant'))).orderBy(asc(orgProducts.name)).prepare('by_tenant');
    seen(tenant, (await prepared.execute({ tenant })).map(({ name }) => name));
    await db.insert(orgTags).values({ id: crypto.randomUUID(), organizationId: tenant, name: own });
    const tags = await db.select().from(orgTags).where(withOrgFilter(orgTags, tenant));
    seenTags(tenant, tags.map(({ name }) => name), own);
    const gone = await db.delete(orgTags).where(and(withOrgFilter(orgTags, tenant), eq(orgTags.name, own))).returning({ id: orgTags.id });
    assert.equal(gone.length, 1);
  });
  const given = driver.inTenant(pools[tenant], form, tenant, (db) => products(db, OTHER[tenant]));
  const outcome = await given.catch((error) => error);
  if (Array.isArray(outcome)) {
    tally.foreign_rows += outcome.length;
    assert.fail(`${tenant} was given ${outcome} of the other organization`);
  }
  if (cause(outcome).code !== '42501') throw outcome;
  tally.refused += 1;
  tally.rounds += 1;
}

async function inTime(promise, what) {
  const late = new AbortController();
  const timer = pause(60_000, undefined, { signal: late.signal }).then(() => assert.fail(`${what} took a minute`));
  timer.catch(() => {});
  try {
    return await Promise.race([promise, timer]);
  } finally {
    late.abort();
  }
}

async function worker(pools, tenant, number, goesOn) {
  const mischief = Object.entries(driver.mischief);
  for (let at = 0; goesOn(at); at += 1) {
    try {
      await inTime(round(pools, tenant, number * 1_000_000 + at), 'a round');
      if (mischievous === '1' && at % 5 === number % 5) {
        const [name, run] = mischief[Math.floor(at / 5) % mischief.length];
        await inTime(run({ url, pool: pools[tenant], form, tenant, products }), name);
        tally.mischief += 1;
      }
    } catch (error) {
      const { code, message, stack } = cause(error);
      if (code === '42501') tally.honest_refused += 1;
      tally.problems.push(`${code ?? ''} ${message} ${stack}`.slice(0, 500));
      if (tally.problems.length > 5) return;
    }
  }
}

const end = performance.now() + Number(seconds) * 1000;
const goesOn = seconds ? () => performance.now() < end : (at) => at < Number(rounds);
const shared = form === 'startup' ? null : driver.openPool(url, null, POOL);
const pools = Object.fromEntries([ACME, BOLT].map((tenant) => [tenant, shared ?? driver.openPool(url, tenant, POOL)]));
await Promise.all(Array.from({ length: WORKERS }, (_, number) => [ACME, BOLT].map((tenant) => worker(pools, tenant, number, goesOn))).flat());
for (const pool of new Set(Object.values(pools))) await driver.closePool(pool);
console.log(JSON.stringify(tally));
// A connection that was given up may be waiting still.
process.exit(tally.problems.length > 0 || tally.rounds === 0 ? 1 : 0);

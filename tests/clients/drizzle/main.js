// Runs the lists over one connection whose startup packet names Acme as the organization.
//
//   DATABASE_URL  the guard, or PostgreSQL itself (whose tables schema.sql made)
//   EXPECT        enforce: forgotten queries are refused; audit: every query works
//   DRIVER        node-postgres or postgres.js
//   LIST          only this list (honest, forgotten or conversation); all of them if not set
//   STATEMENTS    a file to which every statement sent is appended, one JSON object a line
//
// Prints one line a query and at last `N passed, N failed`; the exit code says whether none failed.
import assert from 'node:assert/strict';
import { appendFileSync } from 'node:fs';

import { conversations } from './conversations.js';
import { open } from './drivers.js';
import { forgotten } from './forgotten.js';
import { honest } from './honest.js';
import { ACME } from './tenant.js';

const { DATABASE_URL: url, EXPECT: mode, DRIVER: driver, LIST: only, STATEMENTS: statements } = process.env;
if (!url || !['enforce', 'audit'].includes(mode)) {
  console.error('DATABASE_URL, EXPECT (enforce or audit) and DRIVER (node-postgres or postgres.js) must be set');
  process.exit(2);
}

/** What the server, or the guard, said: Drizzle wraps it. */
const serverError = (error) => (error.code || !error.cause ? error : error.cause);

const HINTS = { 'visible-deleted': /deleted_at/, 'mixed-tenants': /tenant/ };

/** A refusal must tell the developer which rule, which table, where, and what to write. */
function assertRefusal(error, { rules, table }, sql) {
  assert.equal(error.code, '42501', `SQLSTATE of: ${error.message}`);
  const rule = rules.find((name) => error.detail?.includes(name));
  assert.ok(rule, `DETAIL names none of ${rules}: ${error.detail}`);
  assert.ok(error.detail.includes(table), `DETAIL does not name ${table}: ${error.detail}`);
  assert.match(error.hint ?? '', HINTS[rule] ?? /organization_id/, 'HINT');
  assert.match(error.position ?? '', /^[1-9]\d*$/, 'POSITION');
  const rest = Array.from(sql).slice(Number(error.position) - 1).join('');
  const reference = new RegExp(`^("?public"?\\.)?"?${table}\\b`);
  assert.match(rest, reference, `POSITION ${error.position} of: ${sql}`);
}

async function runForgotten(ctx, entry) {
  if (mode === 'audit') {
    const result = await entry.run(ctx);
    assert.ok(entry.leaks(result), `gives nothing away: ${JSON.stringify(result)}`);
    return;
  }
  const [before] = await ctx.raw('select pg_backend_pid() as pid');
  const error = await entry.run(ctx).then(
    (result) => assert.fail(`not refused: ${JSON.stringify(result)}`),
    serverError,
  );
  if (error instanceof assert.AssertionError) throw error;
  const refused = ctx.sent.findLast(({ sql }) => sql.includes(entry.table));
  assertRefusal(error, entry, refused.sql);
  const [after] = await ctx.raw('select pg_backend_pid() as pid');
  assert.equal(after.pid, before.pid, 'the connection was not kept');
  const tags = await ctx.raw('select name from org_tags where organization_id = $1 and deleted_at is null', [ACME]);
  assert.deepEqual(tags.map((tag) => tag.name), ['heavy'], 'the connection does not work any more');
}

const plain = (value) => JSON.parse(JSON.stringify(value));

const LISTS = {
  honest: [honest, async (ctx, entry) => assert.deepEqual(plain(await entry.run(ctx)), entry.expected)],
  forgotten: [forgotten, runForgotten],
  conversation: [conversations, async (ctx, entry) => assert.deepEqual(plain(await entry.run(ctx)), entry[mode])],
};

/** Appends what an entry sent; of a forgotten query only its last statement on a guarded table. */
function write(list, entry, sent) {
  if (!statements || list === 'conversation') return;
  const culprit = list === 'forgotten' ? sent.findLastIndex(({ sql }) => sql.includes(entry.table)) : -1;
  for (const [at, { sql, params }] of sent.entries()) {
    const line = { list: at === culprit ? 'forgotten' : 'honest', name: entry.name, sql, params, driver };
    if (at === culprit) Object.assign(line, { rules: entry.rules, table: entry.table });
    appendFileSync(statements, `${JSON.stringify(line)}\n`);
  }
}

let passed = 0;
let failed = 0;
const ctx = await open({ driver, url, tenant: ACME });
const { another } = ctx;
for (const [list, [entries, run]] of Object.entries(LISTS)) {
  if (only && only !== list) continue;
  for (const entry of entries) {
    ctx.sent.length = 0;
    // Statements of the connections that an entry opens are part of what it sent.
    const others = [];
    ctx.another = async (options) => {
      const opened = await another(options);
      others.push(opened.sent);
      return opened;
    };
    try {
      await run(ctx, entry);
      passed += 1;
      console.log(`ok    ${list}: ${entry.name}`);
    } catch (error) {
      failed += 1;
      const { message, code } = serverError(error);
      console.log(`FAIL  ${list}: ${entry.name}\n      ${code ?? ''} ${message.replaceAll('\n', '\n      ')}`);
    }
    write(list, entry, [...ctx.sent, ...others.flat()]);
  }
}
await ctx.end();
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;

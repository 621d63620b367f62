// Drizzle over the driver that DRIVER names.
import { sql } from 'drizzle-orm';

import { drizzleVersion, open, rowsOf } from './drivers.js';
import { ACME, run } from './harness.js';
import { reads } from './reads.js';
import { relational } from './relational.js';
import { writes } from './writes.js';

const { db, end, version } = await open(ACME);
await run({
  versions: [`Drizzle ${drizzleVersion}`, version],
  steps: { ...reads(db), ...relational(db), ...writes(db) },
  pid: async () => rowsOf(await db.execute(sql`select pg_backend_pid() as pid`))[0].pid,
});
await end();

// Drizzle over the three drivers: a database whose connections name the organization at startup, or
// name none.
import { createRequire } from 'node:module';

import { config } from './relational.js';

const require = createRequire(import.meta.url);
const versionOf = (name) => require(`./node_modules/${name}/package.json`).version;

const DRIVERS = {
  async 'node-postgres'(url, tenant, max) {
    const [{ drizzle }, { default: pg }] = await Promise.all([import('drizzle-orm/node-postgres'), import('pg')]);
    const options = tenant && `-c app.organization_id=${tenant}`;
    const settings = { connectionString: url, options, application_name: 'shop' };
    // A pool closes a connection on which a statement failed, whatever the error was.
    const client = max > 1 ? new pg.Pool({ ...settings, max }) : new pg.Client(settings);
    if (max === 1) await client.connect();
    return { db: drizzle({ client, ...config }), end: () => client.end(), version: `node-postgres ${versionOf('pg')}` };
  },
  async 'postgres.js'(url, tenant, max) {
    const [{ drizzle }, { default: postgres }] = await Promise.all([import('drizzle-orm/postgres-js'), import('postgres')]);
    const connection = { application_name: 'shop', ...(tenant && { 'app.organization_id': tenant }) };
    const client = postgres(url, { max, connection, onnotice: () => {} });
    return { db: drizzle({ client, ...config }), end: () => client.end(), version: `postgres.js ${versionOf('postgres')}` };
  },
  async bun(url, tenant, max) {
    const [{ drizzle }, { SQL }] = await Promise.all([import('drizzle-orm/bun-sql'), import('bun')]);
    const connection = { application_name: 'shop', ...(tenant && { 'app.organization_id': tenant }) };
    const client = new SQL({ url, max, connection });
    return { db: drizzle({ client, ...config }), end: () => client.end(), version: `Bun ${Bun.version}` };
  },
};

export const open = (tenant, max = 1) => DRIVERS[process.env.DRIVER](process.env.DATABASE_URL, tenant, max);

export const drizzleVersion = versionOf('drizzle-orm');

/** Rows of `db.execute()`: node-postgres gives a result object, the others an array. */
export const rowsOf = (result) => (Array.isArray(result) ? [...result] : result.rows);

// What the two programs share: the tenant's own ids, and how a step's result is told.
const { DATABASE_URL: url, TENANT: tenant } = process.env;
if (!url || !tenant) throw new Error('DATABASE_URL and TENANT must be set');

// Rows of schema.sql end in a1, a2 … for the one organization and in b1, b2 … for the other.
const [OWN, FOREIGN] = tenant.endsWith('a') ? ['a', 'b'] : ['b', 'a'];
const row = (kind, whose, number) => `01900000-0000-7000-8000-000000000${kind}${whose}${number}`;

/** A row of this tenant: own(1, 1) is its first product (customer 0, product 1, order 2, item 3, tag 4). */
export const own = (kind, number) => row(kind, OWN, number);

/** The same of the other tenant. */
export const foreign = (kind, number) => row(kind, FOREIGN, number);

/** An id for a row that this program makes. */
export const fresh = (number) => `01900000-0000-7000-9000-0000000${OWN}${String(number).padStart(4, '0')}`;

export { tenant, url };

/** Runs each step and prints its result, or the error that the program met, as one JSON line. */
export async function run(steps) {
  for (const [step, body] of Object.entries(steps)) {
    const line = { step };
    try {
      line.result = (await body()) ?? null;
    } catch (error) {
      const cause = error.code || !error.cause ? error : error.cause;
      line.error = cause.code ?? cause.name;
      line.said = cause.message;
    }
    console.log(JSON.stringify(line));
  }
}

// Runs the steps of a program of the matrix, first as they are, then each of them again for every
// place in it that must name the organization or `deleted_at`, with that one thing forgotten.
//
//   DATABASE_URL  the guard, or PostgreSQL itself, without a tenant
//   PART          honest: the steps as they are; forgotten: the steps without one of their filters
//
// Prints one JSON object a line: the versions, then one for each run of a step.
import { randomBytes } from 'node:crypto';

export const ACME = '01900000-0000-7000-8000-00000000000a';
export const BOLT = '01900000-0000-7000-8000-00000000000b';

/** An id of the tables by its last digits: `id('1a1')` is the anvil. */
export const id = (tail) => `01900000-0000-7000-8000-${tail.padStart(12, '0')}`;

/** A new id, as the application makes them: UUIDv7. */
export const newId = () => {
  if (globalThis.Bun) return Bun.randomUUIDv7();
  const time = Date.now().toString(16).padStart(12, '0');
  const random = randomBytes(10).toString('hex');
  return `${time.slice(0, 8)}-${time.slice(8)}-7${random.slice(0, 3)}-8${random.slice(3, 6)}-${random.slice(6, 18)}`;
};

/** A word that no row has yet. */
let words = 0;
export const fresh = (word) => `${word}-${(words += 1)}`;

/** Seconds since 1970 of a Date. */
export const seconds = (date) => date.getTime() / 1000;

// The uses that the running step has made, each with what can be forgotten there, and the one that
// is to be forgotten.
let uses = [];
let forgotten = null;

function use(...kinds) {
  uses.push(kinds);
  return forgotten?.use === uses.length - 1 ? forgotten.kind : null;
}

const named = (kind) => ({ organization: undefined, 'another organization': BOLT })[kind];

/** What a filter names: the organization, and whether deleted rows are left out. */
export function filter() {
  const kind = use('organization', 'another organization', 'deleted_at');
  return { organization: kind === null || kind === 'deleted_at' ? ACME : named(kind), live: kind !== 'deleted_at' };
}

/** The organization alone, for a table without soft delete. */
export function filterOrganization() {
  const kind = use('organization', 'another organization');
  return kind === null ? ACME : named(kind);
}

/** Whether deleted rows are left out where the organization is bound by other means. */
export const filterLive = () => use('deleted_at') === null;

/** The organization of a new row. */
export const organization = () => (use('another organization') === null ? ACME : BOLT);

/** The server's own error under what a library wraps around it; Bun has the SQLSTATE in `errno`. */
const serverError = (error) => {
  for (let found = error; found instanceof Error; found = found.cause) {
    const code = [found.code, found.errno].find((value) => /^[0-9A-Z]{5}$/.test(value));
    if (code) return { code, message: found.message };
  }
  return { code: error.name, message: error.message };
};

const plain = (value) => JSON.parse(JSON.stringify(value ?? null));
const tell = (line) => console.log(JSON.stringify(line));

/**
 * Runs the steps. `pid` gives the process of the server that the connection has; a program without it
 * has a pool that closes a connection on which a statement failed. `errorOf` gives the code and
 * message of an error where that is not plain.
 */
export async function run({ versions, steps, pid = () => null, errorOf = serverError }) {
  tell({ versions });
  const once = async (name) => {
    uses = [];
    return plain(await steps[name]());
  };
  const control = plain(await steps.by_id());
  for (const name of Object.keys(steps)) {
    forgotten = null;
    let found;
    try {
      const result = await once(name);
      found = uses;
      if (process.env.PART === 'honest') tell({ step: name, result });
    } catch (error) {
      tell({ step: name, error: errorOf(error) });
      continue;
    }
    if (process.env.PART !== 'forgotten') continue;
    for (const [at, kinds] of found.entries()) {
      for (const kind of kinds) {
        forgotten = { use: at, kind };
        const line = { step: name, forgotten: `${kind}, place ${at + 1}` };
        const before = await pid();
        try {
          line.result = await once(name);
        } catch (error) {
          line.error = errorOf(error);
        }
        forgotten = null;
        line.kept = (await pid()) === before && JSON.stringify(await once('by_id')) === JSON.stringify(control);
        tell(line);
      }
    }
  }
}

/** What all promises give, or the first error, but not before the last has come to its end. */
export async function all(promises) {
  await Promise.allSettled(promises);
  return Promise.all(promises);
}

/** The code of the error that a statement met, which must be one of the server's constraints. */
export const violated = (promise, errorOf = serverError) => promise.then(
  () => 'none',
  (error) => {
    if (errorOf(error).code !== '23505') throw error;
    return '23505';
  },
);

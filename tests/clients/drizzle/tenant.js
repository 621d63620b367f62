// The two organizations of schema.sql, and the filter that every query of the application owes.
import { and, eq, isNull } from 'drizzle-orm';

export const ACME = '01900000-0000-7000-8000-00000000000a';
export const BOLT = '01900000-0000-7000-8000-00000000000b';

/** An id of schema.sql by its last digits: `id('1a1')` is the anvil. */
export const id = (tail) => `01900000-0000-7000-8000-${tail.padStart(12, '0')}`;

/** The application's filter: rows of one organization that are not soft-deleted. */
export const withOrgFilter = (table, organizationId) =>
  and(eq(table.organizationId, organizationId), isNull(table.deletedAt));

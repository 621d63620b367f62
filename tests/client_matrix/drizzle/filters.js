// The filter that every query of the application owes.
import { and, eq, isNull } from 'drizzle-orm';

import { filter, filterLive, filterOrganization } from './harness.js';

/** Rows of the organization that are not soft-deleted. */
export const withOrgFilter = (table) => {
  const { organization, live } = filter();
  return and(organization && eq(table.organizationId, organization), live ? isNull(table.deletedAt) : undefined);
};

/** Rows of the organization, of a table without soft delete. */
export const ofOrganization = (table) => {
  const organization = filterOrganization();
  return organization && eq(table.organizationId, organization);
};

/** Rows that are not soft-deleted, where a join binds the organization. */
export const notDeleted = (table) => (filterLive() ? isNull(table.deletedAt) : undefined);

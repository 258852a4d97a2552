import { type Viewer, viewerKey } from '../../src/auth/viewer.js'
import type { WatchedTable } from '../../src/catalog/watched-table.js'
import type { RowImage } from '../../src/filters/index.js'
import { ListenqlError } from '../../src/lib/errors.js'
import type { RowAccess, RowAccessOptions } from '../../src/rls/row-access.js'
import { createSecured, type Secured } from './secured.js'
import { viewerOf } from './viewers.js'

/** One role of a new test database, its viewers, and tables that it may read under policies. */
export interface SecuredRole extends Secured {
  readonly role: string
  /** The row access of a server with the options of {@link createSecuredRole}. */
  readonly access: RowAccess
  /** Returns a viewer of the role. */
  me(claims?: Viewer['claims']): Viewer
  /** Creates a table with these policies that the role may read. */
  withPolicies(definition: string, name: string, policies: string): Promise<WatchedTable>
  /** Returns for each image whether the viewer sees it, or the code and message of the error. */
  sees(table: WatchedTable, viewer: Viewer, images: readonly RowImage[]): Promise<unknown>
}

/** Needs {@link Secured.close} at the end. */
export async function createSecuredRole(options: Partial<RowAccessOptions> = {}): Promise<SecuredRole> {
  const secured = await createSecured()
  const role = await secured.roles.add('viewer')
  const access = secured.start(options)
  return {
    ...secured,
    role,
    access,
    me: claims => viewerOf(role, claims),
    withPolicies: (definition, name, policies) => secured.table(name, definition, [role], policies),
    async sees(table, viewer, images) {
      const verdict = (await access.sees(table, [viewer], images)).get(viewerKey(viewer, true))
      return verdict instanceof ListenqlError ? `${verdict.code}: ${verdict.message}` : verdict
    },
  }
}

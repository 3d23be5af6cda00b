import { createRequire } from 'node:module';
import type { ZodType } from 'zod';
import type { Option, OptionTable } from './option.js';
import { MAIN_OPTIONS, SERVER_OPTIONS } from './options/index.js';
import { type RawValue, ValueError } from './values/value-type.js';

// The library is large and reading a configuration does not need it: loaded when somebody wants a schema.
let library: typeof import('zod') | undefined;
function zod(): typeof import('zod') {
  library ??= createRequire(import.meta.url)('zod') as typeof import('zod');
  return library;
}

/** The schema of one key: what TOML may hold there, turned into the setting. */
export function valueSchema(row: Option<unknown>): ZodType {
  const { z } = zod();
  const scalar = z.union([z.string(), z.number(), z.boolean()]);
  const schema = z.union([scalar, z.array(scalar)]).transform((raw, context) => {
    try {
      return row.type.read(raw as RawValue);
    } catch (error) {
      if (!(error instanceof ValueError)) throw error;
      context.addIssue({ code: 'custom', message: `${error.message}; allowed: ${row.type.allowed}` });
      return z.NEVER;
    }
  });
  const described = schema.describe(row.help);
  return row.required ? described : described.optional();
}

function tableSchema(table: OptionTable): ZodType {
  const { z } = zod();
  return z.strictObject(Object.fromEntries(Object.entries(table).map(([key, row]) => [key, valueSchema(row)])));
}

/** The schema of the section `[pgmoneta]` as TOML or JSON holds it. */
export function mainSchema(): ZodType {
  return tableSchema(MAIN_OPTIONS);
}

/** The schema of a server section. */
export function serverSchema(): ZodType {
  return tableSchema(SERVER_OPTIONS);
}

/** The schema of a whole configuration: `pgmoneta` and one object for each server. */
export function configurationSchema(): ZodType {
  const { z } = zod();
  return z.object({ pgmoneta: mainSchema() }).catchall(serverSchema());
}

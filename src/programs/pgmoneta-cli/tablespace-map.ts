import { isAbsolute } from 'node:path';
import type { JsonObject } from '../../management/json/index.js';
import { UsageError } from '../shared/usage-error.js';

/**
 * The `TablespaceMap` of a restore request from `OID|NAME|PATH=DIR` options; an equals sign that belongs to a path is
 * written `\=`.
 * @throws UsageError for a mapping without both sides, a relative directory, or one tablespace mapped twice
 */
export function tablespaceMap(mappings: readonly string[]): JsonObject {
  if (mappings.length === 0) return {};
  const map: Record<string, string> = {};
  for (const mapping of mappings) {
    const match = /^((?:\\=|[^=])+)=(.+)$/.exec(mapping);
    const tablespace = match?.[1]?.replaceAll('\\=', '=');
    const directory = match?.[2]?.replaceAll('\\=', '=');
    if (tablespace === undefined || directory === undefined) {
      throw new UsageError(`Error: --tablespace-map ${mapping} is not of the form OID|NAME|PATH=DIR`);
    }
    if (!isAbsolute(directory))
      throw new UsageError(`Error: --tablespace-map ${mapping}: the directory must be absolute`);
    if (Object.hasOwn(map, tablespace)) throw new UsageError(`Error: --tablespace-map names ${tablespace} twice`);
    map[tablespace] = directory;
  }
  return { TablespaceMap: map };
}

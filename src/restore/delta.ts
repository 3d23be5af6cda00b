import { lchown, lstat, opendir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ExistingCluster, ReuseReport } from '../native/restore.js';
import type { OldCluster } from './old-cluster.js';
import type { SpaceDemand } from './space.js';
import type { TargetPlan } from './target.js';

/** The old cluster as the core takes it. */
export function existingOf(old: OldCluster): ExistingCluster {
  const tablespaces = old.tablespaces.map(({ oid, directory }) => ({ oid, directory }));
  return { directory: old.directory, tablespaces };
}

/** What will be written to each directory; `walBytes` go to the data directory on top. */
export function writtenDemands(target: TargetPlan, { written }: ReuseReport, walBytes: number): SpaceDemand[] {
  const apart = new Set(target.tablespaces.map(({ oid }) => oid));
  const sum = (wanted: (oid: string) => boolean): number =>
    written.reduce((total, { oid, bytes }) => (wanted(oid) ? total + bytes : total), 0);
  return [
    { directory: target.final, bytes: sum((oid) => !apart.has(oid)) + walBytes },
    ...target.tablespaces.map(({ oid, final }) => ({ directory: final, bytes: sum((other) => other === oid) })),
  ];
}

/** What of the old cluster is not in the new one, or not where it was, beside files that the backup has not got. */
export function deltaWarnings(old: OldCluster, target: TargetPlan, { links }: ReuseReport): readonly string[] {
  const warnings: string[] = [];
  const wal = links.find(({ path }) => path === 'pg_wal');
  if (wal !== undefined) {
    warnings.push(
      `pg_wal was a link to ${wal.target}; the restored cluster has it inside the data directory. To have it there ` +
        'again, move it while the server is stopped and make the link; what was there stays as it is',
    );
  }
  const others = links.filter(({ path }) => path !== 'pg_wal');
  if (others.length > 0) {
    const named = others.slice(0, 10).map((link) => `${link.path} -> ${link.target}`);
    warnings.push(`links of ${old.directory} are in no backup and gone: ${named.join(', ')}`);
  }
  const used = new Set(target.tablespaces.map(({ final }) => final));
  for (const { oid, directory } of old.tablespaces) {
    if (used.has(directory)) continue;
    warnings.push(
      `tablespace ${oid} of the old cluster stays as it is in ${directory}: the restored one does not use it`,
    );
  }
  return warnings;
}

/** Gives a tree that root has made to the owner of the cluster that it replaces. */
export async function giveTree(tree: string, { uid, gid }: OldCluster['owner']): Promise<void> {
  const open = [tree];
  for (let directory = open.pop(); directory !== undefined; directory = open.pop()) {
    for await (const entry of await opendir(directory)) {
      const path = join(directory, entry.name);
      if (entry.isDirectory()) open.push(path);
      else await giveOne(path, uid, gid);
    }
    await giveOne(directory, uid, gid);
  }
}

async function giveOne(path: string, uid: number, gid: number): Promise<void> {
  const now = await lstat(path);
  if (now.uid !== uid || now.gid !== gid) await lchown(path, uid, gid);
}

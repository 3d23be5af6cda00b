/** A backup as far as its place in a chain goes. */
export interface ChainLink {
  readonly label: string;
  /** Label of the backup that it builds upon; undefined for a full one. */
  readonly parent: string | undefined;
}

/** What is known of a chain, from a backup down to its full one. */
export interface Chain<T extends ChainLink> {
  /** The backup itself, its parent, and so on. */
  readonly links: readonly T[];
  /** Label of the backup that is named as a parent and is not there, or stands twice; undefined when all is there. */
  readonly missing: string | undefined;
}

/** Follows the parents of a backup. A chain that leads back to itself, which only a damaged file can say, is cut. */
export function chainOf<T extends ChainLink>(backup: T, byLabel: ReadonlyMap<string, T>): Chain<T> {
  const links: T[] = [backup];
  const seen = new Set([backup.label]);
  let { parent } = backup;
  while (parent !== undefined) {
    const next = byLabel.get(parent);
    if (next === undefined || seen.has(parent)) return { links, missing: parent };
    seen.add(parent);
    links.push(next);
    parent = next.parent;
  }
  return { links, missing: undefined };
}

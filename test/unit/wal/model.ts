import { archiveOf, name } from './build.js';

/** Positions of the model: half segments, so that timelines begin at a border and in the middle. */
export const HALF = 0x80000;

export interface Branch {
  readonly timeline: number;
  readonly parent: number | undefined;
  /** First position of its own; may lie before the beginning of the parent, as PostgreSQL does it. */
  readonly begin: number;
  /** One behind its last position. */
  readonly end: number;
}

export interface World {
  readonly branches: readonly Branch[];
  /** Segments on disk: `timeline/number`. */
  readonly files: ReadonlySet<string>;
  readonly names: readonly string[];
  readonly histories: Readonly<Record<string, string>>;
}

type Random = () => number;
const upTo = (random: Random, limit: number) => Math.floor(random() * limit);

/** A server with up to six timelines, and an archive of it with up to three holes. */
export function makeWorld(random: Random): World {
  const branches: Branch[] = [{ timeline: 1, parent: undefined, begin: 0, end: 10 + upTo(random, 20) }];
  for (let count = upTo(random, 6); count > 0; count--) {
    const parent = branches[upTo(random, branches.length)] as Branch;
    const begin = 1 + upTo(random, parent.end - 1);
    branches.push({ timeline: branches.length + 1, parent: parent.timeline, begin, end: begin + 1 + upTo(random, 20) });
  }
  const files = new Set<string>();
  for (const { timeline, begin, end } of branches)
    for (let number = Math.floor(begin / 2); number < Math.floor(end / 2); number++) files.add(`${timeline}/${number}`);
  for (let holes = upTo(random, 4); holes > 0; holes--) {
    const victim = [...files][upTo(random, files.size)];
    if (victim !== undefined) files.delete(victim);
  }
  const suffixes = ['', '.zstd', '.aes', '.gz.aes'];
  const names = [...files].map((file) => {
    const [timeline, number] = file.split('/').map(Number) as [number, number];
    return name(timeline, number, suffixes[upTo(random, suffixes.length)]);
  });
  const histories = Object.fromEntries(
    branches.slice(1).map(({ timeline }) => [`0000000${timeline}.history`, historyText(branches, timeline)]),
  );
  return { branches, files, names, histories };
}

/** What PostgreSQL writes: the parent's file and one more line. */
function historyText(branches: readonly Branch[], timeline: number): string {
  const { parent, begin } = branches[timeline - 1] as Branch;
  if (parent === undefined) return '';
  return `${historyText(branches, parent)}${parent}\t0/${(begin * HALF).toString(16).toUpperCase()}\tno reason\n\n`;
}

/** The timeline that wrote a position on the way to a timeline. */
export function holder(world: World, timeline: number, position: number): number {
  const { parent, begin } = world.branches[timeline - 1] as Branch;
  return parent === undefined || position >= begin ? timeline : holder(world, parent, position);
}

/**
 * How far one can go from a position on the way to a timeline, one half segment after the other: each has to be in a
 * file of a timeline of that way, which agrees about who wrote it.
 */
export function walk(world: World, files: ReadonlySet<string>, timeline: number, from: number): number {
  const way = new Set(Array.from({ length: 100 }, (_, position) => holder(world, timeline, position)));
  let position = from;
  for (; position < 100; position++) {
    const wrote = holder(world, timeline, position);
    const number = Math.floor(position / 2);
    const there = [...way].some((other) => files.has(`${other}/${number}`) && holder(world, other, position) === wrote);
    if (!there) break;
  }
  return position;
}

/** The archive of a world without some of its files. */
export function archiveOfWorld(world: World, without: ReadonlySet<string> = new Set()) {
  return archiveOf(
    world.names.filter((file) => !without.has(file)),
    Object.fromEntries(Object.entries(world.histories).filter(([file]) => !without.has(file))),
  );
}

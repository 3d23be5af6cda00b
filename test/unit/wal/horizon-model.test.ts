import { describe, expect, it } from 'vitest';
import { type Lsn, toLsn } from '../../../src/postgres/types.js';
import { reachable } from '../../../src/wal/coverage.js';
import { type HeldBackup, planHorizon } from '../../../src/wal/horizon.js';
import { ancestry, newestTimeline, timelineAt } from '../../../src/wal/timelines.js';
import { seeded } from '../../support/random.mjs';
import { tli } from './build.js';
import { archiveOfWorld, type Branch, HALF, holder, makeWorld, type World, walk } from './model.js';

const WORLDS = 2000;
const at = (position: number): Lsn => toLsn(BigInt(position * HALF));
const json = (value: unknown) =>
  JSON.stringify(value, (_, entry) => (typeof entry === 'bigint' ? String(entry) : entry));

function makeBackups(world: World, random: () => number): (HeldBackup & { position: number })[] {
  return Array.from({ length: 1 + Math.floor(random() * 4) }, () => {
    const branch = world.branches[Math.floor(random() * world.branches.length)] as Branch;
    const position = branch.begin + Math.floor(random() * (branch.end - branch.begin));
    const label = `2026${String(Math.floor(random() * 1e10)).padStart(10, '0')}`;
    return { label, timeline: tli(branch.timeline), startLsn: at(position), startSegment: undefined, position };
  });
}

describe('against a model that goes step by step', () => {
  it('the way to a timeline has the right timeline at every position', () => {
    const random = seeded('timelines against the model');
    for (let count = 0; count < WORLDS; count++) {
      const world = makeWorld(random);
      const { histories } = archiveOfWorld(world);
      for (const { timeline } of world.branches) {
        const path = ancestry(tli(timeline), histories);
        const positions = Array.from({ length: 60 }, (_, position) => position);
        const found = positions.map((position) => timelineAt(path, at(position)));
        const wanted = positions.map((position) => holder(world, timeline, position));
        expect(found, json({ timeline, branches: world.branches })).toEqual(wanted);
      }
    }
  });

  it('what can be reached is the same', () => {
    const random = seeded('reach against the model');
    for (let count = 0; count < WORLDS; count++) {
      const world = makeWorld(random);
      const archive = archiveOfWorld(world);
      const { timeline, end } = world.branches[Math.floor(random() * world.branches.length)] as Branch;
      const from = Math.floor(random() * end);
      const { lsn } = reachable(archive, ancestry(tli(timeline), archive.histories), at(from));
      expect(lsn, json({ timeline, from, ...world, files: [...world.files] })).toBe(
        at(walk(world, world.files, timeline, from)),
      );
    }
  });

  it('after what the horizon allows has gone, every backup can be restored to whatever it could before', () => {
    const random = seeded('horizon against the model');
    let gone = 0;
    let cases = 0;
    for (let count = 0; count < WORLDS; count++) {
      const world = makeWorld(random);
      const backups = makeBackups(world, random);
      const archive = archiveOfWorld(world);
      const remove = new Set(planHorizon({ archive, backups }).remove.map(({ file }) => file));
      const left = new Set(world.files);
      for (const file of remove)
        left.delete(`${Number.parseInt(file.slice(0, 8), 16)}/${Number.parseInt(file.slice(16, 24), 16)}`);
      gone += remove.size;
      const after = archiveOfWorld(world, remove);
      for (const { timeline } of world.branches) {
        for (const backup of backups) {
          if (holder(world, timeline, backup.position) !== backup.timeline) continue;
          cases++;
          const told = json({ timeline, backup, backups, branches: world.branches, remove: [...remove] });
          expect(walk(world, left, timeline, backup.position), told).toBe(
            walk(world, world.files, timeline, backup.position),
          );
          // The way there is known as before, and `latest` finds what it found.
          expect(ancestry(tli(timeline), after.histories), told).toEqual(ancestry(tli(timeline), archive.histories));
          expect(newestTimeline(after.histories, backup.timeline), told).toBe(
            newestTimeline(archive.histories, backup.timeline),
          );
        }
      }
    }
    // A horizon that removes nothing would pass as well.
    expect(gone).toBeGreaterThan(WORLDS);
    expect(cases).toBeGreaterThan(WORLDS);
  });
});

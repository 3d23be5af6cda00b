import { describe, expect, it } from 'vitest';
import { advice, withoutNames } from '../../../src/programs/pgmoneta-cli/restore.js';

const RESPONSE = {
  Directory: "/restore/it's here",
  MajorVersion: 17,
  Target: 'recovers up to 0/5000, then becomes a primary on a new timeline',
};

describe('what is said after a restore', () => {
  it('is where it is, what it will do, how to start it, and what to do then', () => {
    const text = advice(RESPONSE, 'primary');
    expect(text).toContain("PostgreSQL 17 is restored in /restore/it's here. When it is started, it recovers up to");
    expect(text).toContain("pg_ctl -D '/restore/it'\\''s here' start");
    expect(text).toContain('pgmoneta-cli backup primary');
    expect(text).not.toMatch(/pg_wal_replay_resume|recovery\.signal/);
  });

  it('tells how to go on from where recovery waits', () => {
    expect(advice({ ...RESPONSE, Target: 'recovers, then pauses' }, 'primary')).toContain('pg_wal_replay_resume()');
    expect(advice({ ...RESPONSE, Target: 'recovers, then shuts down' }, 'primary')).toContain('recovery.signal');
  });

  it('has the warnings, and says that nothing was changed when nothing was', () => {
    const text = advice({ ...RESPONSE, DryRun: true, Warnings: ['the name is given twice'] }, 'primary');
    expect(text).toContain('Warning: the name is given twice\n');
    expect(text).toContain('Nothing was changed.');
    expect(text).not.toContain('pg_ctl');
  });

  it('tells what became of the files of a cluster that was there', () => {
    const counts = {
      KeptFiles: 962,
      Kept: 2048,
      RewrittenFiles: 8,
      Rewritten: 1,
      NewFiles: 0,
      New: 0,
      RemovedFiles: 3,
      Removed: 5,
    };
    const text = advice({ ...RESPONSE, ...counts }, 'primary');
    expect(text).toMatch(
      /962 \(2\.00kB\) stayed as they are, 8 \(.*\) were rewritten, 0 .* were added, 3 .* were removed/,
    );
    expect(advice({ ...RESPONSE, ...counts, DryRun: true }, 'primary')).toContain('962 (2.00kB) would stay');
    expect(advice(RESPONSE, 'primary')).not.toContain('Files:');
  });

  it('leaves the names of files to --verbose', () => {
    const names = { NewPaths: ['a'], RemovedPaths: ['b'], RewrittenPaths: ['c'] };
    expect(withoutNames({ ...RESPONSE, ...names })).toEqual(RESPONSE);
  });

  it('is nothing when the daemon does not tell', () => {
    expect(advice({ Backup: '20260101000000' }, 'primary')).toBe('');
  });
});

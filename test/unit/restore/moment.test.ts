import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { momentText, parseMoment } from '../../../src/restore/moment.js';

const before = process.env.TZ;

beforeAll(() => {
  process.env.TZ = 'Europe/Berlin';
});
afterAll(() => {
  process.env.TZ = before;
});

describe('a moment', () => {
  it.each([
    ['2026-01-31 13:45:00+00', '2026-01-31 13:45:00+00'],
    ['2026-01-31T13:45:00Z', '2026-01-31 13:45:00+00'],
    ['2026-01-31 13:45:00.25+01', '2026-01-31 12:45:00.25+00'],
    ['2026-01-31 13:45:00.000001 -03:30', '2026-01-31 17:15:00.000001+00'],
    ['2026-01-31 13:45 +0545', '2026-01-31 08:00:00+00'],
    ['2026-01-31 UTC', '2026-01-31 00:00:00+00'],
    ['2026-07-01 12:00:00 America/New_York', '2026-07-01 16:00:00+00'],
    // Without a zone: the local one, in winter and in summer.
    ['2026-01-31 13:45:00', '2026-01-31 12:45:00+00'],
    ['2026-07-31 13:45:00.5', '2026-07-31 11:45:00.5+00'],
  ])('%s is %s', (given, text) => {
    expect(parseMoment(given).text).toBe(text);
  });

  it('has its microseconds', () => {
    expect(parseMoment('2026-01-31 13:45:00.123456Z').micros).toBe(Date.UTC(2026, 0, 31, 13, 45) * 1000 + 123456);
  });

  it.each([
    ['yesterday', /is not a time/],
    ['2026-02-30 00:00:00Z', /no time that a clock shows/],
    ['2026-01-31 24:00:00Z', /no time that a clock shows/],
    ['2026-01-31 13:45:00.1234567Z', /is not a time/],
    ['2026-01-31 13:45:00+99', /no such offset/],
    ['2026-01-31 13:45:00 CST', /not unambiguous/],
    ['2026-01-31 13:45:00 Europe/Nowhere', /not known/],
    ['2026-01-31 13:45:00+01; DROP', /is not a time/],
    // The night in which the clocks are put forward, and the one in which they are put back.
    ['2026-03-29 02:30:00', /does not exist/],
    ['2026-10-25 02:30:00', /exists twice/],
    ['2026-10-25 02:30:00 Europe/Berlin', /exists twice in Europe\/Berlin/],
  ])('%s is refused', (given, message) => {
    expect(() => parseMoment(given)).toThrow(
      expect.objectContaining({ code: 'RESTORE_ERROR', message: expect.stringMatching(message) }),
    );
  });

  it('that exists twice comes with what to write instead', () => {
    expect(() => parseMoment('2026-10-25 02:30:00')).toThrow(
      expect.objectContaining({ hint: expect.stringContaining('2026-10-25 00:30:00+00 or 2026-10-25 01:30:00+00') }),
    );
  });

  it('is written so that it is read again', () => {
    for (const micros of [0, 1, 1_769_863_500_500_000, 1_769_863_500_000_007]) {
      expect(parseMoment(momentText(micros)).micros).toBe(micros);
    }
  });
});

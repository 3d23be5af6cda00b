import { describe, expect, it } from 'vitest';
import { formatRecord, strftime } from '../../../src/daemon/log-format.js';

const MOMENT = new Date(2026, 0, 2, 3, 4, 5);

describe('log lines', () => {
  it('start with the prefix and end with the fields', () => {
    const record = { level: 40, time: MOMENT.getTime(), msg: 'disk is filling up', free: 12, path: '/a b' };
    expect(formatRecord(record, '%Y-%m-%d %H:%M:%S')).toBe(
      '2026-01-02 03:04:05 WARN  disk is filling up free=12 path="/a b"\n',
    );
  });

  it('stay one record when the message has several lines', () => {
    expect(formatRecord({ level: 50, time: 0, msg: 'a\nb' }, '')).toBe(' ERROR a\n    b\n');
  });
});

it('knows the conversions that log_path and log_line_prefix use', () => {
  expect(strftime('%F %T %y %j %% %Q', MOMENT)).toBe('2026-01-02 03:04:05 26 002 % %Q');
});

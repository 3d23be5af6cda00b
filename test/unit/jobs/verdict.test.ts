import { expect, it } from 'vitest';
import { judge } from '../../../src/jobs/verdict.js';
import type { VerifyFinding, VerifyReason } from '../../../src/native/verify.js';

const found = (
  reason: VerifyReason,
  path = 'data/base/1/1259.zstd',
  more: Partial<VerifyFinding> = {},
): VerifyFinding => ({
  path,
  reason,
  algorithm: 'sha512',
  original: '',
  calculated: '',
  message: `${path} is bad`,
  ...more,
});

it('is good when there is nothing, or nothing that concerns the backup', () => {
  expect(judge([])).toEqual({ result: 'good', message: '', healable: true });
  expect(judge([found('surplus'), found('mismatch', 'data/a', { algorithm: 'page' })]).result).toBe('good');
});

it.each(['mismatch', 'missing', 'truncated', 'size'] as const)(
  'is damage when something is there with %s',
  (reason) => {
    expect(judge([found('unreadable', 'data/x'), found(reason)])).toEqual({
      result: 'damaged',
      message: 'data/base/1/1259.zstd is bad',
      healable: true,
    });
  },
);

it('condemns nothing for what could not be read', () => {
  expect(judge([found('surplus'), found('unreadable', 'data/x')])).toMatchObject({
    result: 'unreadable',
    message: 'data/x is bad',
  });
});

it.each(['backup.info', 'backup.json', 'backup.manifest', 'backup.sha512'])(
  'cannot be healed when %s is damaged',
  (path) => {
    expect(judge([found('mismatch', path)])).toMatchObject({ result: 'damaged', healable: false });
  },
);

it('names the file where there is no sentence', () => {
  expect(judge([found('missing', 'data/x', { message: '' })]).message).toBe('data/x: missing');
});

import { describe, expect, it } from 'vitest';
import { sshCiphers, storageEngines } from '../../../src/config/options/storage.js';
import { compressionWords, encryptionWords, logLevelWords } from '../../../src/config/options/words.js';
import { closest } from '../../../src/config/text/suggest.js';
import { boolean, inheritableBoolean } from '../../../src/config/values/boolean.js';
import { fileMode, port } from '../../../src/config/values/number.js';
import { retention } from '../../../src/config/values/retention.js';
import { path, slotName, text } from '../../../src/config/values/text.js';
import { duration, inheritableRate, rate, size } from '../../../src/config/values/units.js';
import { type RawValue, ValueError, type ValueType } from '../../../src/config/values/value-type.js';

function refuses(type: ValueType<never>, values: readonly RawValue[]): void {
  for (const value of values) {
    expect(() => type.read(value), JSON.stringify(value)).toThrow(ValueError);
  }
}
const reads = <T>(type: ValueType<T>, pairs: readonly (readonly [RawValue, T])[]) => {
  for (const [raw, value] of pairs) expect(type.read(raw), JSON.stringify(raw)).toEqual(value);
};

describe('durations', () => {
  it('have one optional unit, in any case', () => {
    reads(duration, [
      ['0', 0],
      ['90', 90],
      ['30s', 30],
      ['5M', 300],
      ['2h', 7200],
      ['7d', 604_800],
      ['2w', 1_209_600],
      ['4000000000', 4_000_000_000],
      [45, 45],
    ]);
  });
  it('are strict', () => {
    refuses(duration as ValueType<never>, [
      '',
      '1m5',
      '10ms',
      '-1',
      '1.5h',
      '1 h',
      'h',
      '1y',
      '9007199254740992',
      '20000000000w',
      1.5,
    ]);
  });
});

describe('sizes and rates', () => {
  it('are powers of 1024', () => {
    reads(size, [
      ['1', 1],
      ['1b', 1],
      ['1k', 1024],
      ['64KB', 65_536],
      ['16MiB', 16_777_216],
      ['4g', 4_294_967_296],
      ['2 GB', 2_147_483_648],
      ['1T', 1_099_511_627_776],
    ]);
    reads(rate, [
      ['10MB', 10_485_760],
      ['10MB/s', 10_485_760],
      ['1048576', 1_048_576],
    ]);
    expect(inheritableRate.read('-1')).toBeNull();
    expect(inheritableRate.read('0')).toBe(0);
  });
  it('are strict', () => {
    refuses(size as ValueType<never>, ['', '10x', '1bb', '1mibb', '-1', '1.5M', 'M', '9000000T', '1  k', ['1', '2']]);
    refuses(rate as ValueType<never>, ['10MB/h', '-1', 'fast']);
  });
});

describe('round trips', () => {
  it('give every value back', () => {
    let seed = 42;
    const random = (limit: number) => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
      return Math.floor((seed / 2_147_483_648) * limit);
    };
    for (let round = 0; round < 2000; round++) {
      const value = random(2 ** random(50)) * ([1, 60, 3600, 1024, 1024 ** 2][random(5)] as number);
      if (!Number.isSafeInteger(value)) continue;
      expect(duration.read(duration.write(value))).toBe(value);
      expect(size.read(size.write(value))).toBe(value);
      expect(rate.read(rate.write(value))).toBe(value);
      const policy = {
        days: random(9) || null,
        weeks: random(4) || null,
        months: random(12) || null,
        years: random(9) || null,
      };
      expect(retention.read(retention.write(policy))).toEqual(policy);
    }
    for (const type of [compressionWords, encryptionWords, logLevelWords]) {
      for (const word of type.words ?? []) expect(type.read(type.write(word as never))).toBe(word);
    }
  });
});

describe('retention', () => {
  it('takes every placeholder in every position', () => {
    const policy = (days: number | null, weeks: number | null, months: number | null, years: number | null) => ({
      days,
      weeks,
      months,
      years,
    });
    reads(retention, [
      ['7', policy(7, null, null, null)],
      ['7, - , - , -', policy(7, null, null, null)],
      ['7,,3', policy(7, null, 3, null)],
      ['-,-,5', policy(null, null, 5, null)],
      ['0, ,3', policy(null, null, 3, null)],
      ['x,X,12,5', policy(null, null, 12, 5)],
      ['14,4,6,2', policy(14, 4, 6, 2)],
      [30, policy(30, null, null, null)],
      [[7, 4, '-', 1], policy(7, 4, null, 1)],
    ]);
  });
  it('refuses nonsense', () => {
    refuses(retention as ValueType<never>, ['a', '-1', '7,5,1', '7,4,13,1', '1,2,3,4,5', '1.5', '7;4', '99999999']);
  });
});

describe('words', () => {
  it('know their aliases in any case', () => {
    reads(compressionWords, [
      ['zstd', 'client-zstd'],
      ['BZIP2', 'client-bzip2'],
      ['client-bz2', 'client-bzip2'],
      ['bz2', 'client-bzip2'],
      ['server-gzip', 'server-gzip'],
      ['none', 'none'],
    ]);
    reads(encryptionWords, [
      ['aes', 'aes-256-gcm'],
      ['aes-192', 'aes-192-gcm'],
      ['aes-128-gcm', 'aes-128-gcm'],
      ['aes-256-cbc', 'aes-256-cbc'],
    ]);
    expect(logLevelWords.read('debug3')).toBe('debug5');
  });
  it('suggest the nearest', () => {
    expect(() => encryptionWords.read('aes-265')).toThrow(expect.objectContaining({ suggestion: 'aes-256' }));
    expect(() => compressionWords.read('ztsd')).toThrow(expect.objectContaining({ suggestion: 'zstd' }));
    expect(() => compressionWords.read('something')).toThrow(expect.objectContaining({ suggestion: undefined }));
  });
  it('have the codes of the C program', () => {
    expect(compressionWords.document('client-zstd')).toEqual({ value: 0x12, string_value: 'zstd' });
    expect(compressionWords.document('server-lz4')).toEqual({ value: 0x23, string_value: 'lz4' });
    expect(encryptionWords.document('aes-128-gcm')).toEqual({ value: 3, string_value: 'aes-128-gcm' });
    expect(storageEngines.document(['local', 's3'])).toEqual({ value: 5, string_value: 'local|s3' });
  });
});

describe('the rest', () => {
  it('reads booleans, modes, ports, lists and texts', () => {
    reads(boolean, [
      ['Yes', true],
      ['0', false],
      [true, true],
      [0, false],
    ]);
    expect(inheritableBoolean.read('-1')).toBeNull();
    reads(fileMode, [
      ['0660', 0o660],
      ['600', 0o600],
    ]);
    expect(fileMode.write(0o600)).toBe('0600');
    reads(storageEngines, [
      ['local, SSH,', ['local', 'ssh']],
      [['s3', 's3'], ['s3']],
    ]);
    expect(sshCiphers.read('aes, aes-192-ctr ,chacha20')).toEqual(['aes256-cbc', 'aes192-ctr', 'chacha20']);
    expect(path.expands).toBe(true);
  });
  it('refuses what it must', () => {
    refuses(boolean as ValueType<never>, ['maybe', '2', '']);
    refuses(fileMode as ValueType<never>, ['0999', '1777', 'rw', '']);
    refuses(port as ValueType<never>, ['0x10', '65536', '-1', '1.5', '80 90']);
    refuses(storageEngines as ValueType<never>, ['local,foo', [['x']] as never]);
    refuses(slotName as ValueType<never>, ['Repl', 'a-b', 'x'.repeat(64)]);
    refuses(text({ maxBytes: 3 }) as ValueType<never>, ['abcd', 'üü', 'a\nb', ['a']]);
  });
});

describe('closest', () => {
  it('finds what was meant, and nothing where nothing is near', () => {
    const keys = ['compression', 'compression_level', 'host', 'port'];
    expect(closest('comperssion', keys)).toBe('compression');
    expect(closest('hots', keys)).toBe('host');
    expect(closest('prt', keys)).toBe('port');
    expect(closest('elephant', keys)).toBeUndefined();
    expect(closest('x'.repeat(1000), keys)).toBeUndefined();
  });
});

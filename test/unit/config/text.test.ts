import { describe, expect, it } from 'vitest';
import { decodeOrdinary, decodePath, expandVariables } from '../../../src/config/text/decode.js';
import { setIniValue } from '../../../src/config/text/edit-ini.js';
import { setTomlValue } from '../../../src/config/text/edit-toml.js';
import { encodeOrdinary, encodePath } from '../../../src/config/text/encode.js';
import { parseIni } from '../../../src/config/text/ini.js';
import { parseVaultLines } from '../../../src/config/text/vault-lines.js';

describe('parseIni', () => {
  it('reads sections and entries with their lines', () => {
    const text = '\ufeff# c\n[pgmoneta]\r\n host = a ; b\n\n[ primary ] # x\n"port"=1\npath /x y\n';
    const { sections, problems } = parseIni(text);
    expect(problems).toEqual([]);
    expect(sections).toEqual([
      { name: 'pgmoneta', line: 2, entries: [{ key: 'host', raw: 'a ; b', equals: true, line: 3 }] },
      {
        name: 'primary',
        line: 5,
        entries: [
          { key: 'port', raw: '1', equals: true, line: 6 },
          { key: 'path', raw: '/x y', equals: false, line: 7 },
        ],
      },
    ]);
  });

  it('tells the lines that are nothing', () => {
    const { problems, sections } = parseIni('a = 1\n[x\n[]\n= 3\n[y] z\n');
    expect(problems.map((problem) => [problem.line, problem.severity])).toEqual([
      [2, 'error'],
      [3, 'error'],
      [4, 'error'],
      [5, 'warning'],
    ]);
    expect(sections.map((section) => section.name)).toEqual([null, 'y']);
  });

  it('reads lines of any length', () => {
    const long = 'ü'.repeat(100_000);
    expect(parseIni(`[a]\nk = ${long}`).sections[0]?.entries[0]?.raw).toBe(long);
  });
});

describe('values', () => {
  it('of ordinary keys keep # and ; in quotes', () => {
    expect(decodeOrdinary('"%Y # z" # comment')).toEqual({ text: '%Y # z' });
    expect(decodeOrdinary("'a;b'")).toEqual({ text: 'a;b' });
    expect(decodeOrdinary('"a \\"b\\" \\\\ \\n"')).toEqual({ text: 'a "b" \\ \\n' });
    expect(decodeOrdinary('4 # four')).toEqual({ text: '4' });
    expect(decodeOrdinary('# nothing')).toEqual({ text: '' });
    expect(decodeOrdinary('= x')).toEqual({ text: 'x' });
    expect(decodeOrdinary('a#b')).toMatchObject({ text: 'a', warning: expect.stringMatching(/comment/) });
    expect(decodeOrdinary('"a')).toMatchObject({ text: 'a', problem: expect.stringMatching(/not closed/) });
    expect(decodeOrdinary('"a" b')).toMatchObject({ problem: expect.stringMatching(/after the closing/) });
  });

  it('of path keys are resolved as a shell would', () => {
    const environment = { HOME: '/h', A_1: 'x' };
    expect(decodePath('"$HOME/a b"/\'$x\' ; tail', environment)).toEqual({ text: '/h/a b/$x' });
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a variable of the configuration
    expect(decodePath('${HOME}/$A_1.d', environment)).toEqual({ text: '/h/x.d' });
    expect(decodePath('/a\\ b\\#c # d', environment)).toEqual({ text: '/a b#c' });
    expect(decodePath('$NOPE/x', environment)).toMatchObject({ problem: expect.stringMatching(/NOPE/) });
    expect(decodePath('$/x', environment)).toMatchObject({ problem: expect.stringMatching(/no name/) });
    expect(decodePath('"/x', environment)).toMatchObject({ problem: expect.stringMatching(/not closed/) });
    expect(decodePath('/x\\', environment)).toMatchObject({ problem: expect.stringMatching(/backslash/) });
    expect(decodePath('$constructor', environment)).toMatchObject({ problem: expect.stringMatching(/constructor/) });
    expect(expandVariables('"$HOME"', environment)).toEqual({ text: '"/h"' });
  });

  it('come back from what is written', () => {
    const odd = [
      '',
      'a',
      'a b',
      ' a',
      'a ',
      '=',
      '= a',
      '"',
      "'",
      '"a"',
      'a"b',
      "it's",
      'a#b',
      '#',
      ';',
      'a ; b',
      '\\',
      'a\\"',
      '$x',
      '$x\'"\\ #',
      'ü',
    ];
    for (const value of odd) {
      expect(decodeOrdinary(encodeOrdinary(value)), value).toEqual({ text: value });
      if (value.trim() === value) expect(decodePath(encodePath(value), {}), value).toEqual({ text: value });
    }
  });
});

const FILE = `# The daemon
[pgmoneta]
host = *            ; everywhere
base_dir = "/a b"   # the root
log_path /var/log/x
  workers=4

# Servers
[primary]
host = localhost
port = 5432
host = db

; the end
[second]
`;

describe('setIniValue', () => {
  const set = (section: string, key: string, value: string, path = false) =>
    setIniValue(FILE, section, key, value, path) as string;

  it('keeps all other lines, comments and spacing', () => {
    expect(set('pgmoneta', 'host', 'x')).toBe(FILE.replace('host = *            ;', 'host = x            ;'));
    expect(set('pgmoneta', 'base_dir', '/c', true)).toBe(FILE.replace('"/a b"   #', '/c   #'));
    expect(set('pgmoneta', 'log_path', '/c', true)).toBe(FILE.replace('log_path /var/log/x', 'log_path = /c'));
    expect(set('pgmoneta', 'workers', '8')).toBe(FILE.replace('  workers=4', '  workers=8'));
    expect(set('primary', 'host', 'x')).toBe(FILE.replace('host = db', 'host = x'));
  });

  it('adds what is not there after the last entry of the section', () => {
    expect(set('pgmoneta', 'metrics', '5001')).toBe(FILE.replace('  workers=4\n', '  workers=4\nmetrics = 5001\n'));
    expect(set('primary', 'user', 'r')).toBe(FILE.replace('host = db\n', 'host = db\nuser = r\n'));
    expect(set('second', 'port', '1')).toBe(`${FILE}port = 1\n`);
    expect(setIniValue('[a]', 'a', 'k', 'v', false)).toBe('[a]\nk = v\n');
    expect(setIniValue('[a]\r\nx = 1\r\n[b]\r\n', 'a', 'k', 'v', false)).toBe('[a]\r\nx = 1\r\nk = v\r\n[b]\r\n');
  });

  it('has no place in a section that is not there', () => {
    expect(setIniValue(FILE, 'third', 'k', 'v', false)).toBeNull();
  });

  it('changes one value and nothing else, whatever the text', () => {
    let seed = 7;
    const random = (limit: number) => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
      return Math.floor((seed / 2_147_483_648) * limit);
    };
    const pieces = [
      '[a]',
      '[b]',
      '[a] ; x',
      'k = 1',
      'k=2 # c',
      'other = "x # y" ; z',
      '',
      '# k = 3',
      ' k  3',
      '[',
      '= 4',
    ];
    for (let round = 0; round < 3000; round++) {
      const end = ['\n', '\r\n', '\r'][random(3)] as string;
      const text = Array.from({ length: random(12) }, () => pieces[random(pieces.length)]).join(end);
      const value = ['x', 'a # b', '"q"', "it's; so", '='][random(5)] as string;
      const after = setIniValue(text, 'a', 'k', encodeOrdinary(value), false);
      const has = parseIni(text).sections.some((section) => section.name === 'a');
      expect(after === null).toBe(!has);
      if (after === null) continue;
      const flat = (source: string) =>
        parseIni(source).sections.flatMap((section) =>
          section.entries.map((entry) => [section.name, entry.key, decodeOrdinary(entry.raw).text] as const),
        );
      const last = flat(after).findLast(([section, key]) => section === 'a' && key === 'k');
      expect(last?.[2]).toBe(value);
      const rest = (source: string) => {
        const lines = source.split(/\r\n|\n|\r/).filter((line) => line !== '');
        return lines.toSorted();
      };
      const before = rest(text);
      for (const line of rest(after)) {
        const index = before.indexOf(line);
        if (index >= 0) before.splice(index, 1);
      }
      expect(before.length).toBeLessThanOrEqual(1);
    }
  });
});

describe('setTomlValue', () => {
  it('does not get lost in a long line', () => {
    const file = `[pgmoneta]\nhost = ${'a '.repeat(100_000)}\n`;
    expect(setTomlValue(file, 'pgmoneta', 'host', 'x')).toBeNull();
    const quoted = `[pgmoneta]\nhost = "${'a # '.repeat(50_000)}" # why\n`;
    expect(setTomlValue(quoted, 'pgmoneta', 'host', 'x')).toBe('[pgmoneta]\nhost = "x" # why\n');
  });

  const file = '# c\n[pgmoneta]\nhost = "*" # all\nworkers = 4\n\n[primary]\nport = 5432\n';
  it('keeps all other lines and comments', () => {
    expect(setTomlValue(file, 'pgmoneta', 'host', 'x"y')).toBe(file.replace('"*"', '"x\\"y"'));
    expect(setTomlValue(file, 'pgmoneta', 'workers', '8')).toBe(file.replace('workers = 4', 'workers = "8"'));
    expect(setTomlValue(file, 'primary', 'user', 'r')).toBe(file.replace('5432\n', '5432\nuser = "r"\n'));
  });
  it('refuses what it cannot edit safely', () => {
    expect(setTomlValue(file, 'third', 'k', 'v')).toBeNull();
    expect(setTomlValue('[a]\nk = """\nx\n"""\n', 'a', 'k', 'v')).toBeNull();
    expect(setTomlValue('a = {k = 1}\n', 'a', 'k', 'v')).toBeNull();
  });
});

describe('parseVaultLines', () => {
  it('reads entries and tells the other lines', () => {
    expect(parseVaultLines('# c\nrepl:abc= ; c\n::x::y:z\n\nnonsense\r\nx:\n')).toEqual({
      entries: [
        { user: 'repl', sealed: 'abc=', line: 2 },
        { user: 'x', sealed: 'y', line: 3 },
      ],
      problems: [
        { line: 5, message: expect.any(String) },
        { line: 6, message: expect.any(String) },
      ],
    });
  });
});

import { describe, expect, it } from 'vitest';
import { DAEMON } from '../../../src/programs/pgmoneta/program.js';
import { ADMIN } from '../../../src/programs/pgmoneta-admin/program.js';
import { CLI } from '../../../src/programs/pgmoneta-cli/program.js';
import { parseLine } from '../../../src/programs/shared/parse.js';
import { STANDARD_FLAGS } from '../../../src/programs/shared/run.js';
import { nameArguments, selectCommand } from '../../../src/programs/shared/select.js';

const FLAGS = { ...STANDARD_FLAGS, ...CLI.flags, ...CLI.commandFlags };
const parse = (...argv: string[]) => parseLine(argv, FLAGS);

describe('options', () => {
  it.each([
    [['-c', 'f', 'ping']],
    [['-c=f', 'ping']],
    [['ping', '--config', 'f']],
    [['ping', '--config=f']],
    [['-cf', 'ping']],
  ])('are understood anywhere and in every form: %j', (argv) => {
    const { words, flags } = parse(...argv);
    expect(words).toEqual(['ping']);
    expect(flags.text('config')).toBe('f');
  });

  it('may be bundled when they are switches, and repeated', () => {
    const { flags } = parse('-vV', '-F', 'json', '-F', 'raw', '--tablespace-map', 'a=/b', '--tablespace-map=c=/d');
    expect(flags.has('verbose') && flags.has('version')).toBe(true);
    expect(flags.text('format')).toBe('raw');
    expect(flags.list('tablespace-map')).toEqual(['a=/b', 'c=/d']);
    expect(flags.has('quiet')).toBe(false);
  });

  it('end at --, and are not mixed up with numbers and lists', () => {
    expect(parse('conf', 'set', 'retention', '-1').words).toEqual(['conf', 'set', 'retention', '-1']);
    expect(parse('conf', 'set', 'retention', '-,4,-,-').words.at(-1)).toBe('-,4,-,-');
    expect(parse('conf', 'set', 'x', '--', '-v', '--force').words).toEqual(['conf', 'set', 'x', '-v', '--force']);
    expect(parse('-').words).toEqual(['-']);
  });

  it.each([
    [['--frmat', 'json'], 'Unknown option --frmat', 'did you mean --format?'],
    [['-x'], 'Unknown option -x', 'goes after --'],
    [['ping', '-c'], 'Option -c requires an argument', undefined],
    [['-c', '--format', 'json'], 'Option -c requires an argument', undefined],
    [['--verbose=yes'], 'Option --verbose takes no value', undefined],
    [['-F', 'jsno'], "-F cannot be 'jsno'; it is one of: text, json, raw", 'did you mean json?'],
    [['--__proto__'], 'Unknown option --__proto__', undefined],
  ])('are refused with a reason: %j', (argv, message, hint) => {
    const refused = (() => {
      try {
        parse(...argv);
      } catch (error) {
        return error as Error & { hint?: string };
      }
      return undefined;
    })();
    expect(refused?.message).toContain(message);
    if (hint !== undefined) expect(refused?.hint).toContain(hint);
  });
});

describe('commands', () => {
  it('are one word or two', () => {
    expect(selectCommand(CLI, ['status'])).toEqual({ words: 'status', args: [] });
    expect(selectCommand(CLI, ['status', 'details'])).toEqual({ words: 'status details', args: [] });
    expect(selectCommand(CLI, ['conf', 'set', 'a', 'b'])).toEqual({ words: 'conf set', args: ['a', 'b'] });
    expect(selectCommand(ADMIN, ['user', 'ls'])).toEqual({ words: 'user ls', args: [] });
    expect(selectCommand(DAEMON, [])).toEqual({ words: '', args: [] });
  });

  it.each([
    [[], 'A command is required', undefined],
    [['inof'], "Unknown command 'inof'", "did you mean 'info'?"],
    [['backpu', 'x'], "Unknown command 'backpu'", "did you mean 'backup'?"],
    [['xyzzy'], "Unknown command 'xyzzy'", undefined],
    [['conf'], "Command 'conf' requires a subcommand", 'one of: get, ls, reload, set'],
    [['conf', 'gte'], "Unknown subcommand 'gte' for command 'conf'", "did you mean 'get'?"],
    [['toString'], "Unknown command 'toString'", undefined],
  ])('are refused with a suggestion: %j', (words, message, hint) => {
    expect(() => selectCommand(CLI, words)).toThrow(expect.objectContaining({ message, ...(hint ? { hint } : {}) }));
  });

  it('take optional arguments in the middle only when there are words to spare', async () => {
    const { default: restore } = await import('../../../src/programs/pgmoneta-cli/commands/restore.js');
    const name = (...words: string[]) => nameArguments('restore', restore.args, words);
    expect(name('s', 'newest', '/d')).toEqual({ server: 's', identifier: 'newest', directory: '/d' });
    expect(name('s', 'newest', 'current', '/d')).toMatchObject({ position: 'current', directory: '/d' });
    expect(() => name('s', 'newest')).toThrow("Too few arguments provided for command 'restore'");
    expect(() => name('a', 'b', 'c', 'd', 'e')).toThrow("Too many arguments provided for command 'restore'");
  });

  it('check words that have only some values', async () => {
    const { default: mode } = await import('../../../src/programs/pgmoneta-cli/commands/mode.js');
    expect(() => nameArguments('mode', mode.args, ['s', 'onlin'])).toThrow(/one of: online, offline/);
  });

  it.each([CLI, ADMIN, DAEMON])('of $name declare only options that the program knows', async (program) => {
    for (const load of Object.values(program.commands)) {
      const { default: command } = await load();
      expect(command.summary).not.toMatch(/\.$/);
      expect(command.examples.length).toBeGreaterThan(0);
      for (const [flag, declared] of Object.entries(command.flags)) {
        expect(program.commandFlags[flag]).toMatchObject({ type: declared.type });
      }
    }
    const characters = Object.values({ ...STANDARD_FLAGS, ...program.flags, ...program.commandFlags })
      .map((flag) => flag.char)
      .filter((character) => character !== undefined);
    expect(new Set(characters).size).toBe(characters.length);
  });
});

import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { Prompter } from '../../../src/programs/pgmoneta-admin/prompt.js';

function terminal(typed: string[], isTTY: boolean) {
  const printed: string[] = [];
  const modes: boolean[] = [];
  const input = Object.assign(new PassThrough(), {
    isTTY,
    setRawMode: (raw: boolean) => {
      modes.push(raw);
    },
  });
  for (const chunk of typed) input.write(Buffer.from(chunk, 'latin1'));
  return { prompter: new Prompter(input, { write: (text) => printed.push(text) }), input, printed, modes };
}

describe('prompts on a terminal', () => {
  it('do not echo what is hidden, and set the terminal back', async () => {
    const { prompter, printed, modes } = terminal(['secret\r'], true);
    expect(await prompter.ask('Password : ', true)).toBe('secret');
    expect(printed.join('')).toBe('Password : \n');
    expect(modes).toEqual([true, false]);
  });

  it('echo what is not, and know backspace and Ctrl-U', async () => {
    const { prompter, printed } = terminal(['ax\x7fb\x15cd\b\x7f\x7fok\r'], true);
    expect(await prompter.ask('User name: ', false)).toBe('ok');
    expect(printed.join('')).toContain('ax\b \bb');
  });

  it('put characters together that arrive torn', async () => {
    const { prompter } = terminal(['p\xc3', '\xa4ss\r'], true);
    expect(await prompter.ask('', true)).toBe('päss');
  });

  it('end with Ctrl-C, changing nothing, and with Ctrl-D', async () => {
    const interrupted = terminal(['ab\x03'], true);
    await expect(interrupted.prompter.ask('', true)).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(interrupted.modes).toEqual([true, false]);
    await expect(terminal(['\x04'], true).prompter.ask('X: ', true)).rejects.toThrow(/the input ended where 'X:'/);
    expect(await terminal(['ab\x04'], true).prompter.ask('', true)).toBe('ab');
  });
});

describe('prompts without a terminal', () => {
  it('take one line after the other', async () => {
    const { prompter, input, modes } = terminal(['one\r\nt', 'wo\nlast'], false);
    input.end();
    expect(await prompter.ask('', true)).toBe('one');
    expect(await prompter.ask('', true)).toBe('two');
    expect(await prompter.ask('', true)).toBe('last');
    await expect(prompter.ask('', true)).rejects.toMatchObject({ code: 'ADMIN_REFUSED' });
    expect(modes).toEqual([]);
  });
});

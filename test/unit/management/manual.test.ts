import { readFile, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { COMMAND_NAMES, COMMANDS } from '../../../src/management/commands.js';

const PAGE = new URL('../../../docs/management.md', import.meta.url);
const BEGIN = '<!-- generated from the command table: begin -->\n';
const END = '<!-- generated from the command table: end -->\n';

function table(): string {
  const rows = COMMAND_NAMES.map((name) => {
    const { code, keys, error, workflow } = COMMANDS[name];
    const shown = Object.entries(keys).map(([key, type]) => `\`${key}\` ${type}`);
    return `| ${code} | \`${name}\` | ${shown.join(', ')} | ${error} | ${workflow} |`;
  });
  const head =
    '| Code | Command | Keys of `Request` (`?`: may be absent or null) | General error | Workflow |\n|---|---|---|---|---|';
  return `${head}\n${rows.join('\n')}\n`;
}

describe('docs/management.md', () => {
  it('has the command table (UPDATE_DOCS=1 writes it)', async () => {
    const page = await readFile(PAGE, 'utf8');
    const [before, after] = [page.indexOf(BEGIN) + BEGIN.length, page.indexOf(END)];
    expect(after).toBeGreaterThanOrEqual(before);
    if (process.env.UPDATE_DOCS === '1') {
      await writeFile(PAGE, page.slice(0, before) + table() + page.slice(after));
    } else {
      expect(page.slice(before, after)).toBe(table());
    }
  });
});

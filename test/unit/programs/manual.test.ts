import { readFile, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { DAEMON } from '../../../src/programs/pgmoneta/program.js';
import { ADMIN } from '../../../src/programs/pgmoneta-admin/program.js';
import { CLI } from '../../../src/programs/pgmoneta-cli/program.js';
import { programManual } from '../../../src/programs/shared/manual.js';

const PAGE = new URL('../../../docs/cli.md', import.meta.url);
const BEGIN = '<!-- generated from the declarations of the commands: begin -->\n';
const END = '<!-- generated from the declarations of the commands: end -->\n';

describe('docs/cli.md', () => {
  it('has what the commands declare (UPDATE_DOCS=1 writes it)', async () => {
    const page = await readFile(PAGE, 'utf8');
    const [before, after] = [page.indexOf(BEGIN) + BEGIN.length, page.indexOf(END)];
    expect(before).toBeGreaterThan(BEGIN.length);
    expect(after).toBeGreaterThanOrEqual(before);
    const parts = await Promise.all([CLI, ADMIN, DAEMON].map(programManual));
    const generated = `\n${parts.join('\n')}\n`;
    if (process.env.UPDATE_DOCS === '1') {
      await writeFile(PAGE, page.slice(0, before) + generated + page.slice(after));
    } else {
      expect(page.slice(before, after)).toBe(generated);
    }
  });
});

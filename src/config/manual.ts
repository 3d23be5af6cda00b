import { defaultText, type Option } from './option.js';
import { OPTION_GROUPS, type OptionGroup } from './options/groups.js';
import { boolean } from './values/boolean.js';
import { fileMode } from './values/number.js';
import { retention } from './values/retention.js';
import { path } from './values/text.js';
import { duration, rate, size } from './values/units.js';

/** Types whose values have a grammar worth a line of its own. */
const GRAMMARS = [boolean, duration, size, rate, path, retention, fileMode] as const;

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}

function defaultCell(row: Option<unknown>): string {
  if (row.required) return '*required*';
  if (row.inherits) return 'that of `[pgmoneta]`';
  const text = defaultText(row);
  if (text === '') return '';
  return text.includes('`') ? text : `\`${text}\``;
}

function typeCell({ type }: Option<unknown>): string {
  const explained = GRAMMARS.some(({ name }) => name === type.name);
  if (explained || type.name === 'text') return type.name;
  return type.words === undefined || type.name === 'list'
    ? type.allowed
    : type.words.map((word) => `\`${word}\``).join(', ');
}

function meaningCell(row: Option<unknown>, withoutEffect: boolean): string {
  const notes = [
    ...(withoutEffect ? ['**This version does not act upon it.**'] : []),
    ...(row.secret ? ['Secret: never shown.'] : []),
    ...(row.contentOf ? [`Instead of \`${row.contentOf}\`.`] : []),
    ...(row.since === undefined ? [] : [row.since === 'here' ? 'Not in the C program.' : `Since ${row.since}.`]),
  ];
  return [row.help, ...notes].join(' ');
}

/** The rows of a group as a table of the manual. */
export function groupTable(group: OptionGroup): string {
  const head = group.reloads ? ['Key', 'Type', 'Default', 'Reload', 'Meaning'] : ['Key', 'Type', 'Default', 'Meaning'];
  const rows = Object.entries(group.table).map(([key, row]) => [
    `\`${key}\``,
    typeCell(row),
    defaultCell(row),
    ...(group.reloads ? [row.reload] : []),
    meaningCell(row, group.withoutEffect?.has(key) === true),
  ]);
  const lines = [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.map(cell).join(' | ')} |`);
  return lines.join('\n');
}

/** The types that need explaining, with what each allows. */
export function typeTable(): string {
  const lines = GRAMMARS.map(({ name, allowed }) => `| ${name} | ${cell(allowed)} |`);
  return ['| Type | Allowed |', '| --- | --- |', ...lines].join('\n');
}

/**
 * Puts the tables between the markers of the manual, `<!-- options: NAME -->` and `<!-- end -->`; the text around
 * them stays.
 * @throws Error when a group has no marker, or a marker names no group
 */
export function fillManual(page: string): string {
  const parts = new Map([
    ['types', typeTable()],
    ...OPTION_GROUPS.map((group) => [group.name, groupTable(group)] as const),
  ]);
  const filled = page.replace(/<!-- options: ([a-z0-9-]+) -->\n[\s\S]*?<!-- end -->/g, (_, name: string) => {
    const table = parts.get(name);
    if (table === undefined) throw new Error(`the manual asks for ${name}, which is no group or was there already`);
    parts.delete(name);
    return `<!-- options: ${name} -->\n${table}\n<!-- end -->`;
  });
  if (parts.size > 0) throw new Error(`the manual has no place for ${[...parts.keys()].join(', ')}`);
  return filled;
}

import { type Argument, type Flag, type Program, type ProgramCommand, usageOf } from './declare.js';
import { STANDARD_FLAGS } from './run.js';

/** The reference of a program in Markdown, from its declarations: its part of the manual. */
export async function programManual(program: Program): Promise<string> {
  const parts = [`## ${program.name}`, `${program.summary}.`];
  parts.push('Options of every command:', flagTable({ ...program.flags, ...STANDARD_FLAGS }));
  for (const [words, load] of Object.entries(program.commands)) {
    const { default: command } = await load();
    parts.push(...commandManual(program, words, command));
  }
  return `${parts.join('\n\n')}\n`;
}

function commandManual(program: Program, words: string, command: ProgramCommand): string[] {
  const usage = `${program.name} ${words} ${usageOf(command.args)}`.trim().replace(/ +/g, ' ');
  const parts = words === '' ? [] : [`### ${words}`];
  parts.push(`${command.summary}.`, fence([usage]));
  if (command.description !== undefined) parts.push(markdown(command.description));
  if (Object.keys(command.args).length > 0) parts.push(argumentTable(command.args));
  if (Object.keys(command.flags).length > 0) parts.push(flagTable(command.flags));
  parts.push(fence(command.examples.map((example) => example.replace('<%= config.bin %>', program.name))));
  return parts;
}

function fence(lines: readonly string[]): string {
  return `\`\`\`sh\n${lines.join('\n')}\n\`\`\``;
}

function argumentTable(args: Readonly<Record<string, Argument>>): string {
  const rows = Object.entries(args).map(([name, argument]) => {
    const shown = argument.required ? `\`<${name}>\`` : `\`[<${name}>]\``;
    return `| ${shown} | ${markdown(argument.description)}${allowed(argument.options)} |`;
  });
  return ['| Argument | Meaning |', '|---|---|', ...rows].join('\n');
}

function flagTable(flags: Readonly<Record<string, Flag>>): string {
  const rows = Object.entries(flags).map(([name, flag]) => {
    const value = flag.type === 'option' ? ` ${flag.helpValue}` : '';
    const short = flag.char === undefined ? '' : `-${flag.char}, `;
    const words = flag.type === 'option' ? allowed(flag.options) : '';
    return `| \`${`${short}--${name}${value}`.replaceAll('|', '\\|')}\` | ${markdown(flag.description)}${words} |`;
  });
  return ['| Option | Meaning |', '|---|---|', ...rows].join('\n');
}

function allowed(words: readonly string[] | undefined): string {
  return words === undefined ? '' : `: ${words.map((word) => `\`${word}\``).join(', ')}`;
}

/** Angle brackets outside of code would be taken for HTML, bars for the end of a cell. */
function markdown(text: string): string {
  return text.replaceAll('<', '\\<').replaceAll('|', '\\|');
}

import { createRequire } from 'node:module';
import { nativeEntry, type Section } from './document.js';
import type { ProblemList } from './problem.js';

type TomlModule = { parse(text: string): unknown };

// Loaded on first use: most configurations are INI, and a client should start fast.
let toml: TomlModule | undefined;
function tomlModule(): TomlModule {
  toml ??= createRequire(import.meta.url)('toml') as TomlModule;
  return toml;
}

/** Largest TOML text, in characters: its parser needs many times the size of the text in memory. */
const LIMIT = 1024 * 1024;

/** Line numbers of headers and keys, found by their look; the parser itself does not tell them. */
function findLines(text: string): Map<string, number> {
  const lines = new Map<string, number>();
  let section = '';
  for (const [index, whole] of text.split('\n').entries()) {
    const header = /^\s*\[\s*["']?([^\]"']+?)["']?\s*\]/.exec(whole);
    const key = /^\s*["']?([^\s="']+)["']?\s*=/.exec(whole);
    if (header !== null) {
      section = header[1] as string;
      lines.set(section, index + 1);
    } else if (key !== null) {
      const place = `${section}\n${key[1]}`;
      if (!lines.has(place)) lines.set(place, index + 1);
    }
  }
  return lines;
}

/** @throws PgmonetaError CONFIGURATION_INVALID: without a syntax there is nothing more to say about the file */
function parse(text: string, problems: ProblemList): Record<string, unknown> {
  if (text.length > LIMIT) {
    problems.add({ severity: 'error', message: `the file is larger than ${LIMIT} characters` });
    problems.throwIfAny();
  }
  try {
    return tomlModule().parse(text) as Record<string, unknown>;
  } catch (error) {
    const { location, message } = error as { location?: { start?: { line?: number } }; message?: string };
    const found = /but .* found\.?$/s
      .exec(String(message ?? error))?.[0]
      .replace(/^but/, 'unexpected')
      .replace(/ found\.?$/, '');
    problems.add({
      severity: 'error',
      line: location?.start?.line,
      message: `the file is not TOML: ${(found ?? String(message ?? error)).slice(0, 300)}`,
    });
    problems.throwIfAny();
    return {};
  }
}

/**
 * Reads TOML text: a table `[pgmoneta]` and one table for each server. What is wrong goes to `problems`.
 * @throws PgmonetaError CONFIGURATION_INVALID when the text is not TOML
 */
export function readTomlDocument(text: string, problems: ProblemList): readonly Section[] {
  const root = parse(text, problems);
  const lines = findLines(text);
  const sections: Section[] = [];
  for (const [name, table] of Object.entries(root)) {
    const line = lines.get(name) ?? lines.get(`\n${name}`);
    if (typeof table !== 'object' || table === null || Array.isArray(table) || table instanceof Date) {
      problems.add({
        severity: 'error',
        line,
        key: name,
        message: 'the key stands before the first table; keys belong into [pgmoneta] or the table of a server',
      });
      continue;
    }
    const entries = Object.entries(table).map(([key, value]) => nativeEntry(key, value, lines.get(`${name}\n${key}`)));
    sections.push({ name, line, entries });
  }
  return sections;
}

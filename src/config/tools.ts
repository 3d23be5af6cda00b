import { existsSync } from 'node:fs';
import { readTextFile } from './files/read.js';
import { interpretSection, withDefaults } from './interpret.js';
import { type LoadOptions, readSections } from './load.js';
import type { OptionTable } from './option.js';
import {
  TOOL_SERVER_OPTIONS,
  type ToolServerSettings,
  type ToolSettings,
  WALFILTER_OPTIONS,
  WALINFO_OPTIONS,
} from './options/tools.js';
import { ProblemList } from './text/problem.js';

/** The tools that read WAL files. */
export type Tool = 'walinfo' | 'walfilter';

/** What a tool was told by a file. */
export interface ToolConfiguration {
  readonly path: string;
  readonly settings: ToolSettings;
  readonly server: ToolServerSettings | null;
  readonly warnings: readonly string[];
}

const TABLES: Readonly<Record<Tool, OptionTable>> = { walinfo: WALINFO_OPTIONS, walfilter: WALFILTER_OPTIONS };

/**
 * Reads the text of a `pgmoneta_walinfo.conf` or `pgmoneta_walfilter.conf`: the section of the tool (also with an
 * underscore, as it is often written) and at most one server.
 * @throws PgmonetaError CONFIGURATION_INVALID with a line for each error
 */
export function readToolText(tool: Tool, path: string, text: string, options: LoadOptions = {}): ToolConfiguration {
  const environment = options.environment ?? process.env;
  const problems = new ProblemList(path, options.lenient);
  let settings = withDefaults(new Map(), TABLES[tool], environment);
  let server: ToolServerSettings | null = null;
  for (const section of readSections(path, text, problems)) {
    if (section.name === null) {
      problems.add({ severity: 'error', line: section.line, message: `put [pgmoneta-${tool}] above the first key` });
    } else if (section.name.replace('_', '-') === `pgmoneta-${tool}`) {
      settings = withDefaults(
        interpretSection(section, TABLES[tool], { environment, problems }),
        TABLES[tool],
        environment,
      );
    } else if (server === null) {
      const given = interpretSection(section, TOOL_SERVER_OPTIONS, { environment, problems });
      const values = withDefaults(given, TOOL_SERVER_OPTIONS, environment);
      server = { ...values, name: section.name } as unknown as ToolServerSettings;
    } else {
      problems.add({ severity: 'error', line: section.line, message: `[${section.name}]: one server is possible` });
    }
  }
  problems.throwIfAny();
  return { path, settings: settings as unknown as ToolSettings, server, warnings: [...problems.warnings] };
}

/**
 * Reads the file of `-c`, or the default file.
 * @returns the defaults when no file was named and the default one does not exist
 * @throws PgmonetaError CONFIGURATION_NOT_FOUND or CONFIGURATION_INVALID
 */
export function loadToolConfiguration(tool: Tool, named?: string, options: LoadOptions = {}): ToolConfiguration {
  const path = named ?? `/etc/pgmoneta/pgmoneta_${tool}.conf`;
  if (named === undefined && !existsSync(path)) return readToolText(tool, path, '', options);
  const { text } = readTextFile(path, 'the configuration file', 'name another file with -c');
  return readToolText(tool, path, text, options);
}

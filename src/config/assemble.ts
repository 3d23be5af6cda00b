import { resolveSecretFiles } from './files/secret.js';
import { checkRequired, type GivenValue, interpretSection, withDefaults } from './interpret.js';
import { MAIN_OPTIONS, type MainSettings, SERVER_OPTIONS, type ServerSettings } from './options/index.js';
import { nearestLevel } from './options/level.js';
import { MAIN_WITHOUT_EFFECT, SERVER_WITHOUT_EFFECT } from './options/without-effect.js';
import type { Environment } from './text/decode.js';
import type { Section } from './text/document.js';
import { ProblemList } from './text/problem.js';

/** Name of the main section. */
export const MAIN_SECTION = 'pgmoneta';

/** The settings of a file with its lines, before they are judged as a whole. */
export interface Assembled {
  readonly main: MainSettings;
  readonly servers: readonly ServerSettings[];
  /** Lines of the server headers, by name. */
  readonly lines: ReadonlyMap<string, number | undefined>;
  /** Whether the file itself, not another one, holds a secret. */
  readonly holdsSecret: boolean;
}

/** What is wrong with the name of a server, which is also the name of its folder; `null` when nothing is. */
export function serverNameProblem(name: string): string | null {
  if (name === 'all') return 'all is reserved: it stands for every server in commands';
  if (name.toLowerCase() === MAIN_SECTION) return `write the main section as [${MAIN_SECTION}]`;
  if (Buffer.byteLength(name) > 127) return 'the name of a server has at most 127 bytes';
  if (name.startsWith('.')) return 'the name of a server cannot start with a dot: it is the name of a folder';
  // biome-ignore lint/suspicious/noControlCharactersInRegex: this is the check for them
  if (/[/\u0000-\u001f\u007f]/.test(name))
    return 'the name of a server is the name of a folder: no / and no control characters';
  return null;
}

function uniqueSections(sections: readonly Section[], problems: ProblemList): Section[] {
  const seen = new Map<string, number | undefined>();
  return sections.filter((section) => {
    if (section.name === null) {
      problems.add({
        severity: 'error',
        line: section.line,
        key: section.entries[0]?.key,
        message: `the key stands before the first section; put [${MAIN_SECTION}] above it`,
      });
      return false;
    }
    if (seen.has(section.name)) {
      const first = seen.get(section.name);
      problems.add({
        severity: 'error',
        line: section.line,
        section: section.name,
        message: `the section [${section.name}] stands ${first === undefined ? 'twice' : `on line ${first} already`}; merge the two`,
      });
      return false;
    }
    seen.set(section.name, section.line);
    return true;
  });
}

/** Warns of keys that somebody set and nothing acts upon. */
function warnWithoutEffect(
  given: ReadonlyMap<string, GivenValue>,
  section: string,
  keys: ReadonlySet<string>,
  problems: ProblemList,
): void {
  for (const [key, { line }] of given) {
    if (!keys.has(key)) continue;
    problems.add({ severity: 'warning', line, section, key, message: 'this version does not act upon the key' });
  }
}

function readMain(section: Section, environment: Environment, problems: ProblemList): [MainSettings, boolean] {
  const elsewhere = [{ table: SERVER_OPTIONS, where: 'the section of a server' }];
  const given = new Map<string, GivenValue>(
    interpretSection(section, MAIN_OPTIONS, { environment, problems, elsewhere }),
  );
  const holdsSecret = given.has('s3_secret_access_key') || given.has('azure_shared_key');
  warnWithoutEffect(given, MAIN_SECTION, MAIN_WITHOUT_EFFECT, problems);
  resolveSecretFiles(given, MAIN_OPTIONS, MAIN_SECTION, problems);
  checkRequired(section, given, MAIN_OPTIONS, problems);
  const main = withDefaults(given, MAIN_OPTIONS, environment) as unknown as MainSettings;
  const level = nearestLevel(main.compression, main.compression_level);
  if (level !== main.compression_level) {
    const key = 'compression_level';
    const message = `${main.compression} has no such level; ${level} is used`;
    problems.add({ severity: 'warning', line: given.get(key)?.line, section: MAIN_SECTION, key, message });
  }
  return [{ ...main, compression_level: level }, holdsSecret];
}

function readServer(section: Section, environment: Environment, problems: ProblemList): [ServerSettings, boolean] {
  const name = section.name as string;
  const nameProblem = serverNameProblem(name);
  if (nameProblem !== null)
    problems.add({ severity: 'error', line: section.line, section: name, message: `[${name}]: ${nameProblem}` });
  const elsewhere = [{ table: MAIN_OPTIONS, where: `[${MAIN_SECTION}]` }];
  const given = new Map<string, GivenValue>(
    interpretSection(section, SERVER_OPTIONS, { environment, problems, elsewhere }),
  );
  const holdsSecret = given.has('s3_secret_access_key');
  warnWithoutEffect(given, name, SERVER_WITHOUT_EFFECT, problems);
  resolveSecretFiles(given, SERVER_OPTIONS, name, problems);
  checkRequired(section, given, SERVER_OPTIONS, problems);
  return [{ ...withDefaults(given, SERVER_OPTIONS, environment), name } as unknown as ServerSettings, holdsSecret];
}

/** Turns the sections of a file into settings. Everything wrong goes to `problems`. */
export function assemble(all: readonly Section[], environment: Environment, problems: ProblemList): Assembled {
  const sections = uniqueSections(all, problems);
  const mainSection = sections.find((section) => section.name === MAIN_SECTION);
  if (mainSection === undefined) problems.add({ severity: 'error', message: `there is no section [${MAIN_SECTION}]` });
  const [main, mainSecret] = readMain(
    mainSection ?? { name: MAIN_SECTION, line: undefined, entries: [] },
    environment,
    // Without the section every required key would be told as missing too; one message is enough.
    mainSection === undefined ? new ProblemList(problems.file) : problems,
  );
  const servers: ServerSettings[] = [];
  const lines = new Map<string, number | undefined>();
  let holdsSecret = mainSecret;
  for (const section of sections) {
    if (section.name === MAIN_SECTION) continue;
    const [server, secret] = readServer(section, environment, problems);
    servers.push(server);
    lines.set(server.name, section.line);
    holdsSecret ||= secret;
  }
  return { main, servers, lines, holdsSecret };
}

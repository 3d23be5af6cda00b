import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

/** The floors of ARCHITECTURE.md, top to bottom; imports only go down, and rooms of one floor leave each other alone. */
const FLOORS = [
  ['programs'],
  ['daemon'],
  ['jobs'],
  ['backup', 'restore', 'wal', 'retention', 'monitoring'],
  ['management', 'repository', 'storage', 'postgres'],
  ['security'],
  ['config'],
  ['native'],
  ['errors'],
];
const ROOMS = FLOORS.flat();
const ROOT = path.resolve(import.meta.dirname, '..', '..');
const floorOf = (room: string) => FLOORS.findIndex((floor) => floor.includes(room));

/** What the linter has to say about `import ... from '../<target>/x.js'` in each file. */
type Findings = Map<string, Set<string>>;

let folder: string;
let findings: Findings;

/** A file that imports something of every room, in all the ways there are. */
function importsOfEverything(up: string): string {
  const lines = ROOMS.map((room, n) => {
    const target = `'${up}${room}/x.js'`;
    return [`import v${n} from ${target};`, `export * from ${target};`, `export const v${n} = import(${target});`][
      n % 3
    ];
  });
  return `${lines.join('\n')}\nimport addon from '${up}../crates/node/addon/pgmoneta.node';\n`;
}

function lint(): Findings {
  const biome = path.join(ROOT, 'node_modules', '.bin', 'biome');
  const result = spawnSync(
    biome,
    ['lint', '--reporter=json', '--max-diagnostics=none', '--only=style/noRestrictedImports', 'src'],
    {
      cwd: folder,
      encoding: 'utf8',
    },
  );
  const found: Findings = new Map();
  for (const { category, location } of JSON.parse(result.stdout).diagnostics) {
    if (category !== 'lint/style/noRestrictedImports') continue;
    const file = typeof location.path === 'string' ? location.path : location.path.file;
    const line = readFileSync(path.join(folder, file), 'utf8').split('\n')[location.start.line - 1] ?? '';
    const room = /crates/.test(line) ? 'addon' : (/(\w+)\/x\.js/.exec(line)?.[1] ?? line);
    found.set(file, (found.get(file) ?? new Set()).add(room));
  }
  return found;
}

beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'floors-'));
  const configuration = JSON.parse(readFileSync(path.join(ROOT, 'biome.json'), 'utf8'));
  delete configuration.vcs;
  delete configuration.$schema;
  writeFileSync(path.join(folder, 'biome.json'), JSON.stringify(configuration));
  for (const room of [...ROOMS, 'programs/pgmoneta-cli']) {
    mkdirSync(path.join(folder, 'src', room), { recursive: true });
    const up = '../'.repeat(room.split('/').length);
    writeFileSync(path.join(folder, 'src', room, 'probe.ts'), importsOfEverything(up));
  }
  findings = lint();
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test.each(ROOMS)('%s may import what lies below it, and nothing else', (room) => {
  const refused = findings.get(`src/${room}/probe.ts`) ?? new Set();
  const wanted = ROOMS.filter((other) => {
    if (other === room) return false;
    return floorOf(other) <= floorOf(room);
  });
  if (room !== 'native') wanted.push('addon');
  expect([...refused].sort()).toEqual(wanted.sort());
});

test('pgmoneta-cli reaches the daemon through management alone', () => {
  const refused = findings.get('src/programs/pgmoneta-cli/probe.ts') ?? new Set();
  const allowed = ROOMS.filter((room) => !refused.has(room));
  expect(allowed).toEqual(['programs', 'management', 'security', 'config', 'native', 'errors']);
});

test('the Rust core knows nothing of Node', () => {
  const metadata = execFileSync('cargo', ['metadata', '--format-version=1', '--no-deps', '--offline'], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  const { packages } = JSON.parse(metadata) as { packages: { name: string; dependencies: { name: string }[] }[] };
  const core = packages.find(({ name }) => name === 'pgmoneta-core');
  expect(core).toBeDefined();
  expect(core?.dependencies.map(({ name }) => name).filter((name) => /napi|node/.test(name))).toEqual([]);
});

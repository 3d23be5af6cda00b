import { execFileSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { keyModeProblem, readTlsFiles } from '../../../src/security/tls-files.js';
import { refusal, temporaryDirectory } from '../temporary.js';

function certificate(directory: string, name: string): { cert: string; key: string } {
  const cert = join(directory, `${name}.crt`);
  const key = join(directory, `${name}.key`);
  const options = [
    'req',
    '-x509',
    '-nodes',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:prime256v1',
    '-subj',
    '/CN=x',
  ];
  execFileSync('openssl', [...options, '-days', '1', '-keyout', key, '-out', cert], { stdio: 'ignore' });
  chmodSync(key, 0o600);
  return { cert, key };
}

describe('readTlsFiles', () => {
  it('reads files that fit together', () => {
    const files = certificate(temporaryDirectory(), 'a');
    const material = readTlsFiles({ ...files, ca: files.cert });
    expect(material.key.toString()).toMatch(/PRIVATE KEY/);
    expect(material.ca).toEqual(material.cert);
  });

  it('refuses what is missing, open, foreign or no PEM', async () => {
    const directory = temporaryDirectory();
    const files = certificate(directory, 'a');
    const other = certificate(directory, 'b');
    const refused = (changed: object, text: RegExp) =>
      refusal(() => readTlsFiles({ ...files, ...changed }), 'CONFIGURATION_INVALID', text);
    await refused({ cert: join(directory, 'none') }, /certificate .*none does not exist/);
    await refused({ ca: join(directory, 'none') }, /authority .*none does not exist/);
    await refused({ cert: directory }, /not a regular file/);
    await refused({ key: other.key }, /b\.key does not belong to the certificate .*a\.crt/);
    await refused({ cert: files.key }, /not a PEM certificate/);
    writeFileSync(join(directory, 'junk'), 'junk', { mode: 0o600 });
    await refused({ key: join(directory, 'junk') }, /junk cannot be used/);
    chmodSync(files.key, 0o644);
    await refused({}, /must have mode 06[04]0/);
  });

  it('knows the rules for keys', () => {
    const problem = (uid: number, mode: number) => keyModeProblem({ uid, mode: 0o100000 | mode }, 1000);
    expect(problem(1000, 0o600)).toBeNull();
    expect(problem(1000, 0o400)).toBeNull();
    expect(problem(1000, 0o640)).toMatch(/0600/);
    expect(problem(0, 0o640)).toBeNull();
    expect(problem(0, 0o644)).toMatch(/0640/);
    expect(problem(0, 0o660)).toMatch(/0640/);
    expect(problem(1001, 0o600)).toMatch(/owned neither/);
  });
});

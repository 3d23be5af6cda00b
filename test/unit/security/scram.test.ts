import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { PgmonetaError } from '../../../src/errors/index.js';
import {
  mockVerifier,
  ScramClient,
  ScramServer,
  scramVerifier,
  tlsServerEndPoint,
} from '../../../src/security/scram.js';

const salt = Buffer.from('000102030405060708090a0b0c0d0e0f', 'hex');
const clientNonce = 'AAECAwQFBgcICQoLDA0ODxAR';
const serverFirst = `r=${clientNonce}EhMUFRYXGBkaGxwdHh8gISIj,s=AAECAwQFBgcICQoLDA0ODw==,i=4096`;
const clientFinal =
  'c=biws,r=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIj,p=m2c/p4ftmdZsjrbOPIHMi/AsE2cAiwOP2rCRf67mNwc=';
const serverFinal = 'v=jLt8H4TRo0OmhG3YsKejAGbAocQywknwVM+mdsyQzG0=';

function refused(work: () => unknown, code: string, text: RegExp): void {
  try {
    work();
  } catch (error) {
    expect(error).toBeInstanceOf(PgmonetaError);
    expect((error as PgmonetaError).code).toBe(code);
    expect((error as PgmonetaError).message).toMatch(text);
    return;
  }
  expect.unreachable('nothing was thrown');
}

describe('ScramClient', () => {
  it('speaks the vector of the specification', () => {
    const client = new ScramClient({ password: 'secretpassword', nonce: clientNonce });
    expect(client.mechanism).toBe('SCRAM-SHA-256');
    expect(client.first().toString()).toBe(`n,,n=,r=${clientNonce}`);
    expect(client.final(Buffer.from(serverFirst)).toString()).toBe(clientFinal);
    client.verify(Buffer.from(serverFinal));
  });

  it('speaks the vector of RFC 7677', () => {
    const client = new ScramClient({ user: 'user', password: 'pencil', nonce: 'rOprNGfwEbeRWgbNEkqO' });
    expect(client.first().toString()).toBe('n,,n=user,r=rOprNGfwEbeRWgbNEkqO');
    const reply = 'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096';
    expect(client.final(Buffer.from(reply)).toString()).toBe(
      'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
    );
    client.verify(Buffer.from('v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4='));
  });

  const bad: readonly [string, string, RegExp][] = [
    ['a nonce that does not continue ours', serverFirst.replace('r=AA', 'r=BB'), /nonce/],
    ['a nonce without a part of the server', `r=${clientNonce},s=AAECAw==,i=4096`, /nonce/],
    ['too many iterations', serverFirst.replace('4096', '999999999'), /iterations/],
    ['no iterations', serverFirst.replace('4096', '0'), /iterations/],
    ['a salt that is not base64', serverFirst.replace('s=AA', 's=!!'), /salt/],
    ['a missing salt', `r=${clientNonce}x,i=4096`, /s=/],
    ['a mandatory extension', `m=x,${serverFirst}`, /extension/],
  ];
  for (const [name, message, text] of bad) {
    it(`refuses ${name}`, () => {
      const client = new ScramClient({ password: 'secretpassword', nonce: clientNonce });
      refused(() => client.final(Buffer.from(message)), 'POSTGRES_AUTHENTICATION', text);
    });
  }

  it('refuses a server that does not know the password', () => {
    const client = new ScramClient({ password: 'secretpassword', nonce: clientNonce });
    client.final(Buffer.from(serverFirst));
    refused(() => client.verify(Buffer.from(serverFinal.replace('jLt8', 'jLt9'))), 'POSTGRES_AUTHENTICATION', /proof/);
    refused(() => client.verify(Buffer.from('e=invalid-proof')), 'POSTGRES_AUTHENTICATION', /invalid-proof/);
  });

  it('refuses a proof that comes before the server asked for ours', () => {
    const client = new ScramClient({ password: 'x' });
    refused(() => client.verify(Buffer.from(serverFinal)), 'POSTGRES_AUTHENTICATION', /proof/);
  });
});

describe('ScramServer', () => {
  const verifier = scramVerifier('pässword', salt, 4096);

  function login(password: string, binding?: { client?: Buffer; server?: Buffer }): void {
    const client = new ScramClient({
      user: 'a=b,c',
      password,
      channelBinding: binding?.client ? { type: 'tls-server-end-point', data: binding.client } : undefined,
    });
    const names: string[] = [];
    const server = new ScramServer({
      verifier: (user) => {
        names.push(user);
        return verifier;
      },
      channelBinding: binding?.server,
    });
    client.verify(server.final(client.final(server.first(client.first()))));
    expect(names).toEqual(['a=b,c']);
  }

  it('lets in who knows the password', () => {
    login('pässword');
    login('pa\u0308ssword'); // the same text, decomposed
  });

  it('refuses who does not', () => {
    refused(() => login('password'), 'MANAGEMENT_AUTHENTICATION', /proof is wrong/);
  });

  it('binds to the channel', () => {
    const hash = createHash('sha256').update('certificate').digest();
    login('pässword', { client: hash, server: hash });
    refused(() => login('pässword', { client: Buffer.alloc(32), server: hash }), 'MANAGEMENT_AUTHENTICATION', /proof/);
    refused(() => login('pässword', { client: hash }), 'MANAGEMENT_AUTHENTICATION', /without TLS/);
  });

  it('notices that the offer of channel binding was taken out', () => {
    const server = new ScramServer({ verifier: () => verifier, channelBinding: Buffer.alloc(32) });
    refused(() => server.first(Buffer.from('y,,n=,r=abc')), 'MANAGEMENT_AUTHENTICATION', /not shown/);
  });

  it('lets nobody in through a mock, which is the same for the same user', () => {
    const secret = Buffer.alloc(32, 1);
    const mock = mockVerifier(secret, 'nobody', 4096);
    expect(mockVerifier(secret, 'nobody', 4096)).toEqual(mock);
    expect(mockVerifier(secret, 'somebody', 4096).salt).not.toEqual(mock.salt);
    const client = new ScramClient({ password: 'x' });
    const server = new ScramServer({ verifier: () => mock });
    const proof = client.final(server.first(client.first()));
    refused(() => server.final(proof), 'MANAGEMENT_AUTHENTICATION', /proof is wrong/);
  });

  it('answers a final message only once', () => {
    const client = new ScramClient({ password: 'pässword' });
    const server = new ScramServer({ verifier: () => verifier });
    const proof = client.final(server.first(client.first()));
    server.final(proof);
    refused(() => server.final(proof), 'MANAGEMENT_AUTHENTICATION', /without a first/);
  });
});

describe('tlsServerEndPoint', () => {
  function certificate(...key: string[]): Buffer {
    const directory = mkdtempSync(join(tmpdir(), 'pgmoneta-cert-'));
    try {
      const file = join(directory, 'c.der');
      const base = ['req', '-x509', '-nodes', '-subj', '/CN=x', '-days', '1', '-keyout', join(directory, 'k')];
      execFileSync('openssl', [...base, '-outform', 'DER', '-out', file, ...key], { stdio: 'ignore' });
      return readFileSync(file);
    } finally {
      rmSync(directory, { recursive: true });
    }
  }
  const hashed = (name: string, der: Buffer) => createHash(name).update(der).digest();

  it('uses the hash of the signature', () => {
    const rsa = ['-newkey', 'rsa:2048'];
    const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
    const pss = ['-sigopt', 'rsa_padding_mode:pss'];
    const cases: readonly [string, string[]][] = [
      ['sha256', [...rsa, '-sha256']],
      ['sha384', [...rsa, '-sha384']],
      ['sha512', [...ec, '-sha512']],
      ['sha384', [...rsa, '-sha384', ...pss]],
    ];
    for (const [hash, options] of cases) {
      const der = certificate(...options);
      expect(tlsServerEndPoint(der)).toEqual(hashed(hash, der));
    }
  });

  it('has none for Ed25519, torn certificates and other bytes', () => {
    expect(tlsServerEndPoint(certificate('-newkey', 'ed25519'))).toBeNull();
    const der = certificate('-newkey', 'rsa:2048', '-sha256');
    expect(tlsServerEndPoint(der.subarray(0, 40))).toBeNull();
    expect(tlsServerEndPoint(Buffer.alloc(0))).toBeNull();
  });
});

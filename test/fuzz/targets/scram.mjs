import { product } from '../product.mjs';

const { ScramClient, ScramServer, scramVerifier, tlsServerEndPoint } = await product('security/scram.js');

export const seeds = [
  'r=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIj,s=AAECAwQFBgcICQoLDA0ODw==,i=1',
  'v=jLt8H4TRo0OmhG3YsKejAGbAocQywknwVM+mdsyQzG0=',
  'e=other-error',
  'n,,n=,r=AAECAwQFBgcICQoLDA0ODxAR',
  'p=tls-server-end-point,a=x,n=a=3Db,r=abc,x=y',
  'c=biws,r=abcdef,p=m2c/p4ftmdZsjrbOPIHMi/AsE2cAiwOP2rCRf67mNwc=',
  Buffer.from('300d300b06092a864886f70d01010b', 'hex'),
];
export const tokens = [
  ',',
  '=',
  'r=',
  's=',
  'i=',
  'v=',
  'e=',
  'm=',
  'n=',
  'p=',
  'c=biws',
  'i=0',
  'y,,',
  'n,,',
  '=3D',
  '=2C',
  '\0',
  '\xff',
];

const verifier = scramVerifier('x', Buffer.alloc(16), 1);
/** @type {((input: Buffer) => void)[]} */
const work = [
  (input) => {
    const client = new ScramClient({ password: 'x', nonce: 'AAECAwQFBgcICQoLDA0ODxAR' });
    // The work that a server may ask for is bounded, but a fuzzer has no time for it.
    if (/i=[0-9]{4,}/.test(input.toString('latin1'))) return;
    client.final(input);
  },
  (input) => new ScramClient({ password: 'x' }).verify(input),
  (input) => new ScramServer({ verifier: () => verifier }).first(input),
  (input) => {
    const server = new ScramServer({ verifier: () => verifier, nonce: 'def', channelBinding: Buffer.alloc(32) });
    server.first(Buffer.from('n,,n=,r=abc'));
    server.final(input);
  },
  (input) => void tlsServerEndPoint(input),
];

/** @param {Buffer} input */
export function run(input) {
  let refusal;
  for (const step of work) {
    try {
      step(input);
    } catch (error) {
      if (!(error instanceof Error) || error.name !== 'PgmonetaError') throw error;
      refusal = error;
    }
  }
  if (refusal) throw refusal;
}

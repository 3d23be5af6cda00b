import { createHash } from 'node:crypto';

/** Hash of the signature algorithm of a certificate, by the DER bytes of its object identifier in hexadecimal. */
const SIGNATURE_HASHES: Readonly<Record<string, string>> = {
  '2a864886f70d010104': 'sha256', // RSA with MD5: RFC 5929 puts SHA-256 in the place of MD5 and SHA-1
  '2a864886f70d010105': 'sha256', // RSA with SHA-1
  '2a864886f70d01010e': 'sha224',
  '2a864886f70d01010b': 'sha256',
  '2a864886f70d01010c': 'sha384',
  '2a864886f70d01010d': 'sha512',
  '2a8648ce3d0401': 'sha256', // ECDSA with SHA-1
  '2a8648ce3d040301': 'sha224',
  '2a8648ce3d040302': 'sha256',
  '2a8648ce3d040303': 'sha384',
  '2a8648ce3d040304': 'sha512',
};
const RSA_PSS = '2a864886f70d01010a';
const DIGESTS: Readonly<Record<string, string>> = {
  '2b0e03021a': 'sha256', // SHA-1
  '608648016503040204': 'sha224',
  '608648016503040201': 'sha256',
  '608648016503040202': 'sha384',
  '608648016503040203': 'sha512',
};

interface Element {
  readonly tag: number;
  readonly content: Buffer;
  /** Where the next element starts. */
  readonly end: number;
}

/** Reads the DER element at an offset; `null` when it is torn. */
function element(der: Buffer, offset: number): Element | null {
  const tag = der[offset];
  const first = der[offset + 1];
  if (tag === undefined || first === undefined) return null;
  let length = first;
  let start = offset + 2;
  if (first >= 0x80) {
    const count = first & 0x7f;
    if (count < 1 || count > 4 || start + count > der.length) return null;
    length = der.readUIntBE(start, count);
    start += count;
  }
  const end = start + length;
  return end > der.length ? null : { tag, content: der.subarray(start, end), end };
}

function pssHash(parameters: Buffer): string | null {
  // RSASSA-PSS-params: [0] holds the AlgorithmIdentifier of the hash; without it the hash is SHA-1.
  const explicit = element(parameters, 0);
  if (explicit === null || explicit.tag !== 0x30) return null;
  const hash = element(explicit.content, 0);
  if (hash === null || hash.tag !== 0xa0) return 'sha256';
  const algorithm = element(hash.content, 0);
  const identifier = algorithm === null ? null : element(algorithm.content, 0);
  return identifier === null ? null : (DIGESTS[identifier.content.toString('hex')] ?? null);
}

function signatureHash(certificate: Buffer): string | null {
  const outer = element(certificate, 0);
  const signed = outer === null ? null : element(outer.content, 0);
  const algorithm = outer === null || signed === null ? null : element(outer.content, signed.end);
  const identifier = algorithm === null ? null : element(algorithm.content, 0);
  if (algorithm === null || identifier === null || identifier.tag !== 0x06) return null;
  const name = identifier.content.toString('hex');
  if (name === RSA_PSS) return pssHash(algorithm.content.subarray(identifier.end));
  return Object.hasOwn(SIGNATURE_HASHES, name) ? (SIGNATURE_HASHES[name] as string) : null;
}

/**
 * The `tls-server-end-point` channel binding (RFC 5929): the server's certificate hashed with the hash of its own
 * signature.
 * @param certificate DER, as `getPeerCertificate().raw` gives it
 * @returns `null` where the RFC defines none (EdDSA) or the certificate cannot be read: no binding is possible then
 */
export function tlsServerEndPoint(certificate: Buffer): Buffer | null {
  const hash = signatureHash(certificate);
  return hash === null ? null : createHash(hash).update(certificate).digest();
}

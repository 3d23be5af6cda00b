import { createRequire } from 'node:module';

/** Version of pgmoneta whose protocol is spoken: `ServerVersion` and `ClientVersion` on the wire. */
export const PROTOCOL_VERSION = '0.21.0';

/** `Header.Protocol` of a client that understands progress frames and cancelling. */
export const PROTOCOL_EXTENDED = 2;

/** The version of this product, from its package file: `ProductVersion` on the wire. */
export const PRODUCT_VERSION: string = (createRequire(import.meta.url)('../../package.json') as { version: string })
  .version;

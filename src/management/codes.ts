/** Compression codes of a frame (byte 0), in the order of the protocol. */
export const WIRE_COMPRESSIONS = ['none', 'gzip', 'zstd', 'lz4', 'bzip2'] as const;

/** Encryption codes of a frame (byte 1), in the order of the protocol. */
export const WIRE_ENCRYPTIONS = ['none', 'aes-256-gcm', 'aes-192-gcm', 'aes-128-gcm'] as const;

/** The canonical word of a wire compression. */
export type WireCompression = (typeof WIRE_COMPRESSIONS)[number];

/** The canonical word of a wire encryption. */
export type WireEncryption = (typeof WIRE_ENCRYPTIONS)[number];

/** What is done to a payload, as the first two bytes of its frame say. */
export interface WireCodes {
  /** 0 none, 1 gzip, 2 zstd, 3 lz4, 4 bzip2. */
  readonly compression: number;
  /** 0 none, 1 AES-256-GCM, 2 AES-192-GCM, 3 AES-128-GCM. */
  readonly encryption: number;
}

/** Neither compressed nor encrypted: the payload is the bare document. */
export const PLAIN: WireCodes = { compression: 0, encryption: 0 };

/** Whether both codes are of the protocol. */
export function knownCodes(codes: WireCodes): boolean {
  return codes.compression < WIRE_COMPRESSIONS.length && codes.encryption < WIRE_ENCRYPTIONS.length;
}

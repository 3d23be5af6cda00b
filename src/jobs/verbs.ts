import type { Job } from './context.js';
import type { JobVerb } from './messages.js';

/** Loads the code of one verb; a job's process pays for no other. */
export async function jobOf(verb: JobVerb): Promise<Job> {
  switch (verb) {
    case 'backup':
      return (await import('./backup.js')).backupJob;
    case 'restore':
      return (await import('./restore.js')).restoreJob;
    case 'archive':
      return (await import('./archive.js')).archiveJob;
    case 'verify':
      return (await import('./verify.js')).verifyJob;
    case 'delete':
      return (await import('./delete.js')).deleteJob;
    case 'expire':
      return (await import('./expire.js')).expireJob;
    case 'retain':
      return (await import('./retain.js')).retainJob;
    case 'expunge':
      return (await import('./retain.js')).expungeJob;
    case 'annotate':
      return (await import('./annotate.js')).annotateJob;
    case 'hot-standby':
      return (await import('./hot-standby.js')).hotStandbyJob;
    case 'compress':
      return (await import('./files.js')).compressJob;
    case 'decompress':
      return (await import('./files.js')).decompressJob;
    case 'encrypt':
      return (await import('./files.js')).encryptJob;
    case 'decrypt':
      return (await import('./files.js')).decryptJob;
  }
}

import { PgmonetaError } from '../errors/index.js';
import { type Comments, readComments, writeComments } from '../repository/comments.js';
import { lockPatiently } from '../repository/locks.js';
import { serverPaths } from '../repository/paths.js';
import { rewriteBackupInfo } from '../repository/rewrite-info.js';
import { knownBackupOf } from './backups.js';
import type { Job } from './context.js';
import { infoVerb } from './info.js';
import { CATALOGUE_PATIENCE } from './remove-backup.js';
import { optionalText, requiredText } from './request.js';
import { serverOf } from './servers.js';

const ACTIONS = ['add', 'update', 'remove'] as const;
type Action = (typeof ACTIONS)[number];

/** Adds, changes or removes a comment of a backup; the answer is that of `info`, after the change. */
export const annotateJob: Job = async (request, context) => {
  const server = serverOf(context.configuration, request, 'ANNOTATE_NOSERVER');
  const paths = serverPaths(context.configuration.main.base_dir, server.name);
  const identifier = requiredText(request, 'Backup', 'ANNOTATE_NOBACKUP');
  const action = actionOf(optionalText(request, 'Action') ?? '');
  const key = requiredText(request, 'Key', 'ANNOTATE_FAILED');
  const comment = optionalText(request, 'Comment');
  if (action === 'update' && comment === undefined) {
    throw new PgmonetaError('ANNOTATE_FAILED', `update of '${key}' needs a comment`, {
      hint: `annotate ${server.name} ${identifier} remove ${key} takes it away`,
    });
  }
  const what = `annotate of ${server.name}`;
  const { catalogueLock } = paths;
  const { signal } = context;
  const held = await lockPatiently(catalogueLock, 'shared', what, 'ANNOTATE_FAILED', CATALOGUE_PATIENCE, signal);
  try {
    const { label } = await knownBackupOf(paths, server.name, identifier, 'ANNOTATE_NOBACKUP');
    await rewriteBackupInfo(
      paths,
      label,
      (info) => ({ ...info, comments: writeComments(edit(readComments(info.comments), action, key, comment, label)) }),
      what,
      signal,
    );
    context.log('info', `comment '${key}' of backup ${label} of ${server.name}: ${action}`);
    return await infoVerb({ Server: server.name, Backup: label }, context.configuration);
  } finally {
    held.release();
  }
};

function actionOf(text: string): Action {
  const action = ACTIONS.find((known) => known === text.toLowerCase());
  if (action !== undefined) return action;
  throw new PgmonetaError('ANNOTATE_UNKNOWN_ACTION', `'${text}' is no action`, { hint: `use ${ACTIONS.join(', ')}` });
}

function edit(comments: Comments, action: Action, key: string, comment: string | undefined, label: string): Comments {
  const known = comments.has(key);
  if (action === 'add' && known) {
    throw new PgmonetaError('ANNOTATE_FAILED', `backup ${label} has a comment '${key}' already: ${comments.get(key)}`, {
      hint: 'change it with update',
    });
  }
  if (action !== 'add' && !known) {
    const names = [...comments.keys()].map((name) => `'${name}'`).join(', ');
    throw new PgmonetaError('ANNOTATE_FAILED', `backup ${label} has no comment '${key}'; it has ${names || 'none'}`, {
      hint: action === 'update' ? 'add it with add' : 'see the comments with: pgmoneta-cli info <server> <identifier>',
    });
  }
  const changed = new Map(comments);
  if (action === 'remove') changed.delete(key);
  else changed.set(key, comment ?? '');
  return changed;
}

import type { Argument } from '../shared/declare.js';

/** Arguments that several commands have. */
export const SERVER: Argument = { description: 'Name of the server in the configuration', required: true };

export const IDENTIFIER: Argument = {
  description: 'Label of the backup (YYYYMMDDHHMMSS), oldest or newest',
  required: true,
};

export const FILE: Argument = { description: 'Path of the file', required: true };

import { option } from '../option.js';
import { path, text } from '../values/text.js';
import { duration, size } from '../values/units.js';
import { logLevelWords, logModeWords, logTypeWords } from './words.js';

/** Logging of the daemon. */
export const LOG_OPTIONS = {
  log_type: option(logTypeWords, 'console', { reload: 'restart', help: 'Where the log goes.' }),
  log_level: option(logLevelWords, 'info', { reload: 'hot', help: 'The least severe messages that are logged.' }),
  log_path: option(path, 'pgmoneta.log', { reload: 'hot', help: 'Log file; a strftime pattern.' }),
  log_rotation_age: option(duration, 0, { reload: 'hot', help: 'A new log file after this time; 0 is off.' }),
  log_rotation_size: option(size, 0, { reload: 'hot', help: 'A new log file after this size; 0 is off.' }),
  log_line_prefix: option(text({ maxBytes: 1024, allowed: 'a strftime pattern' }), '%Y-%m-%d %H:%M:%S', {
    reload: 'hot',
    help: 'Start of each line; a strftime pattern.',
  }),
  log_mode: option(logModeWords, 'append', { reload: 'hot', help: 'What happens to an existing log file.' }),
};

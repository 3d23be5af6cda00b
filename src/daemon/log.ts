import { pino } from 'pino';
import type { Configuration } from '../config/index.js';
import { PgmonetaError } from '../errors/index.js';
import { formatRecord } from './log-format.js';
import { consoleSink, FileSink, type LogSink, syslogSink } from './log-sink.js';

/** Facts beside the message of a log line. */
export type LogFields = Readonly<Record<string, string | number | boolean>>;

/** The daemon's log. */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** Takes over changed settings; on failure the old log goes on. */
  reconfigure(main: Configuration['main']): void;
  close(): void;
}

type MainSettings = Configuration['main'];

function pinoLevel(level: string): string {
  if (level.startsWith('debug')) return level === 'debug' || level === 'debug1' ? 'debug' : 'trace';
  return level;
}

function openSink(main: MainSettings, reopened = false): LogSink {
  if (main.log_type === 'syslog') return syslogSink();
  if (main.log_type !== 'file') return consoleSink();
  const path = main.log_path || 'pgmoneta.log';
  try {
    return new FileSink({
      path,
      mode: main.log_mode === 'create' && !reopened ? 'create' : 'append',
      rotationSize: main.log_rotation_size,
      rotationAge: main.log_rotation_age,
    });
  } catch (error) {
    throw new PgmonetaError('IO', `the log file ${path} cannot be opened: ${(error as Error).message}`, {
      cause: error,
      hint: 'check log_path and that the user of the daemon may write there',
    });
  }
}

/** Opens the log that the settings ask for. */
export function openLog(main: MainSettings): Log {
  let sink = openSink(main);
  let prefix = main.log_line_prefix || '%Y-%m-%d %H:%M:%S';
  const destination = {
    write: (text: string): void => {
      const record = JSON.parse(text) as Record<string, unknown>;
      sink.write(formatRecord(record, prefix), Number(record.level));
    },
  };
  const logger = pino(
    { level: pinoLevel(main.log_level), base: null, timestamp: () => `,"time":${Date.now()}` },
    destination,
  );
  return {
    debug: (message, fields = {}) => logger.debug(fields, message),
    info: (message, fields = {}) => logger.info(fields, message),
    warn: (message, fields = {}) => logger.warn(fields, message),
    error: (message, fields = {}) => logger.error(fields, message),
    reconfigure: (next) => {
      const opened = openSink(next, true);
      sink.close();
      sink = opened;
      prefix = next.log_line_prefix || '%Y-%m-%d %H:%M:%S';
      logger.level = pinoLevel(next.log_level);
    },
    close: () => sink.close(),
  };
}

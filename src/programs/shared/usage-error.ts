import { PgmonetaError } from '../../errors/index.js';

/** A command line that cannot be understood. */
export class UsageError extends PgmonetaError {
  /**
   * @param message what is wrong with which word
   * @param commandWords the command whose usage helps; absent: that of the program
   */
  constructor(
    message: string,
    readonly commandWords?: string,
    hint?: string,
  ) {
    super('USAGE', message, hint === undefined ? {} : { hint });
  }
}

export { asPgmonetaError, type ErrorDetails, PgmonetaError } from './error.js';
export { ERROR_TABLE, type ErrorCode, type ErrorRow, isErrorCode } from './table.js';

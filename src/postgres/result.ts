import type { BackendMessage, DataRowMessage, RowDescriptionMessage } from 'pg-protocol/dist/messages.js';

/** One value as the server's text; null is SQL's NULL. */
export type Value = string | null;

/** Rows of one statement, all values as text. */
export interface QueryResult {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Value[])[];
}

/** What may be given for a parameter of a statement. */
export type Parameter = string | number | bigint | boolean | Buffer | null;

/** Collects the result sets of a command, message by message. */
export class ResultCollector {
  readonly results: { columns: string[]; rows: Value[][] }[] = [];

  /** Takes a message; returns whether it was a part of a result set. */
  take(message: BackendMessage): boolean {
    if (message.name === 'rowDescription') {
      const { fields } = message as RowDescriptionMessage;
      this.results.push({ columns: fields.map((field) => field.name), rows: [] });
      return true;
    }
    if (message.name !== 'dataRow') return false;
    this.results.at(-1)?.rows.push((message as DataRowMessage).fields as Value[]);
    return true;
  }

  /** The last result set; empty when the command gave none. */
  get last(): QueryResult {
    return this.results.at(-1) ?? { columns: [], rows: [] };
  }
}

/** The first row by column name, or null when there is none. */
export function firstRow(result: QueryResult): Record<string, Value> | null {
  const row = result.rows[0];
  if (row === undefined) return null;
  return Object.fromEntries(result.columns.map((column, index) => [column, row[index] ?? null]));
}

/** A parameter as the serialiser takes it. */
export function wireValue(value: Parameter): string | Buffer | null {
  return value === null || Buffer.isBuffer(value) ? value : String(value);
}

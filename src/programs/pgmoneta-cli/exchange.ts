import { PgmonetaError } from '../../errors/index.js';
import { ManagementClient } from '../../management/client.js';
import type { ClientExchange, ManagementReply } from '../../management/client-exchange.js';
import type { CommandName } from '../../management/commands.js';
import { OUTPUTS } from '../../management/documents.js';
import type { JsonObject } from '../../management/json/index.js';
import { ProgressBar } from './progress-bar.js';
import type { CliSettings } from './settings.js';

/** A request that has been sent. */
export interface SentRequest {
  /** The reply. Rejects with CONNECTION, or with CANCELLED after the second Ctrl-C. */
  readonly reply: Promise<ManagementReply>;
}

/**
 * Connects and sends a request; draws progress on the terminal, if there is one, and handles Ctrl-C until the reply
 * is there.
 * @param needsProduct what only our own daemon can do, in words, when the request asks for it
 * @throws PgmonetaError USAGE or CONNECTION when the daemon cannot be reached
 */
export async function sendRequest(
  settings: CliSettings,
  command: CommandName,
  request: JsonObject,
  needsProduct?: string,
): Promise<SentRequest> {
  if (settings.connection instanceof PgmonetaError) throw settings.connection;
  const bar = process.stderr.isTTY === true && !settings.quiet ? new ProgressBar(process.stderr) : undefined;
  const exchange = await new ManagementClient(settings.connection).send({
    command,
    request,
    needsProduct,
    output: OUTPUTS.indexOf(settings.format),
    onProgress: bar === undefined ? undefined : (report) => bar.update(report),
  });
  return { reply: watch(exchange, bar) };
}

/** The first Ctrl-C asks the daemon to cancel, the second leaves it to its work. */
async function watch(exchange: ClientExchange, bar: ProgressBar | undefined): Promise<ManagementReply> {
  let asked = false;
  const interrupt = () => {
    bar?.clear();
    if (asked) {
      exchange.detach();
      return;
    }
    asked = true;
    process.stderr.write('cancelling: the daemon was asked to stop; Ctrl-C again leaves it running\n');
    exchange.cancel().catch(() => exchange.detach());
  };
  process.on('SIGINT', interrupt);
  try {
    return await exchange.reply;
  } finally {
    process.off('SIGINT', interrupt);
    bar?.clear();
  }
}

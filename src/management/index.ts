export { type ManagementCall, ManagementClient, type ManagementClientOptions } from './client.js';
export { ClientExchange, type ExchangeOptions, type ManagementReply } from './client-exchange.js';
export { PLAIN, WIRE_COMPRESSIONS, WIRE_ENCRYPTIONS, type WireCodes } from './codes.js';
export { COMMAND_NAMES, COMMANDS, type CommandName, type CommandRow, commandOf } from './commands.js';
export { numberOf, outcomeTime, type ProgressReport, textOf, timestamp } from './documents.js';
export { isJsonObject, type JsonObject, type JsonValue, Real, readJson, writeJson } from './json/index.js';
export { ManagementListener, type ManagementListenerOptions } from './listener.js';
export type { SecretSource } from './payload.js';
export type {
  ManagementHandler,
  ManagementLog,
  ManagementPeer,
  ManagementRequest,
  ManagementResult,
} from './request.js';
export { SOCKET_NAME, socketPathIn } from './socket-path.js';
export { PRODUCT_VERSION, PROTOCOL_VERSION } from './version.js';

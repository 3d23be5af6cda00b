export { tlsServerEndPoint } from './channel-binding.js';
export { type ChannelBinding, ScramClient, type ScramClientOptions } from './scram-client.js';
export { mockVerifier, type ScramVerifier, scramVerifier } from './scram-keys.js';
export { ScramServer, type ScramServerOptions } from './scram-server.js';

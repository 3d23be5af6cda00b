/**
 * What holds for a server, of a configuration that somebody else has read. Jobs import this and not `index.js`: they are
 * processes of their own, and the option table with all its readers would be most of what they load.
 */
export { type Configuration, findServer } from './configuration.js';
export { type EffectiveServer, effectiveRetention, effectiveServer } from './effective.js';
export { type HotStandby, hotStandbysOf } from './hot-standby.js';

export { type Configuration, findServer } from './configuration.js';
export { type EffectiveServer, effectiveRetention, effectiveServer } from './effective.js';
export { type ConfigurationPaths, type PathOptions, resolveConfigurationPaths } from './files/paths.js';
export { type LoadOptions, loadConfiguration } from './load.js';
export { MAIN_OPTIONS, type MainSettings, SERVER_OPTIONS, type ServerSettings } from './options/index.js';
export { closest } from './text/suggest.js';
export type { Retention } from './values/retention.js';
export { parseDuration, parseSize } from './values/units.js';
export { ValueError } from './values/value-type.js';

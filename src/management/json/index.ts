export { readJson } from './read.js';
export { compareKeys, isJsonObject, type JsonObject, type JsonValue, numberText, Real } from './value.js';
export { writeJson } from './write.js';

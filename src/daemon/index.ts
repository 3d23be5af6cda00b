export { type DaemonOptions, runDaemon } from './run.js';

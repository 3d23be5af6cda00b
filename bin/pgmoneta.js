#!/usr/bin/env node
import module from 'node:module';

// Node 22 keeps compiled code between runs; older versions have no such call.
module.enableCompileCache?.();
const { main } = await import('../dist/programs/pgmoneta/main.js');
process.exitCode = await main(process.argv.slice(2));

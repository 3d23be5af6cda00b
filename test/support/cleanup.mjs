/**
 * What has to be undone when the process ends, whatever the reason. Handlers are synchronous: they run inside
 * Node's 'exit' event, so nothing is left running after a failure or Ctrl-C.
 */

/** @type {Set<() => void>} */
const pending = new Set();
let installed = false;

function runAll() {
  for (const undo of [...pending].reverse()) {
    try {
      undo();
    } catch {
      // The next one still has to run.
    }
  }
  pending.clear();
}

function install() {
  if (installed) return;
  installed = true;
  process.on('exit', runAll);
  for (const [signal, code] of /** @type {const} */ ([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ])) {
    process.once(signal, () => process.exit(code));
  }
}

/**
 * Registers an undo step; returns a function that forgets it again.
 * @param {() => void} undo synchronous
 */
export function onExit(undo) {
  install();
  pending.add(undo);
  return () => {
    pending.delete(undo);
  };
}

import { nativeSync } from './errors.js';
import { loadAddon } from './load.js';

interface SystemAddon {
  sdNotify(socket: string, state: string): void;
  syslog(priority: number, message: string): void;
}

/**
 * Tells the service manager about the state of the daemon; without `NOTIFY_SOCKET` it does nothing.
 * @param state systemd's form, for example `READY=1`
 */
export function notifyServiceManager(state: string): void {
  const socket = process.env.NOTIFY_SOCKET;
  if (socket) nativeSync(() => loadAddon<SystemAddon>().sdNotify(socket, state));
}

/**
 * Writes one line to syslog, facility daemon.
 * @param priority syslog's number: 3 error, 4 warning, 6 info, 7 debug
 */
export function writeSyslog(priority: number, message: string): void {
  nativeSync(() => loadAddon<SystemAddon>().syslog(priority, message));
}

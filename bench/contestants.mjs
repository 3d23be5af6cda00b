/** Who runs in the benchmark: the product and its peers, each with one piece of work. */
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { until } from '../test/support/processes.mjs';
import { makeDirectory } from '../test/support/runtime.mjs';
import { below, measure } from './measure.mjs';

/** @typedef {import('../test/support/scene.mjs').Scene} Scene */
/** @typedef {import('./measure.mjs').Cost} Cost */
/** @typedef {{group: string, name: string, baseline?: boolean, run: () => Promise<Cost & {size: number}>}} Contestant `baseline`: others of the group are compared with it */

/** Bytes of everything below a directory, hard links once. @param {string} directory */
export function sizeOf(directory) {
  if (!existsSync(directory)) return 0;
  return Number(execFileSync('du', ['-sb', directory], { encoding: 'utf8' }).split('\t')[0]);
}

/** Runs a shell command, measured. @param {string} command @param {number | undefined} server */
export async function shell(command, server) {
  /** @type {import('node:child_process').ChildProcess | undefined} */
  let child;
  const work = () =>
    new Promise((resolve, reject) => {
      child = spawn('/bin/bash', ['-c', `set -o pipefail; ${command}`], { stdio: ['ignore', 'ignore', 'pipe'] });
      let errors = '';
      child.stderr?.on('data', (text) => {
        errors += text;
      });
      child.once('close', (code) =>
        code === 0 ? resolve(undefined) : reject(new Error(`${command}: exit ${code}\n${errors}`)),
      );
    });
  return measure({ work, processes: below(() => child?.pid), ...(server ? { server } : {}) });
}

/** Runs a command of the product, measured. @param {Scene} scene @param {string[]} args */
export async function product(scene, args) {
  const { pgmoneta, server } = scene;
  const daemon = pgmoneta.pid ?? 0;
  return measure({
    work: () => pgmoneta.must(...args),
    processes: () => pgmoneta.jobs(),
    daemon,
    ...(server.pid ? { server: server.pid } : {}),
    settle: () => until('the end of the job', () => pgmoneta.jobs().length === 0),
  });
}

/** Settings of the product, by the name of the variant. */
export const VARIANTS = {
  none: { compression: 'none', encryption: 'none' },
  lz4: { compression: 'lz4', compression_level: 1, encryption: 'none' },
  'zstd-3': { compression: 'zstd', compression_level: 3, encryption: 'none' },
  'zstd-3 + aes-256-gcm': { compression: 'zstd', compression_level: 3, encryption: 'aes-256-gcm' },
};

/** @typedef {keyof typeof VARIANTS} Variant */

/** A full backup by the product; the one before is removed so that nothing can be linked. @param {Scene} scene @param {Variant} variant @returns {Contestant} */
export function productBackup(scene, variant) {
  return {
    group: `full backup, ${variant}`,
    name: 'pgmoneta',
    async run() {
      await scene.reconfigure(VARIANTS[variant]);
      for (const label of scene.pgmoneta.backupsOnDisk()) await scene.pgmoneta.must('delete', 'primary', label);
      const cost = await product(scene, ['backup', 'primary']);
      const [label = ''] = scene.pgmoneta.backupsOnDisk();
      return { ...cost, size: sizeOf(scene.pgmoneta.backupDirectory(label)) };
    },
  };
}

/** Restore of the product's newest backup. @param {Scene} scene @param {Variant} variant @returns {Contestant} */
export function productRestore(scene, variant) {
  return {
    group: `restore, ${variant}`,
    name: 'pgmoneta',
    async run() {
      scene.pgmoneta.clearRestored();
      const cost = await product(scene, ['restore', 'primary', 'newest', scene.pgmoneta.restored]);
      const size = sizeOf(scene.pgmoneta.restored);
      scene.pgmoneta.clearRestored();
      return { ...cost, size };
    },
  };
}

/** Verification of the product's newest backup where it lies. @param {Scene} scene @param {Variant} variant @returns {Contestant} */
export function productVerify(scene, variant) {
  return {
    group: `verify, ${variant}`,
    name: 'pgmoneta',
    run: async () => ({ ...(await product(scene, ['verify', 'primary', 'newest'])), size: 0 }),
  };
}

/** Options of pg_basebackup for a variant; it has no encryption. @type {Record<Variant, string>} */
const PEER_FORM = {
  none: '--format=plain',
  lz4: '--format=tar --compress=client-lz4:1',
  'zstd-3': '--format=tar --compress=client-zstd:3',
  'zstd-3 + aes-256-gcm': '--format=tar --compress=client-zstd:3',
};

/** @param {Scene} scene @param {string} bin @param {string} folder @param {Variant} variant @returns {Contestant} */
export function peerBackup(scene, bin, folder, variant) {
  return {
    group: `full backup, ${variant}`,
    name: `pg_basebackup ${PEER_FORM[variant]}`,
    baseline: true,
    async run() {
      const target = path.join(folder, `peer-${variant.replaceAll(' ', '')}`);
      rmSync(target, { recursive: true, force: true });
      const { server } = scene;
      const command = `'${bin}/pg_basebackup' --host='${server.socketDirectory}' --port=${server.port} --username=postgres --pgdata='${target}' --wal-method=fetch --checkpoint=fast --no-password ${PEER_FORM[variant]}`;
      const cost = await shell(command, server.pid);
      return { ...cost, size: sizeOf(target) };
    },
  };
}

/** Programs that decompress a tar of pg_basebackup. @type {Partial<Record<Variant, [string, string]>>} */
const UNPACK = { lz4: ['lz4 -dc', 'base.tar.lz4'], 'zstd-3': ['zstd -dcq', 'base.tar.zst'] };

/** Unpacking what pg_basebackup wrote, without and with making it durable. @param {string} folder @param {Variant} variant @returns {Contestant[]} */
export function peerRestores(folder, variant) {
  const source = path.join(folder, `peer-${variant.replaceAll(' ', '')}`);
  const target = path.join(folder, 'peer-restored');
  const unpack = UNPACK[variant];
  const tool = unpack ? `${unpack[0]} | tar x` : 'cp -a';
  const command = unpack
    ? `${unpack[0]} '${source}/${unpack[1]}' | tar x -C '${target}'`
    : `cp -a '${source}/.' '${target}'`;
  return ['', ' && sync -f .'].map((sync) => ({
    group: `restore, ${variant}`,
    name: `${tool}${sync ? ', then sync' : ''}`,
    baseline: sync === '',
    async run() {
      rmSync(target, { recursive: true, force: true });
      mkdirSync(target, { recursive: true });
      const cost = await shell(`cd '${target}' && ${command}${sync}`, undefined);
      const size = sizeOf(target);
      rmSync(target, { recursive: true, force: true });
      return { ...cost, size };
    },
  }));
}

/** Whether the programs that a peer needs are installed. @param {string} tool */
export function installed(tool) {
  return (process.env.PATH ?? '').split(':').some((folder) => existsSync(path.join(folder, tool)));
}

/** A folder for what peers write. @param {Scene} scene */
export function peerFolder(scene) {
  const folder = makeDirectory(path.join(scene.pgmoneta.base, 'peers'));
  if (readdirSync(folder).length > 0) throw new Error(`${folder} is not empty`);
  return folder;
}

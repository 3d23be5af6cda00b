import { chmod, chown, mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkExchange, type OldCluster, readOldCluster, realPlace } from '../../../src/restore/old-cluster.js';

let root: string;
let data: string;
beforeEach(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), 'pgmoneta-old-')));
  data = join(root, 'data');
  await mkdir(join(data, 'global'), { recursive: true });
  await mkdir(join(data, 'pg_tblspc'));
  await writeFile(join(data, 'PG_VERSION'), '17\n');
  await writeFile(join(data, 'global/pg_control'), Buffer.alloc(8192, 7));
});
afterEach(() => rm(root, { recursive: true }));

const old = (): OldCluster => ({
  directory: data,
  majorVersion: '17',
  systemIdentifier: '1',
  control: '',
  owner: { uid: 0, gid: 0 },
  tablespaces: [],
});

describe('the cluster that is there', () => {
  it('has to have a control file that can be read', async () => {
    await expect(readOldCluster(data, 'primary-1')).rejects.toThrow('global/pg_control');
  });

  it('must not run', async () => {
    await writeFile(join(data, 'postmaster.pid'), `${process.pid}\n`);
    await expect(readOldCluster(data, 'primary-1')).rejects.toThrow(`PID ${process.pid} runs in`);
  });

  it('is the directory itself, not the one above it', async () => {
    const error = await readOldCluster(root, 'data').catch((caught: unknown) => caught);
    expect(error).toMatchObject({ message: expect.stringContaining('not the data directory') });
    expect(error).toMatchObject({ hint: expect.stringContaining(data) });
  });

  it.runIf(process.getuid?.() === 0)('belongs to the user of the daemon, unless that is root', async () => {
    await chmod(root, 0o755);
    await chown(data, 4711, 4711);
    await expect(readOldCluster(data, 'primary-1')).rejects.toThrow('global/pg_control');
    process.seteuid?.(65534);
    try {
      await expect(readOldCluster(data, 'primary-1')).rejects.toThrow('number 4711');
    } finally {
      process.seteuid?.(0);
    }
  });
});

describe('the way to a directory', () => {
  it('is the one without links, there or not', async () => {
    await symlink(data, join(root, 'link'));
    expect(await realPlace(join(root, 'link'))).toBe(data);
    await rm(data, { recursive: true });
    expect(await realPlace(join(root, 'link'))).toBe(data);
    expect(await realPlace(data)).toBe(data);
    await expect(realPlace('data')).rejects.toThrow('not absolute');
  });
});

describe('the exchange', () => {
  it('takes directories that hold nothing else', async () => {
    const space = join(root, 'space');
    await mkdir(join(space, 'PG_17_202406281'), { recursive: true });
    await checkExchange(old(), [data, space]);
    await mkdir(join(space, 'PG_16_202307071'));
    await expect(checkExchange(old(), [data, space])).rejects.toThrow('PG_16_202307071');
  });

  it('is refused for a mount point and for a tablespace in the data directory', async () => {
    await expect(checkExchange({ ...old(), directory: '/proc' }, ['/proc'])).rejects.toThrow('mount point');
    const inside = join(data, 'space');
    await mkdir(inside);
    await expect(checkExchange(old(), [data, inside])).rejects.toThrow('inside the data directory');
  });
});

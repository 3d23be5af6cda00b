import { chmodSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { effectiveServer, loadConfiguration, resolveConfigurationPaths } from '../../../src/config/index.js';
import { refusal, temporaryDirectory } from '../temporary.js';
import { loadText, MINIMAL, writeFiles } from './files.js';

describe('loadConfiguration', () => {
  it('reads the minimal file with all defaults', () => {
    const { main, servers, warnings } = loadText(MINIMAL);
    // Unless the key left the list of those without effect.
    expect(warnings.filter((warning) => !/metrics: this version does not act/.test(warning))).toEqual([]);
    expect(main).toMatchObject({
      host: '*',
      metrics: 5001,
      base_dir: '/var/lib/pgmoneta',
      compression: 'client-zstd',
      compression_level: 3,
      encryption: 'none',
      manifest_checksums: 'crc32c',
      retention: { days: 7, weeks: null, months: null, years: null },
      retention_interval: 300,
      unix_socket_mode: 0o600,
      log_type: 'console',
      tls_cert_file: null,
      pidfile: `${main.unix_socket_dir}/pgmoneta.all.pid`,
    });
    expect(servers).toHaveLength(1);
    expect(servers[0]).toMatchObject({
      name: 'primary',
      port: 5432,
      sslmode: 'prefer',
      workers: null,
      create_slot: null,
    });
  });

  it('reads what 0.21 reads: quotes, comments, paths without =, missing blanks', () => {
    const { main } = loadText(
      MINIMAL.replace(
        'metrics = 5001',
        'metrics=5001 # port\nlog_path $HOME/"a b".log\nlog_line_prefix = "%Y # z"\ntls_ca_file =',
      ),
    );
    expect(main.log_line_prefix).toBe('%Y # z');
    expect(main.tls_ca_file).toBeNull();
    expect(main.log_path).toBe(`${process.env.HOME}/a b.log`);
    expect(main.metrics).toBe(5001);
  });

  it('tells every error at once, each with its line', async () => {
    const text = `host = early
[pgmoneta]
host = *
unix_socket_dir = SOCKETS
metrcs = 5001
compression = ztsd
encryption = aes-265
network_max_rate = 3
wal_slot = x
log_rotation_age = 1m5
base_dir = $NOT_SET/x
compression
retention = 7,5,1
s3_secret_access_key = "secret
[primary]
host = localhost
port = 0x10
user = rep
wal_slot = Repl
follow = primry
log_level = info
[primary]
[all]
[Pgmoneta]
[a/b]
[x
`;
    const files = writeFiles(text);
    const error = await refusal(
      () => loadConfiguration(files),
      'CONFIGURATION_INVALID',
      /the configuration has \d+ errors/,
    );
    const at = (line: number) =>
      error.message
        .split('\n')
        .filter((entry) => entry.includes(`${files.main}:${line}: `))
        .join('\n');
    expect(at(1)).toMatch(/host: the key stands before the first section/);
    expect(at(5)).toMatch(/metrcs: .*did you mean metrics\?/);
    expect(at(6)).toMatch(/compression = ztsd: .*did you mean zstd\?; allowed: none, client-gzip/);
    expect(at(7)).toMatch(/encryption = aes-265: .*aes-256\?/);
    expect(at(8)).toMatch(/network_max_rate: .*use max_rate/);
    expect(at(9)).toMatch(/wal_slot: the key belongs into the section of a server/);
    expect(at(10)).toMatch(/log_rotation_age = 1m5: this is not a duration; allowed: digits/);
    expect(at(11)).toMatch(/base_dir = \/x: the environment has no variable NOT_SET/);
    expect(at(12)).toMatch(/compression: there is no = after the key/);
    expect(at(13)).toMatch(/retention = 7,5,1: with months set/);
    expect(at(14)).toMatch(/s3_secret_access_key: the opening " is not closed/);
    expect(error.message).not.toContain('"secret');
    expect(at(17)).toMatch(/port = 0x10: this is not a whole number; allowed: a whole number, 1 to 65535/);
    expect(at(19)).toMatch(/wal_slot = Repl/);
    expect(at(15)).toMatch(/follow: there is no server primry; did you mean primary\?/);
    expect(at(15)).toMatch(/user: the users file has no user rep; did you mean repl\?/);
    expect(at(21)).toMatch(/log_level: the key belongs into \[pgmoneta\]/);
    expect(at(22)).toMatch(/\[primary\] stands on line 15 already/);
    expect(at(23)).toMatch(/all is reserved/);
    expect(at(24)).toMatch(/write the main section as \[pgmoneta\]/);
    expect(at(25)).toMatch(/name of a folder/);
    expect(at(26)).toMatch(/no closing \]/);
    const lines = [...error.message.matchAll(/pgmoneta\.conf:(\d+):/g)].map((match) => Number(match[1]));
    expect(lines).toEqual(lines.toSorted((a, b) => a - b));
  });

  it('is lenient where 0.21 only warned, never about encryption', async () => {
    const files = writeFiles(
      MINIMAL.replace('metrics = 5001', 'metrics = 5001\nunknown_key = 1\ncompression = zst\nworkers = many'),
    );
    const error = await refusal(() => loadConfiguration(files), 'CONFIGURATION_INVALID', /3 errors/);
    expect(error.hint).toMatch(/--lenient/);
    const lenient = loadConfiguration(files, { lenient: true });
    expect(lenient.main).toMatchObject({ compression: 'client-zstd', workers: 0 });
    expect(lenient.warnings.filter((warning) => !/does not act upon/.test(warning))).toHaveLength(3);
    const secret = writeFiles(MINIMAL.replace('metrics = 5001', 'encryption = aes-265'));
    const strict = await refusal(
      () => loadConfiguration(secret, { lenient: true }),
      'CONFIGURATION_INVALID',
      /encryption/,
    );
    expect(strict.hint).not.toMatch(/--lenient/);
  });

  it('takes the last of a doubled key and says so', () => {
    const { servers, warnings } = loadText(MINIMAL.replace('host = localhost', 'host = localhost\nhost = db'));
    expect(servers[0]?.host).toBe('db');
    expect(warnings.join()).toMatch(/conf:9: host: the key stands on line 8 too/);
  });

  it('moves the level to what the codec has, and says so', () => {
    const { main, warnings } = loadText(
      MINIMAL.replace('metrics = 5001', 'compression = gzip\ncompression_level = 22'),
    );
    expect(main.compression_level).toBe(9);
    expect(warnings.join()).toMatch(/conf:4: compression_level: client-gzip has no such level; 9 is used/);
  });

  it('wants what belongs together', async () => {
    const main = (lines: string) => () => loadText(MINIMAL.replace('metrics = 5001', lines));
    await refusal(main('tls = on'), 'CONFIGURATION_INVALID', /tls_cert_file and tls_key_file/);
    await refusal(main('metrics_cert_file = /x'), 'CONFIGURATION_INVALID', /metrics_key_file(.|\n)*does not exist/);
    await refusal(main('storage_engine = local,s3'), 'CONFIGURATION_INVALID', /s3_bucket(.|\n)*needs s3_bucket/);
    await refusal(main('metrics = 5001\nconsole = 5001'), 'CONFIGURATION_INVALID', /metrics has the same port/);
    await refusal(main('management_tls = require'), 'CONFIGURATION_INVALID', /tls = on/);
    await refusal(
      () => loadText(`${MINIMAL}channel_binding = require\nsslmode = disable\n`),
      'CONFIGURATION_INVALID',
      /TLS/,
    );
    await refusal(() => loadText(`${MINIMAL}follow = primary\n`), 'CONFIGURATION_INVALID', /cannot follow itself/);
    await refusal(
      () => loadText('[pgmoneta]\nhost = *\nbase_dir = /x\nunix_socket_dir = SOCKETS\n'),
      'CONFIGURATION_INVALID',
      /no server/,
    );
    await refusal(() => loadText('[primary]\nhost = x\n'), 'CONFIGURATION_INVALID', /no section \[pgmoneta\]/);
    await refusal(
      () => loadText(MINIMAL.replace('SOCKETS', '/nowhere/at/all')),
      'CONFIGURATION_INVALID',
      /unix_socket_dir = \/nowhere/,
    );
    await refusal(
      () => loadText(MINIMAL.replace('port = 5432\n', '')),
      'CONFIGURATION_INVALID',
      /port: the required key is missing in \[primary\]/,
    );
  });

  it('warns of two servers on one slot', () => {
    const second = MINIMAL.slice(MINIMAL.indexOf('[primary]')).replace('[primary]', '[second]');
    expect(loadText(`${MINIMAL}${second}`).warnings.join()).toMatch(/\[primary\] receives from the same slot/);
  });

  it('names what cannot be read', async () => {
    const files = writeFiles(MINIMAL);
    await refusal(
      () => loadConfiguration({ ...files, main: '/nowhere/x.conf' }),
      'CONFIGURATION_NOT_FOUND',
      /\/nowhere\/x\.conf does not exist/,
    );
    const users = await refusal(
      () => loadConfiguration({ ...files, users: '/nowhere/u' }),
      'CONFIGURATION_NOT_FOUND',
      /users file \/nowhere\/u does not exist/,
    );
    expect(users.hint).toMatch(/pgmoneta-admin -f \/nowhere\/u user add/);
    await refusal(
      () => loadConfiguration({ ...files, main: files.directory }),
      'CONFIGURATION_NOT_FOUND',
      /not a regular file/,
    );
    writeFileSync(files.main, Buffer.from('[pgmoneta]\n# \xff\n', 'latin1'));
    await refusal(() => loadConfiguration(files), 'CONFIGURATION_INVALID', /conf:2: the file is not UTF-8/);
    writeFileSync(files.main, '[pgmoneta]\n\0\n');
    await refusal(() => loadConfiguration(files), 'CONFIGURATION_INVALID', /conf:2: the file has binary data/);
  });

  it('follows symbolic links and takes UTF-8', () => {
    const files = writeFiles(MINIMAL.replace('[pgmoneta]', '# Größe\n[pgmoneta]'));
    symlinkSync(files.main, join(files.directory, 'link.conf'));
    expect(loadConfiguration({ ...files, main: join(files.directory, 'link.conf') }).main.host).toBe('*');
  });
});

describe('secrets', () => {
  it('may come from files, and open files are warned of', async () => {
    const files = writeFiles(
      MINIMAL.replace('metrics = 5001', 's3_secret_access_key_file = SOCKETS/key\nazure_shared_key = abc'),
      'pgmoneta.conf',
      0o644,
    );
    chmodSync(files.main, 0o644);
    const key = join(files.directory, 'run', 'key');
    await refusal(() => loadConfiguration(files), 'CONFIGURATION_INVALID', /secret file .*key does not exist/);
    writeFileSync(key, 'top secret\n', { mode: 0o600 });
    const closed = loadConfiguration(files);
    expect(closed.main.s3_secret_access_key).toBe('top secret');
    expect(closed.warnings.join()).toMatch(/holds a secret and can be read by others \(mode 644\)/);
    chmodSync(key, 0o640);
    expect(loadConfiguration(files).warnings.join()).toMatch(/s3_secret_access_key_file = .*mode 640/);
    writeFileSync(key, '\n');
    await refusal(() => loadConfiguration(files), 'CONFIGURATION_INVALID', /the file is empty/);
  });

  it('are not given twice', () =>
    refusal(
      () => loadText(MINIMAL.replace('metrics = 5001', 'azure_shared_key = a\nazure_shared_key_file = /x')),
      'CONFIGURATION_INVALID',
      /azure_shared_key is set as well/,
    ));
});

describe('TOML', () => {
  const TOML = `[pgmoneta]
host = "*"
base_dir = "$ROOT/x"
unix_socket_dir = "SOCKETS"
metrics = 5001
tls = false
retention = [7, 4, 6]
storage_engine = ["local"]
max_rate = "10MB"

["primary.one"]
host = "localhost"
port = 5432
user = "repl"
wal_slot = "repl"
hot_standby = ["/a b", "/c"]
`;

  it('has the same keys', () => {
    const files = writeFiles(TOML, 'pgmoneta.toml');
    const { main, servers } = loadConfiguration(files, { environment: { ROOT: '/r' } });
    expect(main).toMatchObject({
      host: '*',
      base_dir: '/r/x',
      metrics: 5001,
      retention: { days: 7, weeks: 4, months: 6, years: null },
      storage_engine: ['local'],
      max_rate: 10_485_760,
    });
    expect(servers[0]).toMatchObject({ name: 'primary.one', port: 5432, hot_standby: ['/a b', '/c'] });
  });

  it('has the same errors, with lines', async () => {
    const bad = TOML.replace(
      'metrics = 5001',
      'metrics = 70000\nmetrcs = 1\nworkers = 1.5\nnagios = 2020-01-01',
    ).replace('[pgmoneta]', 'x = 1\n[pgmoneta]');
    const files = writeFiles(bad, 'pgmoneta.toml');
    const error = await refusal(
      () => loadConfiguration(files, { environment: { ROOT: '/r' } }),
      'CONFIGURATION_INVALID',
      /toml:6: metrics = 70000: the number is above 65535/,
    );
    expect(error.message).toMatch(/toml:7: metrcs: .*did you mean metrics/);
    expect(error.message).toMatch(/toml:8: workers = 1.5/);
    expect(error.message).toMatch(/toml:9: nagios/);
    expect(error.message).toMatch(/toml:1: x: the key stands before the first table/);
  });

  it('tells where it is no TOML', () =>
    refusal(
      () => loadText('[pgmoneta]\nhost = *\n', 'pgmoneta.toml'),
      'CONFIGURATION_INVALID',
      /toml:2: the file is not TOML/,
    ));
});

describe('effectiveServer', () => {
  it('resolves what is inherited, retention by field', async () => {
    const configuration = loadText(
      `${MINIMAL.replace('metrics = 5001', 'workers = 4\nmax_rate = 1M\ncreate_slot = yes\nretention = 7,4,6\ns3_endpoint = main\ns3_use_tls = on\nmanifest_checksums = sha512')}max_rate = 0
retention = -,2
s3_bucket = own
[second]
host = /run/postgresql
port = 5433
user = other
wal_slot = other
create_slot = no
workers = -1
s3_endpoint = own
`,
    );
    expect(effectiveServer(configuration, 'primary')).toMatchObject({
      workers: 4,
      max_rate: 0,
      create_slot: true,
      retention: { days: 7, weeks: 2, months: 6, years: null },
      s3_endpoint: 'main',
      s3_use_tls: true,
      s3_bucket: 'own',
      manifest_checksums: 'sha512',
      progress: false,
    });
    expect(effectiveServer(configuration, 'second')).toMatchObject({
      workers: 4,
      max_rate: 1_048_576,
      create_slot: false,
      s3_endpoint: 'own',
      s3_use_tls: false,
    });
    await refusal(
      () => effectiveServer(configuration, 'third'),
      'CONF_SET_UNKNOWN_SERVER',
      /no server third; there is: primary, second/,
    );
  });
});

describe('resolveConfigurationPaths', () => {
  it('takes explicit files, then the directory, then the default', async () => {
    const own = temporaryDirectory();
    const fallback = temporaryDirectory();
    const resolve = (options: object, environment = {}) => resolveConfigurationPaths(options, environment, fallback);
    expect(resolve({})).toEqual({
      main: join(fallback, 'pgmoneta.conf'),
      users: join(fallback, 'pgmoneta_users.conf'),
    });
    writeFileSync(join(own, 'pgmoneta.toml'), '');
    writeFileSync(join(fallback, 'pgmoneta_admins.conf'), '');
    expect(resolve({ directory: own })).toEqual({
      main: join(own, 'pgmoneta.toml'),
      users: join(own, 'pgmoneta_users.conf'),
      admins: join(fallback, 'pgmoneta_admins.conf'),
    });
    writeFileSync(join(own, 'pgmoneta.conf'), '');
    expect(resolve({}, { PGMONETA_CONFIG_DIR: own }).main).toBe(join(own, 'pgmoneta.conf'));
    expect(resolve({ directory: fallback }, { PGMONETA_CONFIG_DIR: own }).main).toBe(join(fallback, 'pgmoneta.conf'));
    expect(resolve({ config: '/x', users: '/y', directory: own })).toMatchObject({ main: '/x', users: '/y' });
    await refusal(
      () => resolve({ directory: '/nowhere' }),
      'CONFIGURATION_NOT_FOUND',
      /\/nowhere \(from -D\) does not exist/,
    );
    await refusal(
      () => resolve({}, { PGMONETA_CONFIG_DIR: join(own, 'pgmoneta.conf') }),
      'CONFIGURATION_NOT_FOUND',
      /not a directory/,
    );
    await refusal(() => resolve({ admins: '/nowhere/a' }), 'CONFIGURATION_NOT_FOUND', /admins file \/nowhere\/a/);
  });
});

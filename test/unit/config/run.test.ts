import { chmodSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  configurationDocument,
  loadConfiguration,
  persistConfigurationValue,
  reloadConfiguration,
  setConfigurationValue,
  settingsPaths,
} from '../../../src/config/index.js';
import { refusal } from '../temporary.js';
import { loadText, MINIMAL, writeFiles } from './files.js';

describe('reloadConfiguration', () => {
  it('applies hot keys, keeps those that need a restart, names the listeners that move', () => {
    const files = writeFiles(`${MINIMAL}s3_secret_access_key = old\n`);
    const current = loadConfiguration(files);
    const text = readFileSync(files.main, 'utf8')
      .replace('metrics = 5001', 'metrics = 5002\nlog_level = debug\nretention = 14')
      .replace('base_dir = /var/lib/pgmoneta', 'base_dir = /elsewhere')
      .replace('port = 5432', 'port = 5433\nworkers = 3')
      .replace('= old', '= new');
    writeFileSync(files.main, `${text}[second]\nhost = x\nport = 1\nuser = repl\nwal_slot = s\n`);
    const { next, applied, rebind, restartRequired } = reloadConfiguration(current);
    expect(applied.toSorted()).toEqual(['log_level', 'metrics', 'retention', 'server.primary.workers']);
    expect(rebind).toEqual(['metrics']);
    expect(restartRequired).toEqual([
      { key: 'base_dir', current: '/var/lib/pgmoneta', requested: '/elsewhere' },
      { key: 'server.primary.port', current: '5432', requested: '5433' },
      { key: 'server.primary.s3_secret_access_key', current: '********', requested: '********' },
      { key: 'server.second', current: 'absent', requested: 'present' },
    ]);
    expect(next.main).toMatchObject({ metrics: 5002, log_level: 'debug', base_dir: '/var/lib/pgmoneta' });
    expect(next.main.retention.days).toBe(14);
    expect(next.servers).toHaveLength(1);
    expect(next.servers[0]).toMatchObject({ port: 5432, workers: 3, s3_secret_access_key: 'old' });
  });

  it('does not care for the order of servers, and tells one that went', () => {
    const second = '[second]\nhost = x\nport = 1\nuser = repl\nwal_slot = s\n';
    const files = writeFiles(`${MINIMAL}${second}`);
    const current = loadConfiguration(files);
    const [main, primary] = readFileSync(files.main, 'utf8')
      .replace(second, '')
      .split(/(?=\[primary\])/);
    writeFileSync(files.main, `${main}${second}${primary}`);
    expect(reloadConfiguration(current)).toMatchObject({ applied: [], restartRequired: [] });
    writeFileSync(files.main, `${main}${primary}`);
    expect(reloadConfiguration(current).restartRequired).toEqual([
      { key: 'server.second', current: 'present', requested: 'absent' },
    ]);
  });

  it('changes nothing when the file is wrong', async () => {
    const files = writeFiles(MINIMAL);
    const current = loadConfiguration(files);
    writeFileSync(
      files.main,
      readFileSync(files.main, 'utf8').replace('metrics = 5001', 'metrics = x\nlog_level = debug'),
    );
    await refusal(() => reloadConfiguration(current), 'CONF_RELOAD_ERROR', /nothing was reloaded: (.|\n)*metrics = x/);
  });
});

describe('setConfigurationValue', () => {
  const current = () => loadText(MINIMAL);

  it('applies hot keys in all forms of the key', () => {
    const before = current();
    const level = setConfigurationValue(before, 'log_level', 'DEBUG');
    expect(level.result).toEqual({
      status: 'success',
      message: 'Configuration change applied successfully',
      config_key: 'log_level',
      old_value: 'info',
      new_value: 'debug',
      restart_required: false,
    });
    expect(level.next.main.log_level).toBe('debug');
    expect(before.main.log_level).toBe('info');
    expect(setConfigurationValue(before, 'pgmoneta.max_rate', '10MB').next.main.max_rate).toBe(10_485_760);
    const workers = setConfigurationValue(before, 'server.primary.workers', '4');
    expect(workers.next.servers[0]?.workers).toBe(4);
    expect(workers.result).toMatchObject({ old_value: '-1', new_value: '4' });
    expect(setConfigurationValue(workers.next, 'server.primary.workers', '-1').next.servers[0]?.workers).toBeNull();
    expect(setConfigurationValue(level.next, 'log_level', '').next.main.log_level).toBe('info');
    expect(setConfigurationValue(before, 'metrics', '5002')).toMatchObject({ rebind: ['metrics'] });
    expect(setConfigurationValue(before, 'metrics', '5001')).toMatchObject({ rebind: [] });
  });

  it('keeps what needs a restart', () => {
    const before = current();
    const { next, result } = setConfigurationValue(before, 'server.primary.port', '5433');
    expect(next).toBe(before);
    expect(result).toEqual({
      status: 'success_restart_required',
      message: 'Configuration change requires restart. Current values preserved.',
      config_key: 'server.primary.port',
      requested_value: '5433',
      current_value: '5432',
      restart_required: true,
    });
    expect(setConfigurationValue(before, 's3_secret_access_key', 'hidden').result).toMatchObject({
      requested_value: '********',
      current_value: '',
    });
    expect(setConfigurationValue(before, 'server.primary.port', '5432').result.status).toBe('success');
  });

  it('finds servers with dots in their names', () => {
    const dotted = loadText(MINIMAL.replace('[primary]', '[a.b]'));
    expect(setConfigurationValue(dotted, 'server.a.b.workers', '2').next.servers[0]?.workers).toBe(2);
  });

  const bad: readonly [string, string, string, RegExp][] = [
    ['', 'x', 'CONF_SET_NOCONFIG_KEY_OR_VALUE', /without a key/],
    ['a.b.c.d', 'x', 'CONF_SET_UNKNOWN_KEY', /Invalid key format: 'a\.b\.c\.d'/],
    ['.log_level', 'x', 'CONF_SET_UNKNOWN_KEY', /Invalid key format/],
    ['server.primary', 'x', 'CONF_SET_UNKNOWN_KEY', /Invalid key format/],
    ['log_levle', 'x', 'CONF_SET_UNKNOWN_KEY', /did you mean log_level\?/],
    ['wal_slot', 'x', 'CONF_SET_UNKNOWN_KEY', /use server\.<name>\.wal_slot/],
    ['server.primary.log_level', 'x', 'CONF_SET_UNKNOWN_KEY', /key of \[pgmoneta\]/],
    ['backup_max_rate', '1', 'CONF_SET_UNKNOWN_KEY', /use max_rate/],
    ['server.primry.workers', '1', 'CONF_SET_UNKNOWN_SERVER', /did you mean primary\?/],
    ['log_level', 'loud', 'CONF_SET_ERROR', /log_level = loud: .*; allowed: fatal, error, warn, info/],
    ['metrics', '70000', 'CONF_SET_ERROR', /above 65535; allowed: a whole number, 0 to 65535/],
    ['host', '', 'CONF_SET_ERROR', /required/],
    ['retention', '7,5,1', 'CONF_SET_ERROR', /months/],
    ['management_tls', 'require', 'CONF_SET_ERROR', /tls = on/],
    ['server.primary.follow', 'nobody', 'CONF_SET_ERROR', /no server nobody/],
    ['metrics_cert_file', '/nowhere', 'CONF_SET_ERROR', /metrics_key_file/],
  ];
  for (const [key, value, code, text] of bad) {
    it(`refuses ${key} = ${value}`, () => refusal(() => setConfigurationValue(current(), key, value), code, text));
  }

  it('never repeats a secret', async () => {
    const error = await refusal(
      () => setConfigurationValue(current(), 's3_secret_access_key', 'x\u0007secret'),
      'CONF_SET_ERROR',
      /control/,
    );
    expect(error.message).not.toContain('secret\u0007');
    expect(error.message).not.toContain('x\u0007');
  });
});

describe('persistConfigurationValue', () => {
  it('changes the one line, keeps mode and link, and reads back', async () => {
    const files = writeFiles(MINIMAL.replace('metrics = 5001', 'metrics = 5001 # Prometheus'));
    chmodSync(files.main, 0o640);
    const link = join(files.directory, 'link.conf');
    symlinkSync(files.main, link);
    const before = readFileSync(files.main, 'utf8');
    const configuration = loadConfiguration({ main: link, users: files.users });
    await persistConfigurationValue(configuration, 'metrics', '5002');
    expect(readFileSync(files.main, 'utf8')).toBe(before.replace('5001 #', '5002 #'));
    expect(statSync(files.main).mode & 0o777).toBe(0o640);
    await persistConfigurationValue(configuration, 'log_line_prefix', '%Y # ');
    await persistConfigurationValue(configuration, 'log_path', '$HOME/a "b" #1.log');
    await persistConfigurationValue(configuration, 'server.primary.max_rate', '10MB');
    const after = loadConfiguration(configuration.files, { environment: { HOME: '/h' } });
    expect(after.main).toMatchObject({ metrics: 5002, log_line_prefix: '%Y #', log_path: '/h/a "b" #1.log' });
    expect(after.servers[0]?.max_rate).toBe(10_485_760);
  });

  it('tells what to do where a file cannot be edited', async () => {
    const text =
      '[pgmoneta]\nhost="*"\nbase_dir="/x"\nunix_socket_dir="SOCKETS"\n[primary]\nhost="x"\nport=1\nuser="repl"\nwal_slot="s"\n';
    const files = writeFiles(text, 'pgmoneta.toml');
    const configuration = loadConfiguration(files);
    await persistConfigurationValue(configuration, 'metrics', '5002');
    expect(loadConfiguration(files).main.metrics).toBe(5002);
    writeFileSync(files.main, 'pgmoneta = {host = "*"}\n');
    const error = await refusal(
      () => persistConfigurationValue(configuration, 'metrics', '1'),
      'CONF_SET_ERROR',
      /cannot be edited/,
    );
    expect(error.hint).toMatch(/by hand/);
  });
});

describe('configurationDocument', () => {
  it('has the names and types of the C program', () => {
    const configuration = loadText(
      `${MINIMAL.replace('metrics = 5001', 'metrics = 5001\nazure_shared_key = hidden\nlog_rotation_size = 1k\ncompression = server-lz4')}s3_bucket = own\nhot_standby = /a,/b\nhot_standby_overrides = /c|/d\nextra = /e,/f\n`,
    );
    const document = configurationDocument(configuration, { online: () => true });
    expect(document).toMatchObject({
      host: '*',
      metrics: 5001,
      compression: { value: 0x23, string_value: 'lz4' },
      encryption: { value: 0, string_value: 'none' },
      storage_engine: { value: 1, string_value: 'local' },
      create_slot: { value: 0, string_value: 'undefined' },
      log_type: { value: 0, string_value: 'console' },
      log_level: { value: 3, string_value: 'info' },
      log_mode: { value: 1, string_value: 'append' },
      hugepage: { value: 1, string_value: 'try' },
      direct_io: { value: 0, string_value: 'off' },
      update_process_title: { value: 3, string_value: 'verbose' },
      blocking_timeout: { value: 30, string_value: '30s' },
      log_rotation_size: { value: 1024, string_value: '1024B' },
      retention: '7,-,-,-',
      max_rate: 0,
      progress: false,
      tls: false,
      keep_alive: true,
      s3_use_tls: 0,
      s3_port: 0,
      s3_bucket: '',
      tls_cert_file: '',
      azure_shared_key: '********',
      s3_secret_access_key: '',
      manifest: 'CRC32C',
      main_configuration_path: configuration.files.main,
      admin_configuration_path: '',
      server: {
        primary: {
          host: 'localhost',
          port: 5432,
          user: 'repl',
          online: true,
          wal_slot: 'repl',
          create_slot: 0,
          follow: '',
          workspace: '',
          retention: '-,-,-,-',
          hot_standby: '/a,/b',
          hot_standby_overrides: '/c|/d',
          workers: -1,
          max_rate: -1,
          progress: false,
          manifest: 'CRC32C',
          s3_bucket: 'own',
          s3_port: 0,
          s3_use_tls: 0,
          extra: '/e,/f',
        },
      },
    });
    expect(JSON.stringify(document)).not.toContain('hidden');
    expect(Object.keys(settingsPaths(configuration))).toEqual([
      'main_configuration_path',
      'users_configuration_path',
      'admin_configuration_path',
    ]);
  });
});

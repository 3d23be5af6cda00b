import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadCliConfiguration, readCliText } from '../../../src/config/cli.js';
import { loadToolConfiguration, readToolText } from '../../../src/config/tools.js';
import { refusal, temporaryDirectory } from '../temporary.js';
import { MINIMAL } from './files.js';

describe('pgmoneta_cli.conf', () => {
  it('has one set of keys, whatever the sections', () => {
    const { kind, settings, warnings } = readCliText(
      'cli.conf',
      'host = h\n[pgmoneta]\nport = 5000\nunix_socket_dir = $D/x\n[x]\ncompression = gz\nencryption = aes256\noutput = JSON\nlater = 1\n',
      { environment: { D: '/d' } },
    );
    expect(kind).toBe('cli');
    expect(settings).toMatchObject({
      host: 'h',
      port: 5000,
      unix_socket_dir: '/d/x',
      compression: 'gzip',
      encryption: 'aes-256-gcm',
      output: 'json',
      log_type: 'console',
    });
    expect(warnings).toEqual(['cli.conf:9: later: pgmoneta-cli has no such key']);
    expect(readCliText('cli.conf', 'compression = bzip2').settings).toMatchObject({
      compression: 'bzip2',
      encryption: 'none',
    });
  });

  it('tells bad values', () =>
    refusal(
      () => readCliText('cli.conf', 'port = x\nencryption = rot13'),
      'CONFIGURATION_INVALID',
      /cli\.conf:1: port = x(.|\n)*:2: encryption/,
    ));

  it('may be the file of the daemon, for its socket', () => {
    const text = MINIMAL.replace('SOCKETS', '"/run/x"');
    expect(readCliText('pgmoneta.conf', text)).toMatchObject({
      kind: 'daemon',
      settings: { unix_socket_dir: '/run/x', host: null, port: 0 },
    });
    expect(
      readCliText('pgmoneta.toml', '[pgmoneta]\nbase_dir = "/x"\nunix_socket_dir = "/run/y"\nhost = "*"\n'),
    ).toMatchObject({
      kind: 'daemon',
      settings: { unix_socket_dir: '/run/y', host: null },
    });
  });

  it('may be absent only where nobody named it', async () => {
    const directory = temporaryDirectory();
    expect(loadCliConfiguration(undefined, {}, join(directory, 'x'))).toBeNull();
    await refusal(() => loadCliConfiguration(join(directory, 'x')), 'CONFIGURATION_NOT_FOUND', /does not exist/);
    writeFileSync(join(directory, 'y'), 'port = 1\n');
    expect(loadCliConfiguration(undefined, {}, join(directory, 'y'))?.settings.port).toBe(1);
  });
});

describe('pgmoneta_walinfo.conf and pgmoneta_walfilter.conf', () => {
  it('have a section of the tool and one server', () => {
    const text = '[pgmoneta_walfilter]\nlog_level = debug\n[primary]\nhost = h\nuser = u\n';
    expect(readToolText('walfilter', 'w.conf', text)).toMatchObject({
      settings: { log_level: 'debug', log_type: 'console', encryption: 'none', log_path: null },
      server: { name: 'primary', host: 'h', port: 5432, user: 'u' },
    });
    expect(loadToolConfiguration('walinfo')).toMatchObject({ settings: { encryption: 'aes-256-gcm' }, server: null });
  });

  it('tell what is wrong', () =>
    refusal(
      () => readToolText('walinfo', 'w.conf', 'x = 1\n[a]\nport = 0\n[b]\n'),
      'CONFIGURATION_INVALID',
      /w\.conf:1: (.|\n)*w\.conf:3: port = 0(.|\n)*w\.conf:4: \[b\]: one server/,
    ));
});

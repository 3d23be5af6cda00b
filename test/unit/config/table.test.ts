import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { fillManual } from '../../../src/config/manual.js';
import { defaultOf } from '../../../src/config/option.js';
import { OPTION_GROUPS } from '../../../src/config/options/groups.js';
import { MAIN_OPTIONS, OBSOLETE_KEYS, SERVER_OPTIONS } from '../../../src/config/options/index.js';
import { MAIN_WITHOUT_EFFECT, SERVER_WITHOUT_EFFECT } from '../../../src/config/options/without-effect.js';
import { configurationSchema } from '../../../src/config/schema.js';

const PAGE = new URL('../../../docs/configuration.md', import.meta.url);

describe('the option table', () => {
  it('is the manual', async () => {
    // `npx vitest run test/unit/config/table.test.ts --update` writes the page anew.
    await expect(fillManual(readFileSync(PAGE, 'utf8'))).toMatchFileSnapshot(PAGE.pathname);
  });

  it('notices a manual without one of its groups', () => {
    expect(() => fillManual('<!-- options: log -->\n<!-- end -->')).toThrow(/no place for types, general/);
    expect(() => fillManual('<!-- options: nonsense -->\n<!-- end -->')).toThrow(/nonsense/);
  });

  it('has defaults that its own types accept, and help for every key', () => {
    for (const { name, table } of OPTION_GROUPS) {
      const settings: Record<string, unknown> = { unix_socket_dir: '/run', host: '*' };
      for (const [key, row] of Object.entries(table)) {
        const place = `${name}.${key}`;
        expect(row.help, place).toMatch(/^[A-Z].*\.$/);
        const value = defaultOf(row, { environment: { HOME: '/h' }, uid: 1, settings });
        settings[key] = row.required ? settings[key] : value;
        if (row.required || value === null) continue;
        expect(row.type.read(row.type.write(value)), place).toEqual(value);
      }
    }
  });

  it('has every key of the specification', () => {
    const main =
      'host unix_socket_dir base_dir metrics nagios metrics_cache_max_age metrics_cache_max_size metrics_cert_file metrics_key_file metrics_ca_file management console compression compression_level workers workspace storage_engine encryption create_slot ssh_hostname ssh_username ssh_base_dir ssh_port ssh_ciphers ssh_public_key_file ssh_private_key_file s3_region s3_access_key_id s3_secret_access_key s3_bucket s3_base_dir s3_storage_class s3_endpoint s3_port s3_use_tls azure_storage_account azure_container azure_shared_key azure_base_dir azure_endpoint azure_port azure_use_tls retention retention_interval verification log_type log_level log_path log_rotation_age log_rotation_size log_line_prefix log_mode blocking_timeout tls tls_cert_file tls_key_file tls_ca_file libev keep_alive nodelay non_blocking backlog hugepage direct_io max_rate progress pidfile update_process_title link';
    const server =
      'host port user wal_slot create_slot follow retention wal_shipping workspace hot_standby hot_standby_overrides hot_standby_tablespaces workers max_rate progress tls_cert_file tls_key_file tls_ca_file s3_storage_class s3_endpoint s3_region s3_access_key_id s3_secret_access_key s3_bucket s3_base_dir s3_port s3_use_tls extra';
    expect(Object.keys(MAIN_OPTIONS)).toEqual(expect.arrayContaining(main.split(' ')));
    expect(Object.keys(SERVER_OPTIONS)).toEqual(expect.arrayContaining(server.split(' ')));
    const both = new Set([...Object.keys(MAIN_OPTIONS), ...Object.keys(SERVER_OPTIONS)]);
    for (const key of Object.keys(OBSOLETE_KEYS)) expect(both.has(key), key).toBe(false);
  });

  it('names as without effect only what no source acts upon', () => {
    const sources = readdirSync(new URL('../../../src/', import.meta.url), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts') && !file.startsWith('config/'))
      .map((file) => readFileSync(new URL(`../../../src/${file}`, import.meta.url), 'utf8'))
      .join('\n');
    const acted = (settings: string, key: string) => new RegExp(`\\b${settings}\\.${key}\\b`).test(sources);
    expect(acted('main', 'base_dir')).toBe(true);
    for (const key of MAIN_WITHOUT_EFFECT) {
      expect(Object.keys(MAIN_OPTIONS)).toContain(key);
      expect(acted('main', key), `main.${key} is used: take it off the list`).toBe(false);
    }
    for (const key of SERVER_WITHOUT_EFFECT) {
      expect(Object.keys(SERVER_OPTIONS)).toContain(key);
      expect(acted('(?:server|effective)', key), `server.${key} is used`).toBe(false);
    }
  });

  it('gives a schema that reads what TOML holds', () => {
    const schema = configurationSchema();
    const given = {
      pgmoneta: { host: '*', base_dir: '/x', unix_socket_dir: '/run', retention: [7, 4], max_rate: '10MB', tls: true },
      primary: { host: 'h', port: 5432, user: 'u', wal_slot: 's', hot_standby: ['/a'] },
    };
    expect(schema.parse(given)).toMatchObject({
      pgmoneta: { retention: { days: 7, weeks: 4, months: null, years: null }, max_rate: 10_485_760, tls: true },
      primary: { port: 5432, hot_standby: ['/a'] },
    });
    const bad = schema.safeParse({ ...given, pgmoneta: { ...given.pgmoneta, metrics: 70000, metrcs: 1 } });
    expect(bad.error?.issues.map((issue) => issue.path.join('.')).toSorted()).toEqual(['pgmoneta', 'pgmoneta.metrics']);
    expect(schema.safeParse({ ...given, primary: { host: 'h' } }).success).toBe(false);
  });
});

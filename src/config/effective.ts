import { PgmonetaError } from '../errors/index.js';
import { type Configuration, findServer } from './configuration.js';
import type { SettingsOf } from './option.js';
import type { MainSettings, ServerSettings } from './options/index.js';
import type { SERVER_INHERITED_OPTIONS, SERVER_OWN_OPTIONS, SERVER_S3_OPTIONS } from './options/server.js';
import type { Retention } from './values/retention.js';

type S3Settings = Pick<MainSettings, keyof typeof SERVER_S3_OPTIONS>;
type Inherited = Omit<Pick<MainSettings, keyof typeof SERVER_INHERITED_OPTIONS>, 'create_slot'>;

/** The settings that hold for a server: its own, and those of `[pgmoneta]` where it has none. */
export type EffectiveServer = SettingsOf<typeof SERVER_OWN_OPTIONS> &
  Inherited &
  S3Settings & {
    readonly name: string;
    readonly create_slot: boolean;
  };

/** Each unset field of a server's policy is that of the main one. */
export function effectiveRetention(own: Retention, main: Retention): Retention {
  return {
    days: own.days ?? main.days,
    weeks: own.weeks ?? main.weeks,
    months: own.months ?? main.months,
    years: own.years ?? main.years,
  };
}

function effectiveS3(server: ServerSettings, main: MainSettings): S3Settings {
  // A server with a service of its own does not take over how to speak to the service of the main section.
  const ownService = server.s3_endpoint !== null || (server.s3_port ?? 0) !== 0;
  return {
    s3_storage_class: server.s3_storage_class ?? main.s3_storage_class,
    s3_endpoint: server.s3_endpoint ?? main.s3_endpoint,
    s3_port: server.s3_port || main.s3_port,
    s3_use_tls: server.s3_use_tls ?? (ownService ? false : main.s3_use_tls),
    s3_region: server.s3_region ?? main.s3_region,
    s3_access_key_id: server.s3_access_key_id ?? main.s3_access_key_id,
    s3_secret_access_key: server.s3_secret_access_key ?? main.s3_secret_access_key,
    s3_secret_access_key_file: server.s3_secret_access_key_file ?? main.s3_secret_access_key_file,
    s3_bucket: server.s3_bucket ?? main.s3_bucket,
    s3_base_dir: server.s3_base_dir ?? main.s3_base_dir,
  };
}

/**
 * Resolves what a server inherits.
 * @throws PgmonetaError CONF_SET_UNKNOWN_SERVER when the configuration has no such server
 */
export function effectiveServer(configuration: Configuration, name: string): EffectiveServer {
  const server = findServer(configuration, name);
  if (server === undefined) {
    const names = configuration.servers.map((candidate) => candidate.name).join(', ');
    throw new PgmonetaError('CONF_SET_UNKNOWN_SERVER', `the configuration has no server ${name}; there is: ${names}`, {
      hint: `add a section [${name}] to ${configuration.files.main}, or use one of the names`,
    });
  }
  const { main } = configuration;
  return {
    ...server,
    ...effectiveS3(server, main),
    create_slot: server.create_slot ?? main.create_slot ?? false,
    retention: effectiveRetention(server.retention, main.retention),
    workspace: server.workspace ?? main.workspace,
    workers: server.workers ?? main.workers,
    max_rate: server.max_rate ?? main.max_rate,
    progress: server.progress ?? main.progress,
    manifest_checksums: server.manifest_checksums ?? main.manifest_checksums,
  };
}

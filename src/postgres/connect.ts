import { type DatabaseError, serialize } from 'pg-protocol';
import type { BackendKeyDataMessage, BackendMessage, ParameterStatusMessage } from 'pg-protocol/dist/messages.js';
import { PgmonetaError } from '../errors/index.js';
import { Authentication } from './authentication.js';
import { Connection, type Greeting } from './connection.js';
import { connectionLost, connectTimeout, fromConnect } from './network-error.js';
import { type ConnectOptions, peerOf, type ResolvedOptions, resolveOptions } from './options.js';
import { contextOf, describePeer, isSocketDirectory, type Peer, sectionOf } from './peer.js';
import { fromServer } from './server-error.js';
import { Session } from './session.js';
import { openTransport } from './transport.js';
import { OLDEST_MAJOR } from './version.js';

type Encryption = Parameters<typeof openTransport>[2];

/** The attempts that an sslmode stands for: the second is made when the first was refused by pg_hba.conf. */
function attempts({ sslmode, host }: ResolvedOptions): readonly Encryption[] {
  if (isSocketDirectory(host) || sslmode === 'disable') return ['never'];
  if (sslmode === 'allow') return ['never', 'always'];
  if (sslmode === 'prefer') return ['if offered', 'never'];
  return ['always'];
}

/**
 * Connects and logs in.
 * @returns a connection that is ready for commands
 * @throws PgmonetaError with the setting to change; never shows the password
 */
export async function connect(options: ConnectOptions): Promise<Connection> {
  const resolved = resolveOptions(options);
  let refused: PgmonetaError | undefined;
  for (const encryption of attempts(resolved)) {
    const peer = peerOf(resolved);
    try {
      return await attempt(resolved, peer, encryption);
    } catch (error) {
      const failure = error as PgmonetaError;
      // Only a refusal by pg_hba.conf may be different with (or without) TLS; the other way was already the same.
      const again = failure.code === 'POSTGRES_NO_HBA_ENTRY' && refused === undefined;
      if (!again || (encryption === 'if offered' && !peer.encrypted)) throw refused ?? failure;
      refused = failure;
    }
  }
  throw refused;
}

async function attempt(options: ResolvedOptions, peer: Peer, encryption: Encryption): Promise<Connection> {
  const deadline = new AbortController();
  const progress = { stage: 'connecting' };
  let expired: PgmonetaError | undefined;
  const expire = (error: PgmonetaError): void => {
    expired ??= error;
    deadline.abort(error);
  };
  const timer = setTimeout(
    () => expire(connectTimeout(peer, options.connectTimeout, progress.stage)),
    options.connectTimeout * 1000,
  );
  const cancelled = (): void => expire(cancelledError(peer));
  if (options.signal?.aborted) cancelled();
  options.signal?.addEventListener('abort', cancelled);
  try {
    return await logIn(options, peer, encryption, deadline.signal, progress);
  } catch (error) {
    throw expired ?? fromConnect(error, peer);
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener('abort', cancelled);
  }
}

function cancelledError(peer: Peer): PgmonetaError {
  return new PgmonetaError('CANCELLED', `connecting to ${describePeer(peer)} was cancelled`, {
    context: contextOf(peer),
  });
}

async function logIn(
  options: ResolvedOptions,
  peer: Peer,
  encryption: Encryption,
  deadline: AbortSignal,
  progress: { stage: string },
): Promise<Connection> {
  deadline.throwIfAborted();
  const transport = await openTransport(options, peer, encryption, deadline);
  progress.stage = 'authenticating';
  const session = new Session(transport, peer);
  const end = (): void => session.destroy(deadline.reason as Error);
  deadline.addEventListener('abort', end);
  try {
    const authentication = new Authentication(options, peer, transport.binding);
    const greeting = await greet(session, authentication, startupMessage(options));
    const connection = new Connection(session, options, greeting);
    refuseOld(connection);
    watch(connection, session, options.signal);
    return connection;
  } catch (error) {
    session.destroy();
    throw error;
  } finally {
    deadline.removeEventListener('abort', end);
  }
}

function startupMessage(options: ResolvedOptions): Buffer {
  const { user, database, applicationName, replication, statementTimeout } = options;
  return serialize.startup({
    user,
    database,
    application_name: applicationName,
    DateStyle: 'ISO',
    ...(replication ? { replication: 'true' } : {}),
    ...(replication || statementTimeout === 0 ? {} : { statement_timeout: String(statementTimeout * 1000) }),
  });
}

/** The dialogue from the startup message to the first ReadyForQuery. */
function greet(session: Session, authentication: Authentication, startup: Buffer): Promise<Greeting> {
  const { peer } = session;
  const parameters = new Map<string, string>();
  let key = { processID: 0, secretKey: 0 };
  return new Promise((resolve, reject) => {
    const take = (message: BackendMessage): void => {
      if (message.name === 'error') {
        reject(fromServer(message as unknown as DatabaseError, peer));
        session.destroy();
      } else if (message.name === 'parameterStatus') {
        const { parameterName, parameterValue } = message as ParameterStatusMessage;
        parameters.set(parameterName, parameterValue);
      } else if (message.name === 'backendKeyData') {
        key = message as BackendKeyDataMessage;
      } else if (message.name === 'readyForQuery') {
        session.listener = null;
        resolve({ parameters, processId: key.processID, secretKey: key.secretKey });
      } else {
        const answer = authentication.answer(message);
        if (answer) session.send(answer);
      }
    };
    session.listener = {
      message: take,
      lost: (error) => reject(error instanceof PgmonetaError ? error : connectionLost(peer, 'the login', error)),
    };
    session.send(startup);
  });
}

function refuseOld(connection: Connection): void {
  const { version, peer } = connection;
  if (version.major >= OLDEST_MAJOR) return;
  throw new PgmonetaError(
    'POSTGRES_TOO_OLD',
    `${describePeer(peer)} is PostgreSQL ${version.text}; pgmoneta needs ${OLDEST_MAJOR} or newer`,
    {
      hint: `upgrade the server, or remove ${sectionOf(peer)}`,
      context: contextOf(peer),
    },
  );
}

/** Ties the life of the connection to the signal. */
function watch(connection: Connection, session: Session, signal: AbortSignal | undefined): void {
  if (signal === undefined) return;
  const end = (): void => {
    const message = `the work with ${describePeer(connection.peer)} was cancelled`;
    connection.abort(new PgmonetaError('CANCELLED', message, { context: contextOf(connection.peer) }));
  };
  signal.addEventListener('abort', end, { once: true });
  session.transport.socket.once('close', () => signal.removeEventListener('abort', end));
}

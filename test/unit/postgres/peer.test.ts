import { describe, expect, it } from 'vitest';
import { addressOf, describePeer, hbaLine, type Peer, sectionOf, socketPath } from '../../../src/postgres/peer.js';

const peer: Peer = { host: 'db1', port: 5432, user: 'repl', database: 'postgres', replication: false };

describe('naming a server', () => {
  it('names host, address, socket', () => {
    expect(addressOf(peer)).toBe('db1:5432');
    expect(addressOf({ host: '::1', port: 1 })).toBe('[::1]:1');
    expect(addressOf({ host: '/run/postgresql/', port: 5433 })).toBe('socket /run/postgresql/.s.PGSQL.5433');
    expect(socketPath('/', 1)).toBe('/.s.PGSQL.1');
    expect(describePeer(peer)).toBe('the server at db1:5432');
    expect(describePeer({ ...peer, server: 'a' })).toBe('server a (db1:5432)');
    expect(sectionOf({ ...peer, server: 'a' })).toBe('[a] in pgmoneta.conf');
  });

  it.each([
    [{ localAddress: '10.0.0.7' }, 'host postgres repl 10.0.0.7/32 scram-sha-256'],
    [{ localAddress: '::ffff:10.0.0.7', encrypted: true }, 'hostssl postgres repl 10.0.0.7/32 scram-sha-256'],
    [{ localAddress: 'fe80::1%eth0', replication: true }, 'host replication repl fe80::1/128 scram-sha-256'],
    [{ host: '/run', replication: true }, 'local replication repl scram-sha-256'],
    [{}, 'host postgres repl <address of this host>/32 scram-sha-256'],
    [{ host: '/run', user: 'my user' }, 'local postgres "my user" scram-sha-256'],
    [{ host: '/run', user: 'all' }, 'local postgres "all" scram-sha-256'],
  ])('writes the line for pg_hba.conf: %j', (change, line) => {
    expect(hbaLine({ ...peer, ...change })).toBe(line);
  });
});

import { describe, expect, it } from 'vitest';
import { PgmonetaError } from '../../../src/errors/index.js';
import { COMMAND_NAMES, COMMANDS, commandOf } from '../../../src/management/commands.js';
import {
  failureDocument,
  outcomeTime,
  progressDocument,
  readProgress,
  requestDocument,
  successDocument,
  timestamp,
} from '../../../src/management/documents.js';
import { readJson, writeJson } from '../../../src/management/json/index.js';
import { PRODUCT_VERSION } from '../../../src/management/version.js';

const moment = new Date(2026, 0, 2, 3, 4, 5);

describe('documents', () => {
  it('have a header with codes as numbers and local time', () => {
    const options = {
      command: 'backup',
      compression: 0,
      encryption: 0,
      output: 1,
      progress: false,
      now: moment,
    } as const;
    expect(writeJson(requestDocument(options, { Server: 'primary', Backup: null }))).toBe(
      '{"Header":{"ClientVersion":"0.21.0","Command":1,"Compression":0,"Encryption":0,"Output":1,"Protocol":2,"Timestamp":"20260102030405"},"Request":{"Backup":null,"Server":"primary"}}',
    );
  });

  it('ask for progress frames only when they are wanted', () => {
    const options = { command: 'ping', compression: 0, encryption: 0, output: 0, progress: true } as const;
    expect(requestDocument(options, {}).Header).toMatchObject({ Protocol: 2, Progress: true });
    expect(requestDocument({ ...options, progress: false }, {}).Header).not.toHaveProperty('Progress');
  });

  it.each([
    [1.2, '00:00:0.0012'],
    [0, '00:00:0.0000'],
    [3_753_456.7, '01:02:33.4567'],
    [59_999.99, '00:00:59.9999'],
    [360_000_000, '100:00:0.0000'],
  ])('print %f ms as %s', (milliseconds, text) => {
    expect(outcomeTime(milliseconds)).toBe(text);
  });

  it('echo Header and Request in a reply, and add both versions', () => {
    const reply = successDocument({ Header: { Command: 9 }, Request: {} }, {}, 1.2);
    expect(reply).toEqual({
      Header: { Command: 9 },
      Request: {},
      Response: { ServerVersion: '0.21.0', ProductVersion: PRODUCT_VERSION },
      Outcome: { Status: true, Time: '00:00:0.0012' },
    });
    expect('Response' in successDocument({}, undefined, 1)).toBe(false);
  });

  it('tell a failure with number, workflow, message and hint', () => {
    const error = new PgmonetaError('BACKUP_OFFLINE', "server 'primary' is offline");
    const reply = failureDocument({ Request: { Server: 'primary' } }, 'backup', error);
    expect(reply.Outcome).toEqual({
      Error: 110,
      Status: false,
      Workflow: 'main',
      Message: "server 'primary' is offline",
      Hint: 'bring it back with: pgmoneta-cli mode <server> online',
    });
    expect(reply.Response).toMatchObject({ Server: 'primary', ServerVersion: '0.21.0' });
  });

  it('give an error without a number that of the verb', () => {
    const reply = failureDocument({}, 'restore', new PgmonetaError('NO_SPACE', 'full', { retryable: true }));
    expect(reply.Outcome).toMatchObject({ Error: 609, Workflow: 'restore', Retryable: true });
    const step = failureDocument({}, 'backup', new PgmonetaError('IO', 'x', { workflow: 'Manifest' }));
    expect(step.Outcome).toMatchObject({ Error: 113, Workflow: 'Manifest' });
  });

  it('carry progress there and back', () => {
    const report = { phase: 'copying', done: 5, total: 10, unit: 'bytes', rate: 2.5, elapsed: 2, remaining: undefined };
    expect(readProgress(readJson(writeJson(progressDocument(report))))).toEqual(report);
    expect(readProgress({ Outcome: {} })).toBeUndefined();
  });

  it('print local time in fourteen digits', () => {
    expect(timestamp(moment)).toBe('20260102030405');
  });
});

describe('the command table', () => {
  it('has one code for each name', () => {
    const codes = COMMAND_NAMES.map((name) => COMMANDS[name].code);
    expect(new Set(codes).size).toBe(codes.length);
    expect(commandOf(24, {})).toBe('mode');
    expect(commandOf(99, {})).toBeUndefined();
  });

  it('never takes a restore of a later version for a delete', () => {
    expect(commandOf(201, { S3Prefix: 'a', Directory: '/x' })).toBe('s3 restore');
    expect(commandOf(201, { S3Prefix: 'a' })).toBe('s3 delete');
    expect(commandOf(202, {})).toBe('s3 restore');
  });
});

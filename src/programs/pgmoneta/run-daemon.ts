import { asPgmonetaError, PgmonetaError } from '../../errors/index.js';
import { type CommandInput, command } from '../shared/declare.js';
import { EXIT } from '../shared/exit-codes.js';

export default command({
  summary: 'Run the daemon',
  description:
    'Runs in the foreground unless -d is given. SIGTERM and SIGINT stop it in order, SIGHUP reads the configuration again.',
  examples: ['<%= config.bin %> -c /etc/pgmoneta/pgmoneta.conf', '<%= config.bin %> -D /etc/pgmoneta -d'],
  run: start,
});

async function start({ flags }: CommandInput): Promise<number> {
  if (process.getuid?.() === 0 && !flags.has('allow-root')) {
    throw new PgmonetaError('USAGE', 'the daemon does not run as root', {
      hint: 'run it as a user of its own, for example pgmoneta; --allow-root overrides this',
    });
  }
  const { runDaemon } = await import('../../daemon/index.js');
  try {
    return await runDaemon({
      ...given('config', flags.text('config')),
      ...given('users', flags.text('users')),
      ...given('admins', flags.text('admins')),
      ...given('directory', flags.text('directory')),
      daemonize: flags.has('daemon'),
      lenient: flags.has('lenient'),
    });
  } catch (error) {
    // A daemon that cannot start ends with 1, as service managers and scripts know it from 0.21.
    const { message, hint } = asPgmonetaError(error);
    process.stderr.write(`pgmoneta: ${message}\n${hint === undefined ? '' : `hint: ${hint}\n`}`);
    return EXIT.usage;
  }
}

function given<K extends string>(key: K, value: string | undefined): { [P in K]?: string } {
  return value === undefined ? {} : ({ [key]: value } as { [P in K]?: string });
}

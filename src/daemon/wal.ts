import { type Configuration, effectiveServer } from '../config/index.js';
import { asPgmonetaError } from '../errors/index.js';
import type { JsonObject } from '../jobs/messages.js';
import type { StoreOptions } from '../native/wal-writer.js';
import { codecOf } from '../repository/codes.js';
import { serverPaths, shippingPath } from '../repository/paths.js';
import type { LiveWal } from '../wal/coverage.js';
import { Limit, SegmentKeeper } from '../wal/keeper.js';
import { WalReceiver } from '../wal/receiver.js';
import type { ReceiverState } from '../wal/receiver-state.js';
import { WalShipper } from '../wal/shipping.js';
import type { Log } from './log.js';
import { receiverFields } from './receiver-fields.js';

/** Segments that are compressed and sealed at a time, of all servers together. */
const STORING = 2;
/** How often it is looked at whether a stand-in has to step in or back, in milliseconds. */
const FOLLOW_INTERVAL = 5000;
/** How long a server may be without a receiver before its stand-in steps in, in milliseconds. */
const FOLLOW_PATIENCE = 30_000;

/** What receivers need of the daemon. */
export interface WalServiceOptions {
  readonly configuration: () => Configuration;
  readonly passwordOf: (user: string) => string | undefined;
  readonly masterSecret: () => Buffer | undefined;
  readonly isOnline: (server: string) => boolean;
  readonly log: Log;
}

interface Received {
  readonly receiver: WalReceiver;
  readonly keeper: SegmentKeeper;
  /** Keeps the second copy; undefined without `wal_shipping`. */
  readonly shipper: WalShipper | undefined;
  /** Since when the server has not been streaming, by the clock that never jumps; undefined while it is. */
  downSince: number | undefined;
}

/** One receiver of WAL for each server, and what becomes of finished segments. */
export class WalService {
  readonly #options: WalServiceOptions;
  readonly #limit = new Limit(STORING);
  readonly #servers = new Map<string, Received>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: WalServiceOptions) {
    this.#options = options;
  }

  /** Starts the receivers of all servers that are online and stand in for nobody. */
  async start(): Promise<void> {
    for (const { name } of this.#options.configuration().servers) {
      const received = this.#make(name);
      this.#servers.set(name, received);
      try {
        await received.keeper.sweep();
        await received.keeper.scan();
      } catch (error) {
        this.#options.log.error(`WAL of ${name}: ${asPgmonetaError(error).message}`);
      }
    }
    this.#adjust();
    this.#timer = setInterval(() => this.#adjust(), FOLLOW_INTERVAL);
    this.#timer.unref();
  }

  /** The state of a server's receiver; undefined for one that was added after the start. */
  state(server: string): ReceiverState | undefined {
    return this.#servers.get(server)?.receiver.state;
  }

  /** What the receiver knows of the segment that it writes. */
  live(server: string): LiveWal | undefined {
    const state = this.state(server);
    if (state?.timeline === undefined || state.durable === undefined) return undefined;
    return { timeline: state.timeline, durable: state.durable, newest: state.caughtUpAt };
  }

  /** What `status` shows of a receiver. */
  describe(server: string): JsonObject | undefined {
    const received = this.#servers.get(server);
    if (received === undefined) return undefined;
    const { receiver, keeper, shipper } = received;
    return receiverFields(receiver.state, { store: keeper.problem, shipping: shipper?.problem }, new Date());
  }

  /** The operator has set a server online or offline. */
  async modeChanged(server: string, online: boolean): Promise<void> {
    const received = this.#servers.get(server);
    if (received === undefined) return;
    if (!online) await received.receiver.stop(`server ${server} was set offline`);
    received.downSince = undefined;
    this.#adjust();
  }

  /** Stops everything; what was received is durable when it settles. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    const all = [...this.#servers.values()];
    await Promise.all(all.map(({ receiver }) => receiver.stop('the daemon is shutting down')));
    await Promise.all(all.flatMap(({ keeper, shipper }) => [keeper.close(), shipper?.close()]));
  }

  #make(name: string): Received {
    const { configuration, passwordOf, masterSecret, log } = this.#options;
    const paths = serverPaths(configuration().main.base_dir, name);
    const keeper = new SegmentKeeper({
      server: name,
      directory: paths.wal,
      form: () => this.#form(),
      limit: this.#limit,
      log,
    });
    const { wal_shipping: shipping } = effectiveServer(configuration(), name);
    const shipper = shipping
      ? new WalShipper({ server: name, source: paths.wal, target: shippingPath(shipping, name), masterSecret, log })
      : undefined;
    const receiver = new WalReceiver({
      server: () => ({ ...configuration().main, ...effectiveServer(configuration(), name) }),
      password: () => passwordOf(effectiveServer(configuration(), name).user),
      paths,
      log,
      onFinished: (names) => keeper.add(names),
      onDurable: (wal, finished) => shipper?.advance(wal, finished),
    });
    return { receiver, keeper, shipper, downSince: undefined };
  }

  #form(): StoreOptions | undefined {
    const { main } = this.#options.configuration();
    const codec = codecOf(main.compression);
    const cipher = main.encryption === 'none' ? undefined : main.encryption;
    if (codec === 'none' && cipher === undefined) return undefined;
    const masterSecret = this.#options.masterSecret();
    return {
      codec,
      level: main.compression_level ?? 0,
      ...(cipher === undefined ? {} : { cipher }),
      ...(masterSecret === undefined ? {} : { masterSecret }),
    };
  }

  /** Starts what should run and stops what should not: a stand-in runs only while the server it follows does not. */
  #adjust(): void {
    const { configuration, isOnline } = this.#options;
    const now = performance.now();
    for (const [, received] of this.#servers) {
      received.downSince = received.receiver.state.phase === 'streaming' ? undefined : (received.downSince ?? now);
    }
    for (const { name, follow } of configuration().servers) {
      const received = this.#servers.get(name);
      if (received === undefined || !isOnline(name)) continue;
      const followed = follow ? this.#servers.get(follow) : undefined;
      const needed = followed === undefined || this.#isDown(follow as string, followed, now);
      if (needed) received.receiver.start();
      else if (received.receiver.state.phase !== 'stopped') {
        this.#options.log.info(`server ${follow} streams again: ${name} steps back`);
        void received.receiver.stop(`server ${follow} streams again`);
      }
    }
  }

  #isDown(name: string, { downSince }: Received, now: number): boolean {
    return !this.#options.isOnline(name) || (downSince !== undefined && now - downSince >= FOLLOW_PATIENCE);
  }
}

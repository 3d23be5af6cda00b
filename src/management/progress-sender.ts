import type { ProgressReport } from './documents.js';

/** The least time between two progress frames, in milliseconds: at most five a second. */
const INTERVAL = 200;

/** Thins out progress: of the reports within one interval only the newest is sent. */
export class ProgressSender {
  private newest: ProgressReport | undefined;
  private timer: NodeJS.Timeout | undefined;
  private lastSent = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly send: (report: ProgressReport) => void,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** Takes a report; it is sent at once, or when the interval is over. */
  report(report: ProgressReport): void {
    this.newest = report;
    if (this.timer !== undefined) return;
    const wait = this.lastSent + INTERVAL - this.now();
    if (wait <= 0) this.flush();
    else this.timer = setTimeout(() => this.flush(), wait).unref();
  }

  /** Drops what was not sent yet: the final reply says more. */
  stop(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.newest = undefined;
  }

  private flush(): void {
    this.timer = undefined;
    const { newest } = this;
    this.newest = undefined;
    if (newest === undefined) return;
    this.lastSent = this.now();
    this.send(newest);
  }
}

import type { ProgressReport } from '../../management/documents.js';
import { formatSize } from './render/size.js';

/** The least time between two drawings, in milliseconds. */
const INTERVAL = 200;
const BAR_CELLS = 20;

/** The line of a report, cut to the width of the terminal. */
export function progressLine(report: ProgressReport, columns: number): string {
  const { done, total, unit } = report;
  const amount = (value: number) => (unit === 'bytes' ? formatSize(value) : `${Math.round(value)}`);
  const known = total > 0;
  const share = known ? Math.min(1, done / total) : 0;
  const cells = Math.round(share * BAR_CELLS);
  const parts = [
    report.phase,
    known ? `[${'#'.repeat(cells)}${'.'.repeat(BAR_CELLS - cells)}]` : undefined,
    known ? `${Math.floor(share * 100)}%` : undefined,
    known ? `${amount(done)}/${amount(total)}${unit === 'bytes' ? '' : ` ${unit}`}` : `${amount(done)}`,
    report.rate === undefined ? undefined : `${amount(report.rate)}/s`,
    report.remaining === undefined ? undefined : `${clock(report.remaining)} left`,
  ].filter((part) => part !== undefined);
  // The bar goes first when the terminal is narrow: the figures say the same.
  if (parts.join(' ').length >= columns) parts.splice(known ? 1 : parts.length, 1);
  return parts.join(' ').slice(0, Math.max(0, columns - 1));
}

/** `[hours:]minutes:seconds`. */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const minutes = Math.floor(whole / 60) % 60;
  const parts = [Math.floor(whole / 3600), minutes, whole % 60].map((part) => String(part).padStart(2, '0'));
  return parts[0] === '00' ? parts.slice(1).join(':') : parts.join(':');
}

/** Where the bar is drawn. */
export interface Terminal {
  readonly columns?: number | undefined;
  write(text: string): unknown;
}

/** One line on a terminal that is drawn over and over, and taken away at the end. */
export class ProgressBar {
  private lastDrawn = Number.NEGATIVE_INFINITY;
  private visible = false;

  constructor(
    private readonly terminal: Terminal,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** Draws a report, unless the last drawing is too recent. */
  update(report: ProgressReport): void {
    if (this.now() - this.lastDrawn < INTERVAL) return;
    this.lastDrawn = this.now();
    this.visible = true;
    this.terminal.write(`\r${progressLine(report, this.terminal.columns || 80)}\x1b[K`);
  }

  /** Takes the line away. */
  clear(): void {
    if (!this.visible) return;
    this.visible = false;
    this.terminal.write('\r\x1b[K');
  }
}

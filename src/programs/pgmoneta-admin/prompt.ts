import { PgmonetaError } from '../../errors/index.js';

/** The part of standard input that is used. */
export interface PromptInput extends NodeJS.EventEmitter {
  readonly isTTY?: boolean | undefined;
  setRawMode?(raw: boolean): unknown;
  resume(): unknown;
  pause(): unknown;
}

/** Where questions are written. */
export interface PromptOutput {
  write(text: string): unknown;
}

const CTRL_C = '\x03';
const CTRL_D = '\x04';
const CTRL_U = '\x15';
const BACKSPACES = '\b\x7f';
const ERASE = '\b \b';
const ENDINGS = ['end', 'close', 'error'] as const;

/** Asks on the terminal; without one, takes the answers from the lines of standard input. */
export class Prompter {
  private buffered = '';
  private ended = false;
  private wake: () => void = () => undefined;
  private readonly end = () => {
    this.ended = true;
    this.wake();
  };
  /** A character may be torn between two reads. */
  private readonly decoder = new TextDecoder('utf-8');

  constructor(
    private readonly input: PromptInput,
    private readonly output: PromptOutput,
  ) {
    // The end may be told between two questions.
    for (const event of ENDINGS) input.on(event, this.end);
  }

  /**
   * Asks for one line.
   * @param hidden whether what is typed stays unseen
   * @throws PgmonetaError ADMIN_REFUSED at the end of input, CANCELLED on Ctrl-C
   */
  async ask(question: string, hidden: boolean): Promise<string> {
    const terminal = this.input.isTTY === true;
    // Before the question: whoever answers at once must not be echoed either.
    if (terminal) this.input.setRawMode?.(true);
    this.output.write(question);
    try {
      const answer = terminal ? await this.typed(hidden) : await this.line();
      if (answer === undefined) {
        throw new PgmonetaError('ADMIN_REFUSED', `the input ended where '${question.trim()}' was to be answered`, {
          hint: 'give the answer with an option, or in PGMONETA_PASSWORD',
        });
      }
      return answer;
    } finally {
      if (terminal) this.input.setRawMode?.(false);
      this.output.write('\n');
    }
  }

  /** Lets the process end. */
  close(): void {
    for (const event of ENDINGS) this.input.off(event, this.end);
    this.input.pause();
  }

  private async typed(hidden: boolean): Promise<string | undefined> {
    const characters: string[] = [];
    for (;;) {
      const character = await this.character();
      if (character === undefined || character === '\r' || character === '\n') return characters.join('');
      if (character === CTRL_D) return characters.length === 0 ? undefined : characters.join('');
      if (character === CTRL_C) throw new PgmonetaError('CANCELLED', 'cancelled; nothing was changed');
      if (BACKSPACES.includes(character)) {
        if (characters.pop() !== undefined && !hidden) this.output.write(ERASE);
      } else if (character === CTRL_U) {
        if (!hidden) this.output.write(ERASE.repeat(characters.length));
        characters.length = 0;
      } else if (character >= ' ') {
        characters.push(character);
        if (!hidden) this.output.write(character);
      }
    }
  }

  private async line(): Promise<string | undefined> {
    for (;;) {
      const end = this.buffered.indexOf('\n');
      if (end >= 0) {
        const line = this.buffered.slice(0, end);
        this.buffered = this.buffered.slice(end + 1);
        return line.replace(/\r$/, '');
      }
      if (this.ended) {
        const rest = this.buffered;
        this.buffered = '';
        return rest === '' ? undefined : rest;
      }
      await this.more();
    }
  }

  private async character(): Promise<string | undefined> {
    while (this.buffered === '' && !this.ended) await this.more();
    const [first] = this.buffered;
    if (first !== undefined) this.buffered = this.buffered.slice(first.length);
    return first;
  }

  /** Waits for more input, or for its end. */
  private more(): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.input.off('data', data);
        this.wake = () => undefined;
        this.input.pause();
        resolve();
      };
      const data = (chunk: Buffer) => {
        this.buffered += this.decoder.decode(chunk, { stream: true });
        done();
      };
      this.wake = done;
      this.input.on('data', data);
      this.input.resume();
    });
  }
}

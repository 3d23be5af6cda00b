/**
 * Declarations of commands. They have the shape of oclif's commands, flags and arguments, so that oclif finds, lists,
 * documents and completes them; but they are plain values, because loading oclif takes longer than most commands.
 */

/** An option that takes a value. */
export interface ValueFlag {
  readonly type: 'option';
  readonly char?: string;
  readonly description: string;
  /** The value in help: `FILE`. */
  readonly helpValue: string;
  /** The words that are allowed; without them any text is. */
  readonly options?: readonly string[];
  /** May be given several times. */
  readonly multiple?: boolean;
}

/** An option that is there or not. */
export interface SwitchFlag {
  readonly type: 'boolean';
  readonly char?: string;
  readonly description: string;
}

export type Flag = ValueFlag | SwitchFlag;

/** A positional argument. */
export interface Argument {
  readonly description: string;
  readonly required: boolean;
  readonly options?: readonly string[];
}

/** What was given on the command line. */
export interface CommandInput {
  /** Values by name of the argument; absent ones are undefined. */
  readonly args: Readonly<Record<string, string | undefined>>;
  readonly flags: FlagValues;
}

/** Values of options, by name. */
export class FlagValues {
  constructor(private readonly values: ReadonlyMap<string, readonly string[]>) {}

  /** The value of an option; of several, the last. */
  text(name: string): string | undefined {
    return this.values.get(name)?.at(-1);
  }

  /** All values of an option that may be repeated. */
  list(name: string): readonly string[] {
    return this.values.get(name) ?? [];
  }

  /** Whether an option was given. */
  has(name: string): boolean {
    return this.values.has(name);
  }
}

/** What a command file declares. */
export interface CommandDeclaration {
  /** One line, without a full stop. */
  readonly summary: string;
  /** More lines, for help and manual. */
  readonly description?: string;
  readonly args?: Readonly<Record<string, Argument>>;
  /** Options of this command, beside those that all commands of the program have. */
  readonly flags?: Readonly<Record<string, Flag>>;
  readonly examples: readonly string[];
  /** Does the work. @returns the exit code */
  readonly run: (input: CommandInput) => Promise<number>;
}

/** A command: what its file declares. */
export interface ProgramCommand extends Omit<CommandDeclaration, 'args' | 'flags'> {
  readonly args: Readonly<Record<string, Argument>>;
  readonly flags: Readonly<Record<string, Flag>>;
}

/** Declares a command. */
export function command(declaration: CommandDeclaration): ProgramCommand {
  return { args: {}, flags: {}, ...declaration };
}

/** A program: its commands by what the user types, each loaded when it is needed. */
export interface Program {
  /** Name of the executable. */
  readonly name: string;
  readonly summary: string;
  /** Options that every command has. */
  readonly flags: Readonly<Record<string, Flag>>;
  /** Options of single commands, so that options before the command are understood before it is loaded. */
  readonly commandFlags: Readonly<Record<string, Flag>>;
  /** By words: `status`, `status details`. The empty text is the command of a program without commands. */
  readonly commands: Readonly<Record<string, () => Promise<{ readonly default: ProgramCommand }>>>;
  /** First words that are no command of their own, with their summary. */
  readonly topics: Readonly<Record<string, string>>;
}

/** The arguments of a command as usage shows them: `<server> [<identifier>]`. */
export function usageOf(args: Readonly<Record<string, Argument>>): string {
  return Object.entries(args)
    .map(([name, argument]) => {
      const shown = argument.options === undefined ? `<${name}>` : argument.options.join('|');
      return argument.required ? shown : `[${shown}]`;
    })
    .join(' ');
}

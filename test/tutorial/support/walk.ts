/**
 * Goes through the tutorial block by block and keeps account: a block that nobody runs, or a
 * command that is left out, is a failure.
 */
import { it } from 'vitest';
import { type Block, type Command, readCommands, scriptOf } from './extract.ts';
import type { Stack } from './stack.ts';
import type { Outcome, RunOptions } from './terminal.ts';
import { titleOf } from './tutorial.ts';

export interface StepOptions {
  /** Without it the rest makes no sense: when it fails, what follows is skipped. */
  readonly essential?: boolean;
  readonly timeoutMs?: number;
}

const STEP_MS = 180_000;

export class Walk {
  readonly #blocks: readonly Block[];
  readonly #stack: () => Stack;
  readonly #accounted = new Set<string>();
  /** Blocks that are not typed. */
  readonly looks: Array<{ readonly title: string; readonly why: string }> = [];
  #broken: string | null = null;

  constructor(blocks: readonly Block[], stack: () => Stack) {
    this.#blocks = blocks;
    this.#stack = stack;
  }

  /** Registers the test of one block, which must type all of its commands in their order. */
  step(title: string, body: (block: OpenBlock, stack: Stack) => Promise<void>, options: StepOptions = {}): void {
    this.#account(title);
    this.check(
      title,
      async (stack) => {
        const block = new OpenBlock(this.#find(title), stack);
        await body(block, stack);
        block.close();
      },
      options,
    );
  }

  /** Registers a test of its own between the steps. */
  check(title: string, body: (stack: Stack) => Promise<void>, options: StepOptions = {}): void {
    it(
      title,
      async (context) => {
        if (this.#broken !== null) context.skip(`'${this.#broken}' has failed`);
        try {
          await body(this.#stack());
        } catch (error) {
          if (options.essential === true) this.#broken = title;
          throw await this.#stack().explain(error);
        }
      },
      options.timeoutMs ?? STEP_MS,
    );
  }

  /** A block that is not typed, and why not. */
  lookAt(title: string, why: string): void {
    this.#account(title);
    this.looks.push({ title, why });
  }

  /** Titles on one side only; both empty when the walk is the tutorial's. */
  account(): { readonly forgotten: readonly string[]; readonly unknown: readonly string[] } {
    const titles = this.#blocks.map(titleOf);
    return {
      forgotten: titles.filter((title) => !this.#accounted.has(title)),
      unknown: [...this.#accounted].filter((title) => !titles.includes(title)),
    };
  }

  #account(title: string): void {
    if (this.#accounted.has(title)) throw new Error(`two steps are called ${title}`);
    this.#accounted.add(title);
  }

  #find(title: string): Block {
    const block = this.#blocks.find((one) => titleOf(one) === title);
    if (block === undefined) throw new Error(`the tutorial has no block ${title}`);
    return block;
  }
}

export interface TypeOptions extends RunOptions {
  /** Default 0. */
  readonly code?: number;
  /** Put before a command that the tutorial gives without a place. */
  readonly where?: string;
}

export class OpenBlock {
  readonly text: string;
  readonly #stack: Stack;
  readonly #block: Block;
  readonly #commands: Command[];

  constructor(block: Block, stack: Stack) {
    this.text = block.text;
    this.#block = block;
    this.#stack = stack;
    this.#commands = block.language === 'bash' && scriptOf(block) === null ? [...readCommands(block)] : [];
  }

  /**
   * Types the next command, which must be the one meant. Throws when it is another, or ends with
   * another code.
   */
  async type(meant: RegExp, options: TypeOptions = {}): Promise<Outcome> {
    const command = this.#take(meant);
    const text = options.where === undefined ? command.text : `${options.where} ${command.text}`;
    const outcome = await this.#stack.type(text, { dialogue: promptsOf(command), ...options });
    if (outcome.code !== (options.code ?? 0)) throw new Error(`${text}\nended with ${outcome.code}:\n${outcome.output}`);
    return outcome;
  }

  /**
   * In the place of `sleep N`: waits until what it is there for has come about, N seconds at most;
   * twice as long on a machine that does other work. Resolves to the seconds it took.
   */
  async sleep(what: string, look: () => Promise<string | null>): Promise<number> {
    const command = this.#take(/^sleep \d+$/);
    const seconds = Number(/\d+/.exec(command.text)![0]);
    const begun = performance.now();
    await this.#stack.until(what, 2 * seconds * 1000, look);
    const took = (performance.now() - begun) / 1000;
    this.#stack.say(`${what}: after ${took.toFixed(1)} s of ${seconds}`);
    return took;
  }

  /** The next command is the reader's own business. */
  leaveOut(meant: RegExp): Command {
    return this.#take(meant);
  }

  /** A block that is a file of its own, saved under the name that it gives itself. */
  script(): { readonly name: string; readonly text: string } {
    const script = scriptOf(this.#block);
    if (script === null) throw new Error(`${titleOf(this.#block)} is no script`);
    return script;
  }

  close(): void {
    if (this.#commands.length > 0) throw new Error(`left out: ${this.#commands.map((command) => command.text).join('; ')}`);
  }

  #take(meant: RegExp): Command {
    const command = this.#commands.shift();
    if (command === undefined) throw new Error(`the block has no command more, but ${meant} was to come`);
    if (!meant.test(command.text)) throw new Error(`line ${command.line} was to be ${meant}; it is: ${command.text}`);
    return command;
  }
}

/** What a reader types at psql's prompt, and the way out. */
function promptsOf(command: Command): NonNullable<RunOptions['dialogue']> {
  const lines = command.typed.length === 0 ? [] : [...command.typed, '\\q'];
  return lines.map((answer) => ({ prompt: /^\S+[=-][#>] $/m, answer }));
}

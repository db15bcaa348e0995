/** A candidate in its own process, on the bench's side of the protocol in turn-protocol.ts. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import type { TurnReport } from './turn-protocol.js';

/** How a candidate is started. */
export interface TurnCommand {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
}

const STDERR_KEPT = 4000;

/** A started candidate; it does nothing between its turns. */
export class TurnProcess {
  readonly name: string;
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #lines: AsyncIterator<string>;
  readonly #reader: Interface;
  #stderr = '';

  /** Starts the process and waits until it has loaded and warmed up. Throws: an `Error` when it ends. */
  static async start(command: TurnCommand): Promise<TurnProcess> {
    const started = new TurnProcess(command);
    try {
      await started.#nextLine();
      return started;
    } catch (error) {
      await started.stop();
      throw error;
    }
  }

  private constructor({ name, command, args, env }: TurnCommand) {
    this.name = name;
    this.#child = spawn(command, args, { env, stdio: ['pipe', 'pipe', 'pipe'] });
    this.#child.on('error', (error) => {
      this.#stderr += String(error);
    });
    // A candidate that ends early closes its input; the missing answer is what gets reported.
    this.#child.stdin.on('error', () => undefined);
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-STDERR_KEPT);
    });
    this.#reader = createInterface({ input: this.#child.stdout });
    this.#lines = this.#reader[Symbol.asyncIterator]();
  }

  /** Runs one turn of `steps` steps. Throws: an `Error` when the process ends instead. */
  async takeTurn(steps: number): Promise<TurnReport> {
    this.#child.stdin.write(`${steps}\n`);
    return (await this.#nextLine()) as TurnReport;
  }

  /** Ends the process and waits for it. */
  async stop(): Promise<void> {
    const isRunning = this.#child.exitCode === null && this.#child.signalCode === null;
    if (isRunning && this.#child.pid !== undefined) {
      const ended = once(this.#child, 'exit');
      this.#child.kill();
      await ended;
    }
    this.#reader.close();
  }

  async #nextLine(): Promise<unknown> {
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error(`${this.name} ended early:\n${this.#stderr.trim()}`);
    return JSON.parse(value);
  }
}

/** Another process that has a store open: for tests of what two of them do to each other. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';

const PROGRAM = new URL('store-process.ts', import.meta.url).pathname;

/** What `store-process.ts` answers. */
export interface Answer {
  readonly addresses?: readonly string[];
  /** transactions that it made */
  readonly count?: number;
  readonly error?: { readonly code: number; readonly message: string };
}

export class OtherProcess implements Disposable {
  private readonly child: ChildProcess;
  private readonly lines: Interface;
  private readonly waiting: ((answer: Answer) => void)[] = [];

  constructor(folder: string) {
    this.child = spawn(process.execPath, [PROGRAM, folder], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.lines = createInterface({ input: this.child.stdout ?? process.stdin });
    this.lines.on('line', (line) => this.waiting.shift()?.(JSON.parse(line)));
  }

  /** Does one after another what it is told. */
  ask(...words: readonly (string | number)[]): Promise<Answer> {
    return new Promise((resolve) => {
      this.waiting.push(resolve);
      this.child.stdin?.write(`${words.join(' ')}\n`);
    });
  }

  kill(): Promise<unknown> {
    const ended = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    return ended;
  }

  [Symbol.dispose](): void {
    this.lines.close();
    this.child.kill('SIGKILL');
  }
}

import {
  closeSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { deserialize, serialize } from 'node:v8';
import { asCniError, CniError } from '../../../lib/cni/errors.ts';
import type { Native } from '../../../lib/netns/native.ts';
import { randomBytes } from '../../../lib/sys/random.ts';
import type { Asked } from '../engine.ts';
import type { Wish } from '../wish.ts';

/** What a step wants, without the call that wants it. */
export interface Wanted {
  readonly networkName: string;
  readonly asked: Asked;
  readonly isRelease: boolean;
  readonly wish: Wish;
}

/** What became of it: the answer of its plan. */
export type Outcome = PromiseSettledResult<unknown>;

/** What a call of this node wants, on paper: whoever's turn it is may serve it. */
export interface Ticket extends Disposable {
  /** undefined: nobody has served it */
  answer(): readonly Outcome[] | undefined;
  /** @returns false when somebody is serving it, or has died of it */
  withdraw(): boolean;
}

/** A ticket of somebody who waits. */
export interface Taken {
  readonly wanted: readonly Wanted[];
  /** Best effort: who hears of no answer serves itself. */
  answer(outcomes: readonly Outcome[]): void;
}

/** The lock of whose turn it is lies beside the tickets. */
export const TURN = 'turn';

const LOCK_EX = 2;
/** An answer that is older was for a call that has been killed. */
const FORGOTTEN_MS = 120_000;

/**
 * Tickets of the calls of a node: files in one folder. A call keeps its own locked, so that one of a dead call is known.
 * Nothing is synced: no call outlives the machine.
 *
 * `.wish` waits, `.taken` is being served, `.answer` was served.
 */
export class Tickets {
  private readonly folder: string;
  private readonly native: Pick<Native, 'lock'>;
  /** of the build and the store: others' tickets are for others */
  private readonly mark: string;

  constructor(folder: string, native: Pick<Native, 'lock'>, mark: string) {
    this.folder = folder;
    this.native = native;
    this.mark = mark;
  }

  /** @throws the system's error; nothing is left then */
  post(wanted: readonly Wanted[]): Ticket {
    const name = `${String(Date.now()).padStart(15, '0')}-${randomBytes(6).toString('hex')}`;
    const path = (ending: string): string => join(this.folder, `${name}.${ending}`);
    const hidden = join(this.folder, `.${name}`);
    const fd = openSync(hidden, 'wx', 0o600);
    try {
      writeFileSync(fd, serialize({ mark: this.mark, wanted }));
      if (this.native.lock(fd, LOCK_EX) < 0) {
        throw new CniError('ioFailure', `cannot lock "${hidden}"`);
      }
      renameSync(hidden, path('wish'));
    } catch (error) {
      closeSync(fd);
      remove(hidden);
      throw error;
    }
    let isOpen = true;
    return {
      answer: () => read<readonly StoredOutcome[]>(path('answer'))?.map(outcomeOf),
      withdraw: () => remove(path('wish')),
      [Symbol.dispose]: () => {
        for (const ending of isOpen ? ['wish', 'taken', 'answer'] : []) {
          remove(path(ending));
        }
        if (isOpen) {
          closeSync(fd);
        }
        isOpen = false;
      },
    };
  }

  /** What others want, who came first first. Only for whose turn it is: what it takes nobody else serves. */
  take(most: number): readonly Taken[] {
    const taken: Taken[] = [];
    let room = most;
    for (const file of list(this.folder)) {
      const path = join(this.folder, file);
      const isTicket = /\.(wish|taken)$/.test(file);
      if (!isTicket && file !== TURN) {
        removeOld(path);
      }
      const ticket = !isTicket || this.isAbandoned(path) ? undefined : read<StoredTicket>(path);
      if (ticket === undefined || ticket.mark !== this.mark || ticket.wanted.length > room) {
        continue;
      }
      const stem = path.slice(0, path.lastIndexOf('.'));
      if (move(path, `${stem}.taken`)) {
        room -= ticket.wanted.length;
        taken.push({ wanted: ticket.wanted, answer: (outcomes) => this.answer(stem, outcomes) });
      }
    }
    return taken;
  }

  private answer(stem: string, outcomes: readonly Outcome[]): void {
    try {
      const temporary = join(this.folder, `.${randomBytes(6).toString('hex')}`);
      writeFileSync(temporary, serialize(outcomes.map(storedOf)), { mode: 0o600 });
      renameSync(temporary, `${stem}.answer`);
    } catch {
      // a full disk: it will be served again, and finds what it has
    }
  }

  /** Nobody keeps it locked: its call is dead, and what it wants is not wanted any more. */
  private isAbandoned(path: string): boolean {
    let fd: number;
    try {
      fd = openSync(path, 'r+');
    } catch {
      return true;
    }
    try {
      return this.native.lock(fd, LOCK_EX) >= 0 && remove(path);
    } finally {
      closeSync(fd);
    }
  }
}

interface StoredTicket {
  readonly mark: string;
  readonly wanted: readonly Wanted[];
}

type StoredOutcome =
  | { readonly value: unknown }
  | { readonly code: number; readonly message: string; readonly details: string | undefined };

function storedOf(outcome: Outcome): StoredOutcome {
  if (outcome.status === 'fulfilled') {
    return { value: outcome.value };
  }
  const { code, message, details } = asCniError(outcome.reason);
  return { code, message, details };
}

function outcomeOf(stored: StoredOutcome): Outcome {
  if ('value' in stored) {
    return { status: 'fulfilled', value: stored.value };
  }
  const { code, message, details } = stored;
  return { status: 'rejected', reason: new CniError(code, message, details === undefined ? {} : { details }) };
}

/** Files appear whole, under their last names. */
function read<T>(path: string): T | undefined {
  try {
    return deserialize(readFileSync(path)) as T;
  } catch {
    return undefined;
  }
}

function list(folder: string): readonly string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}

function removeOld(path: string): void {
  const { mtimeMs } = statSync(path, { throwIfNoEntry: false }) ?? {};
  if (mtimeMs !== undefined && Date.now() - mtimeMs > FORGOTTEN_MS) {
    remove(path);
  }
}

function move(from: string, to: string): boolean {
  try {
    renameSync(from, to);
    return true;
  } catch {
    return false;
  }
}

function remove(path: string): boolean {
  try {
    unlinkSync(path);
    return true;
  } catch {
    return false;
  }
}

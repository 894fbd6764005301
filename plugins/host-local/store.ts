import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Attachment } from '../../lib/cni/call.ts';
import { asCniError, CODES, combineErrors, messageOf } from '../../lib/cni/errors.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { makeFolder } from '../../lib/sys/atomic-file.ts';
import { Joiner } from '../../lib/sys/joiner.ts';
import { FileLock } from '../../lib/sys/lock.ts';
import type { Slot } from '../../lib/sys/shared.ts';
import { AddressFolder, type Held } from './address-folder.ts';
import type { Owner } from './owners.ts';
import { type Reservation, reserve } from './reserve.ts';
import type { Candidate } from './rotation.ts';

/** The addresses of a network. Answers are in the files when they are given, but not synced: see the README. */
export interface Store {
  /** @throws what `reserve` throws; tryAgainLater, ioFailure */
  reserve(reservation: Reservation): Promise<readonly Candidate[]>;
  /** Gives back all that the attachment holds; nothing held is no failure. @throws CniError tryAgainLater, ioFailure */
  release(owner: Owner): Promise<readonly Held[]>;
  /** @throws CniError tryAgainLater, ioFailure */
  held(owner: Owner): Promise<readonly Held[]>;
  /** Gives back what no attachment holds that is valid. @throws CniError tryAgainLater, ioFailure */
  collect(valid: readonly Attachment[]): Promise<readonly string[]>;
}

interface Step {
  readonly caller: Scope;
  /** without the lock nothing of it can be done */
  readonly needsLock: boolean;
  /** the folder is made for it */
  readonly adds: boolean;
  /** @param isLocked nobody else changes the folder meanwhile */
  run(folder: AddressFolder, isLocked: boolean): unknown;
}

/** By folder: who waits for it. */
class Waiting implements Disposable {
  private readonly joiners = new Map<string, Joiner<Step, unknown>>();

  at(path: string): Joiner<Step, unknown> {
    const joiner = this.joiners.get(path) ?? new Joiner<Step, unknown>((steps) => serve(path, steps), MOST_STEPS);
    this.joiners.set(path, joiner);
    return joiner;
  }

  [Symbol.dispose](): void {
    this.joiners.clear();
  }
}

const WAITING: Slot<Waiting> = { make: () => new Waiting() };

/** What is done with one lock keeps the event loop, and other processes, waiting. */
const MOST_STEPS = 32;

/** The Go plugin locks the same file in the same way, and so does each of its callers wait for us. */
const LOCK = 'lock';

export function openStore(path: string, scope: Scope): Store {
  const ask = <T>(step: Pick<Step, 'needsLock' | 'adds'>, run: (folder: AddressFolder, isLocked: boolean) => T) =>
    // Others may be served with it: that its call is to end does not end them.
    scope.span('store', () =>
      scope.join(scope.node.shared(WAITING).at(path), { ...step, caller: scope.unending, run }),
    ) as Promise<T>;
  return {
    reserve: (reservation) => ask({ needsLock: true, adds: true }, (folder) => reserve(reservation, folder)),
    release: (owner) => ask({ needsLock: false, adds: false }, (folder, isLocked) => release(owner, folder, isLocked)),
    held: (owner) => ask({ needsLock: false, adds: false }, (folder) => folder.heldBy(owner)),
    collect: (valid) => ask({ needsLock: true, adds: false }, (folder) => collect(valid, folder)),
  };
}

function release(owner: Owner, folder: AddressFolder, isLocked: boolean): readonly Held[] {
  const held = folder.surelyHeldBy(owner);
  const left = isLocked ? folder.abandonedIfKnown() : [];
  takeBackAll(folder, [...held.map(({ name }) => name), ...left]);
  return held;
}

function collect(valid: readonly Attachment[], folder: AddressFolder): readonly string[] {
  const [attachments, containers] = [
    new Set(valid.map(({ containerID, ifname }) => `${containerID} ${ifname}`)),
    new Set(valid.map(({ containerID }) => containerID)),
  ];
  const isValid = ({ owner: { id, ifname } }: Held): boolean =>
    ifname === '' ? containers.has(id) : attachments.has(`${id} ${ifname}`);
  const invalid = folder.all().filter((held) => !isValid(held));
  const names = [...invalid.map(({ name }) => name), ...folder.abandoned()];
  takeBackAll(folder, names);
  return names;
}

/** What can be given back is. @throws CniError with all failures */
function takeBackAll(folder: AddressFolder, names: readonly string[]): void {
  const errors: unknown[] = [];
  for (const name of names) {
    try {
      folder.takeBack(name);
    } catch (error) {
      errors.push(error);
    }
  }
  const failure = combineErrors(errors);
  if (failure !== undefined) {
    throw failure;
  }
}

type Outcome = PromiseSettledResult<unknown>;

/** With one lock for all. Nothing waits while it is held. */
async function serve(path: string, steps: readonly Step[]): Promise<readonly Outcome[]> {
  const [caller, adds] = [steps[0]?.caller, steps.some((step) => step.adds)];
  if (caller === undefined) {
    return [];
  }
  let refusal: unknown;
  try {
    if (adds) {
      makeFolder(path, { mode: 0o755, sync: false });
    }
  } catch (error) {
    refusal = error;
  }
  if (!existsSync(path)) {
    return steps.map((step) => outcomeOf(step, new AddressFolder(path), refusal, false));
  }
  using lock = await FileLock.acquire(caller, join(path, LOCK)).catch((error: unknown) => {
    if (asCniError(error).code !== CODES.ioFailure) {
      throw error;
    }
    refusal ??= error;
    return undefined;
  });
  if (lock === undefined) {
    caller.log(`${messageOf(refusal)}: continuing without a lock`); // a full disk may have none, and pods must be able to go
  }
  const folder = new AddressFolder(path);
  const outcomes = steps.map((step) => outcomeOf(step, folder, refusal, lock !== undefined));
  if (lock !== undefined) {
    folder.finish();
  }
  return outcomes;
}

function outcomeOf(step: Step, folder: AddressFolder, refusal: unknown, isLocked: boolean): Outcome {
  if (refusal !== undefined && step.needsLock) {
    return { status: 'rejected', reason: refusal };
  }
  try {
    return { status: 'fulfilled', value: step.run(folder, isLocked) };
  } catch (reason) {
    return { status: 'rejected', reason };
  }
}

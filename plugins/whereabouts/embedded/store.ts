import type { Node } from '../../../lib/node/node.ts';
import { diskFor } from '../../../lib/sys/disk.ts';
import type { Holding } from '../../../lib/sys/shared.ts';
import type { Caller, Step, Store } from '../engine.ts';
import { transact } from '../transact.ts';
import { EmbeddedEngine, isDamage, isNoRoom } from './engine.ts';

/** The store of a folder of this node. */
export class EmbeddedStore implements Store {
  private readonly engine: EmbeddedEngine;

  constructor(dataDir: string, node: Node) {
    this.engine = new EmbeddedEngine(dataDir, node.openDatabase, () => node.native, diskFor(dataDir, node.disk));
  }

  serve(steps: readonly Step[]): Promise<readonly PromiseSettledResult<void>[]> {
    return serve(this.engine, steps);
  }

  async probe(_: Caller, look: () => Promise<void>): Promise<void> {
    this.engine.probe();
    await look();
  }

  holdings(): readonly Holding[] {
    return this.engine.taken().map(({ network, range, count }) => ({
      name: 'braid_pool_addresses',
      help: 'Addresses that are reserved in the stores of this node which calls have asked for.',
      type: 'gauge',
      labels: { store: this.engine.folder, network, range },
      value: count,
    }));
  }

  [Symbol.dispose](): void {
    this.engine[Symbol.dispose]();
  }
}

/** Together if that works, else one by one: a full disk or a damaged row that one meets is no reason to fail another. */
async function serve(engine: EmbeddedEngine, steps: readonly Step[]) {
  try {
    return await transact(engine, steps);
  } catch (error) {
    if (!isNoRoom(error) && !(isDamage(error) && steps.length > 1)) {
      throw error;
    }
  }
  const outcomes: PromiseSettledResult<void>[] = [];
  for (const step of steps) {
    outcomes.push(await serveAlone(engine, step));
  }
  return outcomes;
}

/** A release may use the space that is kept for it. */
async function serveAlone(engine: EmbeddedEngine, step: Step) {
  const attempt = async (): Promise<PromiseSettledResult<void>> => {
    try {
      const [outcome] = await transact(engine, [step]);
      return outcome ?? { status: 'fulfilled', value: undefined };
    } catch (reason) {
      return { status: 'rejected', reason };
    }
  };
  const outcome = await attempt();
  if (outcome.status === 'fulfilled' || !step.isRelease || !isNoRoom(outcome.reason)) {
    return outcome;
  }
  engine.makeRoom();
  const second = await attempt();
  engine.restoreRoom(step.caller);
  return second;
}

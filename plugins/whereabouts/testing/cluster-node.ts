import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CollectionPath, KubeApi } from '../../../lib/kube/api.ts';
import { clockOf } from '../../../lib/sys/clock.ts';
import { openDatabase } from '../../../lib/sys/database.ts';
import { KeyedMutex } from '../../../lib/sys/keyed-mutex.ts';
import { Hearers } from '../cluster/hearers.ts';
import { accessTo } from '../cluster/kube-access.ts';
import { recentsIn } from '../cluster/recent.ts';
import { SqliteJournal } from '../cluster/sqlite-journal.ts';
import { ClusterStore } from '../cluster/store.ts';
import type { Caller, Step } from '../engine.ts';
import { type Concurrency, DEFAULT_TIMING } from '../place.ts';
import { CALLER, releasing, reserving } from './steps.ts';

/** A node of a real cluster: its store, with a journal of its own, and what it has asked the server for. */
export class ClusterNode implements Disposable {
  readonly lines: string[] = [];
  readonly requests: string[] = [];
  /** of pools and reservations */
  readonly changes: Change[] = [];
  readonly caller: Caller;
  /** of its journal */
  readonly folder = mkdtempSync(join(tmpdir(), 'braid-node-'));
  private readonly turns = new KeyedMutex();
  private readonly store: ClusterStore;

  constructor(kubeconfig: string, concurrency: Concurrency = 'cas', lease = DEFAULT_TIMING) {
    this.caller = { ...clockOf(), log: (line) => this.lines.push(line), span: CALLER.span };
    const access = accessTo({ kubeconfig });
    this.store = new ClusterStore(
      { concurrency, lease },
      {
        access: {
          open: async () => counting(await access.open(), this),
          [Symbol.dispose]: () => access[Symbol.dispose](),
        },
        journal: new SqliteJournal({ dataDir: this.folder, kubeconfig }, openDatabase, this.caller),
        recents: recentsIn(this.folder),
        turns: {
          serve: async (steps, work) => {
            using _ = await this.turns.acquire('node');
            return await work(steps);
          },
        },
        hearers: new Hearers(),
      },
    );
  }

  /** `GET 1, PATCH 2`, and from now on they count anew. */
  counted(): string {
    const verbs = Map.groupBy(this.requests.splice(0), (verb) => verb);
    return [...verbs]
      .map(([verb, all]) => `${verb} ${all.length}`)
      .sort()
      .join(', ');
  }

  /** All interfaces of a pod in one round: `lab/p1 net0 id`. @returns an address for each */
  async add(who: readonly string[], range: string, protectOverlaps = true): Promise<readonly string[]> {
    const all = who.map((one) => reserving(one, [range], { caller: this.caller, protectOverlaps }));
    await this.served(all.map(({ step }) => step));
    return all.flatMap(({ given }) => given);
  }

  del(who: readonly string[], range: string): Promise<void> {
    return this.served(who.map((one) => releasing(one, [range], { caller: this.caller })));
  }

  private async served(steps: readonly Step[]): Promise<void> {
    const failed = (await this.store.serve(steps)).find(({ status }) => status === 'rejected');
    if (failed?.status === 'rejected') {
      throw failed.reason;
    }
  }

  [Symbol.dispose](): void {
    this.store[Symbol.dispose]();
    rmSync(this.folder, { recursive: true });
  }
}

/** A change that was asked for, and when. */
interface Change {
  readonly node: ClusterNode;
  readonly start: number;
  readonly end: number;
}

const VERBS = { get: 'GET', list: 'LIST', create: 'POST', patch: 'PATCH', delete: 'DELETE' } as const;

function counting(api: KubeApi, node: ClusterNode): KubeApi {
  return new Proxy(api, {
    get: (target, key) => {
      const verb = VERBS[key as keyof typeof VERBS];
      if (verb === undefined) {
        return Reflect.get(target, key) as unknown;
      }
      return async (...args: [CollectionPath, ...never[]]) => {
        node.requests.push(verb);
        const start = performance.now();
        try {
          return await (target[key as keyof typeof VERBS] as (...args: unknown[]) => Promise<unknown>)(...args);
        } finally {
          if (['POST', 'PATCH', 'DELETE'].includes(verb) && args[0].resource.plural !== 'leases') {
            node.changes.push({ node, start, end: performance.now() });
          }
        }
      };
    },
  });
}

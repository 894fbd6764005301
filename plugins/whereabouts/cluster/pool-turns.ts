import {
  ApiError,
  type CollectionPath,
  type JsonPatch,
  type KubeApi,
  type KubeObject,
  type ObjectPath,
} from '../../../lib/kube/api.ts';
import type { Caller } from '../engine.ts';

/** Then a call goes on without its turn: nothing depends on it but the work of the server. */
const LONGEST_MS = 20_000;
/** A holder that has not let go for so long is dead: a change that takes as long helps nobody anyway. */
const DEAD_MS = 5_000;
/** Each look costs the server, and all who wait look. */
const PAUSE_MS = { least: 40, more: 160 };
/** Who waits looks that often who it is waiting for. */
const TRIES_PER_LOOK = 6;

const [CREATED_MEANWHILE, NOT_FOUND, INVALID] = [409, 404, 422];

interface Lease extends KubeObject {
  readonly spec: { readonly holderIdentity?: string; readonly renewTime?: string };
}

/**
 * Nodes that change the same large pool take turns: its object is written as a whole, and the server does all over again
 * what another write overtakes, so eight that write at once take three times as long as one after another. Only where
 * changes were slow a moment ago: a turn costs two small requests.
 *
 * A Lease says whose turn it is. Nothing else depends on it: it may be lost, forbidden, or held by the dead.
 */
export class PoolTurns {
  private readonly api: KubeApi;
  private readonly caller: Caller;
  private readonly identity: string;
  private isPossible = true;

  /** @param identity of the call: nobody else has the same */
  constructor(api: KubeApi, caller: Caller, identity: string) {
    this.api = api;
    this.caller = caller;
    this.identity = identity;
  }

  /** @throws what `work` throws */
  async during<T>(pool: string, work: () => Promise<T>): Promise<T> {
    const path = leaseAt(this.api.namespace, pool);
    const isMine = this.isPossible && (await this.take(path));
    try {
      return await work();
    } finally {
      if (isMine) {
        await this.write(path, [test('/spec/holderIdentity', this.identity), ...holder('')]);
      }
    }
  }

  private async take(path: ObjectPath): Promise<boolean> {
    const deadline = this.caller.now() + LONGEST_MS;
    let seen = { holder: '', since: this.caller.now() };
    let expected = '';
    for (let tries = 1; this.caller.now() < deadline; tries++) {
      const taken = [test('/spec/holderIdentity', expected), ...holder(this.identity)];
      const status = await this.write(path, taken);
      if (status === NOT_FOUND ? await this.create(path) : status === undefined) {
        return true;
      }
      if (!this.isPossible) {
        return false;
      }
      expected = '';
      if (tries % TRIES_PER_LOOK === 0) {
        const now = await this.holderOf(path);
        seen = now === seen.holder ? seen : { holder: now, since: this.caller.now() };
        expected = this.caller.now() - seen.since > DEAD_MS ? seen.holder : '';
      }
      await this.caller.sleep(PAUSE_MS.least + Math.floor(Math.random() * PAUSE_MS.more));
    }
    return false;
  }

  /** @returns the status of a refusal; undefined when it was carried out */
  private async write(path: ObjectPath, body: JsonPatch): Promise<number | undefined> {
    try {
      await this.api.patch<Lease>(path, { type: 'json', body });
      return undefined;
    } catch (error) {
      return this.statusOf(error);
    }
  }

  private async create({ name, ...at }: ObjectPath): Promise<boolean> {
    try {
      const metadata = { name, ...(at.namespace === undefined ? {} : { namespace: at.namespace }) };
      const spec = { holderIdentity: this.identity, renewTime: now() };
      await this.api.create<Lease>(at, { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata, spec });
      return true;
    } catch (error) {
      this.statusOf(error);
      return false;
    }
  }

  /** @returns '' when nobody has it, or nobody can tell */
  private async holderOf(path: ObjectPath): Promise<string> {
    try {
      const { spec } = await this.api.get<Lease>(path);
      return spec.holderIdentity ?? '';
    } catch (error) {
      this.statusOf(error);
      return '';
    }
  }

  /** What nobody expects, such as a refusal of rights, ends the taking of turns. */
  private statusOf(error: unknown): number {
    const status = error instanceof ApiError ? (error.status ?? 0) : 0;
    this.isPossible &&= [CREATED_MEANWHILE, NOT_FOUND, INVALID].includes(status);
    return status;
  }
}

const leasesIn = (namespace: string): CollectionPath => ({
  resource: { group: 'coordination.k8s.io', version: 'v1', plural: 'leases' },
  namespace,
});

const leaseAt = (namespace: string, pool: string): ObjectPath => ({ ...leasesIn(namespace), name: `braid.${pool}` });

const test = (path: string, value: string): JsonPatch[number] => ({ op: 'test', path, value });

const holder = (identity: string): JsonPatch => [
  { op: 'replace', path: '/spec/holderIdentity', value: identity },
  { op: 'add', path: '/spec/renewTime', value: now() },
];

/** RFC 3339 with microseconds, as Kubernetes writes it. */
const now = (): string => new Date().toISOString().replace('Z', '000Z');

import { ApiError, type JsonPatch, type KubeApi } from '../../../lib/kube/api.ts';
import {
  type IpPool,
  poolAt,
  poolObject,
  poolsIn,
  reservationAt,
  reservationObject,
  reservationsIn,
} from '../cluster/objects.ts';

/** Which address of `10.0.0.0/26` belongs to a key. */
const addressOf = (key: number): string => `10.0.0.${key}`;
const RANGE = '10.0.0.0/26';
const NAME = '10.0.0.0-26';
const LAST = 62;
const TRIES = 100;

/**
 * The protocol of the Go plugin on one pool: everything is tested by the version of the object, the pool is changed before the
 * reservation is made, and a reservation is deleted without looking whose it is.
 */
export class GoModel {
  private readonly api: KubeApi;

  constructor(api: KubeApi) {
    this.api = api;
  }

  /** @returns undefined when the call fails */
  async add(id: string, podref: string, ifname: string): Promise<string | undefined> {
    const reserved = new Set<number>();
    for (let tries = 0; tries < TRIES; tries++) {
      const pool = await this.pool();
      const own = Object.entries(pool.spec.allocations ?? {}).find(
        ([, entry]) => entry.podref === podref && entry.ifname === ifname,
      );
      const key = own === undefined ? lowest(pool, reserved) : Number(own[0]);
      if (key === undefined) {
        return undefined;
      }
      const holder = await this.holder(addressOf(key));
      if (holder !== undefined && holder !== podref) {
        reserved.add(key);
        continue;
      }
      const path = `/spec/allocations/${key}`;
      const change: JsonPatch =
        own === undefined
          ? [
              { op: 'test', path, value: null },
              { op: 'add', path, value: { id, podref, ifname } },
            ]
          : own[1].id === id
            ? []
            : [{ op: 'replace', path: `${path}/id`, value: id }];
      if (!(await this.patch(pool, change))) {
        continue;
      }
      return holder === podref || (await this.reserve(addressOf(key), podref, ifname)) ? addressOf(key) : undefined;
    }
    return undefined;
  }

  async del(id: string, ifname: string): Promise<void> {
    for (let tries = 0; tries < TRIES; tries++) {
      const pool = await this.pool();
      const [key] =
        Object.entries(pool.spec.allocations ?? {}).find(([, entry]) => entry.id === id && entry.ifname === ifname) ??
        [];
      if (key === undefined) {
        return;
      }
      if (await this.patch(pool, [{ op: 'remove', path: `/spec/allocations/${key}` }])) {
        await this.api.delete(reservationAt(this.api.namespace, addressOf(Number(key)))).catch(() => undefined);
        return;
      }
    }
  }

  private async pool(): Promise<IpPool> {
    const { namespace } = this.api;
    for (;;) {
      try {
        return await this.api.get<IpPool>(poolAt(namespace, NAME));
      } catch {
        const empty = poolObject(namespace, NAME, { range: RANGE, allocations: {} });
        await this.api.create(poolsIn(namespace), empty).catch(() => undefined);
      }
    }
  }

  private async patch({ metadata }: IpPool, change: JsonPatch): Promise<boolean> {
    const body: JsonPatch = [
      { op: 'test', path: '/metadata/resourceVersion', value: metadata.resourceVersion },
      ...change,
    ];
    try {
      await this.api.patch(poolAt(this.api.namespace, NAME), { type: 'json', body });
      return true;
    } catch (error) {
      if (error instanceof ApiError && error.status === 422) {
        return false;
      }
      throw error;
    }
  }

  private async holder(name: string): Promise<string | undefined> {
    try {
      const { spec } = await this.api.get<ReturnType<typeof reservationObject>>(
        reservationAt(this.api.namespace, name),
      );
      return spec.podref;
    } catch {
      return undefined;
    }
  }

  private async reserve(name: string, podref: string, ifname: string): Promise<boolean> {
    const { namespace } = this.api;
    const object = { ...reservationObject(namespace, name, '', { podref, ifname }), metadata: { name, namespace } };
    return this.api.create(reservationsIn(namespace), object).then(
      () => true,
      () => false,
    );
  }
}

function lowest({ spec }: IpPool, reserved: ReadonlySet<number>): number | undefined {
  for (let key = 1; key <= LAST; key++) {
    if (spec.allocations?.[key] === undefined && !reserved.has(key)) {
      return key;
    }
  }
  return undefined;
}

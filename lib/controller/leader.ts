/** One process of several leads, as the holder of a Lease: https://kubernetes.io/docs/concepts/architecture/leases */
import { messageOf } from '../cni/errors.ts';
import { ApiError, type JsonPatch, type KubeApi, type KubeObject, type ObjectPath } from '../kube/api.ts';
import { type Clock, clockOf } from '../sys/clock.ts';
import { jittered, quietly } from './repeat.ts';

export interface Election {
  /** for the Lease: its requests must not end with `signal`, since the Lease is given back after it */
  readonly api: KubeApi;
  readonly namespace: string;
  readonly lease: string;
  /** nobody else has it, not even this program when it runs again */
  readonly identity: string;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly times?: Times;
  /** the Lease was seen, and is held by this process or is not */
  onStanding(standing: Standing): void;
  log(line: string): void;
}

export type Standing = 'leader' | 'standby';

interface Lease extends KubeObject {
  readonly spec?: {
    readonly holderIdentity?: string;
    readonly leaseDurationSeconds?: number;
    readonly acquireTime?: string;
    readonly renewTime?: string;
    readonly leaseTransitions?: number;
  };
}

export interface Times {
  /** how long others wait for a leader who says nothing, by their own clocks */
  readonly leaseSeconds: number;
  /** a leader who could not say anything for so long leads no more: less than that */
  readonly renewWithinMs: number;
  readonly pauseMs: number;
}

const TIMES: Times = { leaseSeconds: 15, renewWithinMs: 10_000, pauseMs: 2_000 };

/** For the last word of a leader who ends. */
const RELEASE_MS = 3_000;

const [NOT_FOUND, CONFLICT, INVALID] = [404, 409, 422];

const statusOf = (error: unknown): number | undefined => (error instanceof ApiError ? error.status : undefined);

/**
 * Waits until this process leads, and does the work then; when it leads no more, waits again. Whatever the work still
 * does after its signal has fired, another leader may do too.
 *
 * @param work ends soon after its signal
 * @returns when the signal of the election fires; the Lease is given back then
 */
export async function lead(election: Election, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const { signal, log } = election;
  while (!signal.aborted) {
    await quietly(untilAborted(signal, acquire(election)), signal);
    if (signal.aborted) {
      return;
    }
    election.onStanding('leader');
    log(`leads: "${election.identity}" holds lease "${election.lease}"`);
    const leading = new AbortController();
    const renewing = renew(election, leading);
    try {
      await work(leading.signal);
    } finally {
      leading.abort(new Error('leads no more'));
      if (await renewing) {
        await release(election);
      }
      election.onStanding('standby');
    }
  }
}

/** A server that is silent need not be waited for at the end. @throws the reason of the signal */
async function untilAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const abort = (): void => reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener('abort', abort);
    work.catch(() => undefined); // nobody waits for it any more
  }
}

const pathOf = ({ namespace, lease }: Election): ObjectPath => ({
  resource: { group: 'coordination.k8s.io', version: 'v1', plural: 'leases' },
  namespace,
  name: lease,
});

/** Returns when this process holds the Lease. @throws the reason of the signal */
async function acquire(election: Election): Promise<void> {
  const { clock, signal, identity, log } = election;
  let seen: { readonly version: string | undefined; readonly at: number } | undefined;
  let [told, fault] = ['', ''];
  while (!signal.aborted) {
    try {
      const lease = await read(election);
      const version = lease?.metadata.resourceVersion;
      seen = seen !== undefined && seen.version === version ? seen : { version, at: clock.now() };
      if (isFree(lease, identity, clock.now() - seen.at) && (await take(election, lease))) {
        return;
      }
      const holder = lease?.spec?.holderIdentity ?? '';
      if (holder !== '' && holder !== told) {
        log(`stands by: "${holder}" holds lease "${election.lease}"`);
        told = holder;
      }
      election.onStanding('standby');
      fault = '';
    } catch (error) {
      signal.throwIfAborted();
      const why = messageOf(error);
      if (why !== fault) {
        log(`cannot be a candidate: ${why}`);
        fault = why;
      }
    }
    await clock.sleep(jittered((election.times ?? TIMES).pauseMs));
  }
}

/** A holder is gone when its Lease has not changed for so long as it says, by the clock of who looks at it. */
function isFree(lease: Lease | undefined, identity: string, unchangedMs: number): boolean {
  const { holderIdentity = '', leaseDurationSeconds = TIMES.leaseSeconds } = lease?.spec ?? {};
  return holderIdentity === '' || holderIdentity === identity || unchangedMs >= leaseDurationSeconds * 1000;
}

async function read(election: Election): Promise<Lease | undefined> {
  try {
    return await election.api.get<Lease>(pathOf(election));
  } catch (error) {
    if (statusOf(error) === NOT_FOUND) {
      return undefined;
    }
    throw error;
  }
}

/** Microseconds, which the server insists on. */
const timestamp = (): string => new Date().toISOString().replace('Z', '000Z');

/** @returns false when somebody was faster */
async function take(election: Election, lease: Lease | undefined): Promise<boolean> {
  const { api, identity, lease: name, namespace } = election;
  const now = timestamp();
  const spec = {
    holderIdentity: identity,
    leaseDurationSeconds: (election.times ?? TIMES).leaseSeconds,
    acquireTime: now,
    renewTime: now,
    leaseTransitions: lease === undefined ? 0 : (lease.spec?.leaseTransitions ?? 0) + 1,
  };
  try {
    if (lease === undefined) {
      const object = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name, namespace }, spec };
      await api.create<Lease>({ resource: pathOf(election).resource, namespace }, object);
    } else {
      const body: JsonPatch = [
        { op: 'test', path: '/metadata/resourceVersion', value: lease.metadata.resourceVersion },
        { op: 'add', path: '/spec', value: spec },
      ];
      await api.patch<Lease>(pathOf(election), { type: 'json', body });
    }
    return true;
  } catch (error) {
    if ([NOT_FOUND, CONFLICT, INVALID].includes(statusOf(error) ?? 0)) {
      return false;
    }
    throw error; // nobody knows: the next look tells
  }
}

/** Says again and again that this process leads. @returns does it still, at the end? */
async function renew(election: Election, leading: AbortController): Promise<boolean> {
  const { signal, clock, log, times: { renewWithinMs, pauseMs } = TIMES } = election;
  const abort = (): void => leading.abort(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  if (signal.aborted) {
    abort();
  }
  const own = clockOf(leading.signal);
  let renewedAt = clock.now();
  try {
    for (;;) {
      await quietly(own.sleep(jittered(pauseMs)), leading.signal);
      if (leading.signal.aborted) {
        return true;
      }
      const leftMs = renewWithinMs - (clock.now() - renewedAt);
      const outcome = await Promise.race([patched(election, { renewTime: timestamp() }), late(own, leftMs)]);
      const isLate = clock.now() - renewedAt >= renewWithinMs;
      if (outcome === 'done' && !isLate) {
        renewedAt = clock.now();
      } else if (outcome === 'lost' || isLate) {
        const why = outcome === 'lost' ? 'somebody else holds the lease' : 'the lease could not be renewed in time';
        log(`leads no more: ${why}`);
        leading.abort(new Error(why));
        return false;
      }
    }
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

async function late(clock: Clock, leftMs: number): Promise<'late'> {
  try {
    await clock.sleep(Math.max(leftMs, 0));
  } catch {
    // it does not matter any more
  }
  return 'late';
}

/** A change of the Lease, provided that this process still holds it. */
async function patched(
  election: Election,
  spec: Readonly<Record<string, string | number>>,
): Promise<'done' | 'lost' | 'unknown'> {
  const body: JsonPatch = [
    { op: 'test', path: '/spec/holderIdentity', value: election.identity },
    ...Object.entries(spec).map(([name, value]) => ({ op: 'add' as const, path: `/spec/${name}`, value })),
  ];
  try {
    await election.api.patch<Lease>(pathOf(election), { type: 'json', body });
    return 'done';
  } catch (error) {
    return [NOT_FOUND, INVALID].includes(statusOf(error) ?? 0) ? 'lost' : 'unknown';
  }
}

/** So that nobody need wait for the end of its time. */
async function release(election: Election): Promise<void> {
  const spec = { holderIdentity: '', leaseDurationSeconds: 1, renewTime: timestamp() };
  await Promise.race([patched(election, spec), late(clockOf(), RELEASE_MS)]);
}

import { describe, expect, it } from 'vitest';
import { ApiError, type KubeApi, type KubeObject } from '../kube/api.ts';
import { clockOf } from '../sys/clock.ts';
import { type Election, lead, type Standing } from './leader.ts';

type Lease = KubeObject & { readonly spec: Record<string, unknown> };

/** One Lease, and a network that can be cut. */
class LeaseServer {
  lease: Lease | undefined;
  version = 1;
  mishap: () => 'none' | 'lost' | 'silent' = () => 'none';

  api(): KubeApi {
    const serve = async <T>(work: () => T): Promise<T> => {
      await new Promise((resolve) => setImmediate(resolve));
      const mishap = this.mishap();
      if (mishap === 'silent') {
        return new Promise(() => undefined);
      }
      if (mishap === 'lost') {
        throw new ApiError('lost', { isOutcomeUnknown: true });
      }
      return work();
    };
    const store = (spec: Record<string, unknown>): Lease => {
      this.lease = { metadata: { name: 'l', resourceVersion: String(++this.version) }, spec };
      return this.lease;
    };
    return {
      namespace: 'ns',
      get: () =>
        serve(() => {
          if (this.lease === undefined) {
            throw new ApiError('not found', { status: 404 });
          }
          return this.lease as never;
        }),
      create: (_path: unknown, object: unknown) =>
        serve(() => {
          if (this.lease !== undefined) {
            throw new ApiError('exists', { status: 409 });
          }
          return store((object as Lease).spec) as never;
        }),
      patch: (_path: unknown, patch: { readonly body: readonly { op: string; path: string; value?: unknown }[] }) =>
        serve(() => {
          const now = this.lease as Lease;
          let { spec } = now;
          for (const { op, path, value } of patch.body) {
            const member = path.split('/')[2] ?? '';
            const is = path === '/metadata/resourceVersion' ? now.metadata.resourceVersion : spec[member];
            if (op === 'test' && is !== value) {
              throw new ApiError('refused', { status: 422 });
            }
            if (op === 'add') {
              spec = path === '/spec' ? (value as Lease['spec']) : { ...spec, [member]: value };
            }
          }
          return store(spec) as never;
        }),
    } as unknown as KubeApi;
  }

  get holder(): unknown {
    return this.lease?.spec['holderIdentity'];
  }
}

const TIMES = { leaseSeconds: 1, renewWithinMs: 400, pauseMs: 40 };

function candidate(server: LeaseServer, identity: string) {
  const stopping = new AbortController();
  const standings: Standing[] = [];
  const lines: string[] = [];
  let led = 0;
  let isWorking = false;
  const election: Election = {
    api: server.api(),
    namespace: 'ns',
    lease: 'l',
    identity,
    signal: stopping.signal,
    clock: clockOf(stopping.signal),
    times: TIMES,
    onStanding: (now) => standings.at(-1) === now || standings.push(now),
    log: (line) => lines.push(line),
  };
  const ended = lead(election, async (signal) => {
    led++;
    isWorking = true;
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    isWorking = false;
  });
  return {
    standings,
    lines,
    led: () => led,
    isWorking: () => isWorking,
    stop: async () => {
      stopping.abort(new Error('stop'));
      await ended;
    },
  };
}

async function until(what: () => boolean): Promise<void> {
  while (!what()) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

describe('lead', () => {
  it('lets one of two work, and the other as soon as the first gives the lease back', async () => {
    const server = new LeaseServer();
    const [a, b] = [candidate(server, 'a'), candidate(server, 'b')];
    await until(() => a.isWorking() || b.isWorking());
    await until(() => [a, b].every(({ standings }) => standings.length > 0));
    const [first, second] = a.isWorking() ? [a, b] : [b, a];
    expect([first.isWorking(), second.isWorking(), second.standings]).toEqual([true, false, ['standby']]);
    await first.stop();
    expect(first.isWorking()).toBe(false);
    await until(() => second.isWorking());
    expect(server.lease?.spec).toMatchObject({ leaseTransitions: 1, leaseDurationSeconds: 1 });
    await second.stop();
    expect(server.holder).toBe('');
  });

  it('takes the lease of a leader that says nothing any more, when its time is over', async () => {
    const server = new LeaseServer();
    server.lease = {
      metadata: { name: 'l', resourceVersion: '1' },
      spec: { holderIdentity: 'killed', leaseDurationSeconds: 1, leaseTransitions: 4 },
    };
    const b = candidate(server, 'b');
    await until(() => b.lines.length > 0);
    expect([b.lines, b.isWorking()]).toEqual([['stands by: "killed" holds lease "l"'], false]);
    await until(() => b.isWorking());
    expect(server.lease?.spec).toMatchObject({ holderIdentity: 'b', leaseTransitions: 5 });
    expect(server.lease?.spec['renewTime']).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
    await b.stop();
  });

  it('does not take it while it is renewed', async () => {
    const server = new LeaseServer();
    const a = candidate(server, 'a');
    await until(() => a.isWorking());
    const b = candidate(server, 'b');
    const versions = server.version + 40; // more than a second of renewals
    await until(() => server.version >= versions);
    expect([a.led(), b.led()]).toEqual([1, 0]);
    await Promise.all([a.stop(), b.stop()]);
  });

  it.each(['lost', 'silent'] as const)('stops working when the lease cannot be renewed in time: %s', async (mishap) => {
    const server = new LeaseServer();
    const a = candidate(server, 'a');
    await until(() => a.isWorking());
    server.mishap = () => mishap;
    await until(() => !a.isWorking());
    expect(a.lines).toContain('leads no more: the lease could not be renewed in time');
    server.mishap = () => 'none';
    if (mishap === 'lost') {
      await until(() => a.led() === 2);
      await a.stop();
    }
  });

  it('stops working when somebody else has taken the lease, and leaves it to them', async () => {
    const server = new LeaseServer();
    const a = candidate(server, 'a');
    await until(() => a.isWorking());
    server.lease = {
      metadata: { name: 'l', resourceVersion: '999' },
      spec: { holderIdentity: 'b', leaseDurationSeconds: 60 },
    };
    await until(() => !a.isWorking());
    await a.stop();
    expect(server.holder).toBe('b');
  });
});

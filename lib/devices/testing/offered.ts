/** A resource that is offered to a kubelet. */
import { join } from 'node:path';
import { onTestFinished, vi } from 'vitest';
import { clockOf } from '../../sys/clock.ts';
import { temporaryFolder } from '../../sys/testing/temporary.ts';
import type { ListedDevice } from '../kubelet/messages.ts';
import { type OfferEnd, type Offering, offer } from '../kubelet/offer.ts';
import { type Resource, UnknownDevice } from '../resource.ts';
import { Watched } from '../watched.ts';
import { FakeKubelet } from './fake-kubelet.ts';

export const NAME = 'example.com/vf';
export const device = (ID: string, health: ListedDevice['health'] = 'Healthy'): ListedDevice => ({
  ID,
  health,
  topology: { nodes: [{ ID: 0 }] },
});

export function resourceOf(ids: readonly string[]): Resource {
  return {
    name: { prefix: 'example.com', name: 'vf' },
    socketName: 'example.com_vf.sock',
    devices: new Watched<readonly ListedDevice[]>(ids.map((id) => device(id))),
    allocate: (wanted) =>
      wanted.every((id) => ids.includes(id))
        ? Promise.resolve({
            envs: { IDS: wanted.join() },
            devices: [{ containerPath: '/dev/a', hostPath: '/dev/b', permissions: 'rw' }],
            annotations: {},
            cdiDevices: [{ name: 'a/b=c' }],
          })
        : Promise.reject(new UnknownDevice('no such device')),
  };
}

export interface Offered {
  readonly kubelet: FakeKubelet;
  readonly resource: Resource;
  readonly lines: readonly string[];
  readonly socket: string;
  stop(): Promise<OfferEnd>;
}

export type Times = Pick<Offering, 'followMs' | 'pauseMs'>;

/** A resource that is offered to a kubelet, which need not run yet. */
export function offered(isWatching = true, times: Times = {}): Offered {
  const folder = temporaryFolder();
  const kubelet = new FakeKubelet(folder.path, isWatching);
  onTestFinished(() => {
    kubelet.stop();
    folder[Symbol.dispose]();
  });
  return offeredTo(kubelet, isWatching, times);
}

/** Offered to one that others offer to as well. */
export function offeredTo(kubelet: FakeKubelet, isWatching: boolean, times: Times = {}): Offered {
  const resource = resourceOf(['a', 'b']);
  const ending = new AbortController();
  const lines: string[] = [];
  const log = (line: string): void => void lines.push(line);
  const { signal } = ending;
  const ended = offer(resource, kubelet, { signal, log, followMs: 1_000, ...times, ...clockOf(signal) });
  const stop = async () => {
    ending.abort(new Error('the test ends'));
    return ended;
  };
  onTestFinished(async () => void (await stop()));
  const socket = join(isWatching ? kubelet.watched : kubelet.older, 'example.com_vf.sock');
  return { kubelet, resource, lines, socket, stop };
}

export const until = (look: () => void | Promise<void>): Promise<void> =>
  vi.waitFor(look, { timeout: 30_000, interval: 10 });
export const idsOf = (kubelet: FakeKubelet) => kubelet.devices(NAME)?.map(({ ID }) => ID);

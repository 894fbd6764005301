import { afterEach, describe, expect, it } from 'vitest';
import { ApiError, type KubeObject } from '../kube/api.ts';
import type { WatchApi, WatchEvent } from '../kube/watch.ts';
import { clockOf } from '../sys/clock.ts';
import { Informer } from './informer.ts';

const PATH = { resource: { group: '', version: 'v1', plural: 'pods' }, namespace: undefined };

const pod = (name: string, uid = `u-${name}`, version = '1'): KubeObject => ({
  metadata: { name, namespace: 'lab', uid, resourceVersion: version },
});

const stopping: AbortController[] = [];
afterEach(() => {
  for (const one of stopping.splice(0)) {
    one.abort(new Error('over'));
  }
});

function start(listed: KubeObject[]) {
  const ending = new AbortController();
  stopping.push(ending);
  const seen: string[] = [];
  const begun: string[] = [];
  const slept: number[] = [];
  let lists = 0;
  let current:
    | { visit: (event: WatchEvent<KubeObject>) => void; resolve: () => void; reject: (error: unknown) => void }
    | undefined;
  const api = {
    each: async (_path: unknown, _selection: unknown, visit: (object: KubeObject) => void) => {
      lists++;
      listed.forEach(visit);
      return `list-${lists}`;
    },
    watch: (_path: unknown, _selection: unknown, { version }: { version: string }, visit: never) => {
      begun.push(version);
      return new Promise<void>((resolve, reject) => {
        current = { visit, resolve, reject };
      });
    },
  } as unknown as WatchApi;
  const informer = new Informer<KubeObject, string>(
    { path: PATH, keep: ({ metadata }) => metadata.uid },
    ({ type, key, value }) => seen.push(`${type} ${key} ${value}`),
  );
  const clock = clockOf(ending.signal);
  let time = 0;
  void informer.run(api, {
    signal: ending.signal,
    log: () => undefined,
    now: () => {
      time += 2000; // watches last
      return time;
    },
    sleep: async (ms) => {
      slept.push(ms);
      await clock.sleep(0);
    },
  });
  const nextWatch = async (count: number) => {
    while (begun.length < count) {
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  return {
    informer,
    seen,
    begun,
    slept,
    nextWatch,
    lists: () => lists,
    send: (type: WatchEvent<KubeObject>['type'], object: KubeObject) => current?.visit({ type, object }),
    end: () => current?.resolve(),
    cut: (status?: number) => current?.reject(new ApiError('cut', { status })),
  };
}

describe('Informer', () => {
  it('tells what is there, and then what happens', async () => {
    const one = start([pod('a')]);
    await one.informer.synced;
    await one.nextWatch(1);
    one.send('ADDED', pod('b'));
    one.send('MODIFIED', pod('b'));
    one.send('DELETED', pod('a', 'u-a'));
    expect(one.seen).toEqual(['put lab/a u-a', 'put lab/b u-b', 'put lab/b u-b', 'gone lab/a u-a']);
    expect([...one.informer.values()]).toEqual(['u-b']);
    expect(one.informer.get('lab/b')).toBe('u-b');
  });

  it('goes on where a watch was cut or ended, after a bookmark too, without a new list', async () => {
    const one = start([]);
    await one.nextWatch(1);
    one.send('ADDED', pod('a', 'u', '7'));
    one.cut();
    await one.nextWatch(2);
    one.send('BOOKMARK', { metadata: { name: '', resourceVersion: '9' } });
    one.end();
    await one.nextWatch(3);
    expect([one.begun, one.lists(), one.slept.length]).toEqual([['list-1', '7', '9'], 1, 1]);
  });

  it('says whether it hears of changes', async () => {
    const one = start([]);
    expect(one.informer.isFollowing).toBe(false);
    await one.nextWatch(1);
    expect(one.informer.isFollowing).toBe(true);
    one.cut();
    await one.nextWatch(2);
    expect(one.informer.isFollowing).toBe(false);
    one.send('BOOKMARK', { metadata: { name: '', resourceVersion: '9' } });
    expect(one.informer.isFollowing).toBe(true);
    one.end();
    await one.nextWatch(3);
    expect(one.informer.isFollowing).toBe(true);
  });

  it('reads the list again when its version is too old, and tells what went meanwhile', async () => {
    const listed = [pod('a'), pod('b'), pod('c')];
    const one = start(listed);
    await one.nextWatch(1);
    one.seen.length = 0;
    listed.splice(0, 3, pod('b', 'another'), pod('c'));
    one.cut(410);
    await one.nextWatch(2);
    expect(one.seen).toEqual(['gone lab/a u-a', 'gone lab/b u-b', 'put lab/b another', 'put lab/c u-c']);
    expect(one.begun).toEqual(['list-1', 'list-2']);
  });

  it('tells of an object that was replaced under its name as gone', async () => {
    const one = start([pod('a')]);
    await one.nextWatch(1);
    one.send('MODIFIED', pod('a', 'next'));
    expect(one.seen).toEqual(['put lab/a u-a', 'gone lab/a u-a', 'put lab/a next']);
  });

  it('passes over the end of what it never knew of, as a late event is', async () => {
    const one = start([]);
    await one.nextWatch(1);
    one.send('DELETED', pod('late'));
    expect(one.seen).toEqual(['gone lab/late u-late']);
    one.send('DELETED', pod('late'));
    expect([...one.informer.values()]).toEqual([]);
  });

  it('waits longer after each failure, and then reads the list again', async () => {
    const one = start([]);
    for (let failure = 1; failure <= 5; failure++) {
      await one.nextWatch(failure);
      one.cut(500);
    }
    await one.nextWatch(6);
    expect(one.begun.slice(-2)).toEqual(['list-1', 'list-2']);
    expect(one.slept).toHaveLength(5);
    expect(one.slept[4]).toBeGreaterThan(one.slept[0] as number);
  });
});

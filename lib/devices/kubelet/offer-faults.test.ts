/** What a resource that is offered goes through. */
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { clockOf } from '../../sys/clock.ts';
import { temporaryFolder } from '../../sys/testing/temporary.ts';
import { FakeKubelet, STEPS } from '../testing/fake-kubelet.ts';
import { device, idsOf, NAME, offered, resourceOf, until } from '../testing/offered.ts';
import { offer } from './offer.ts';

/** A hundred times, on a machine with far too much to do. */
const PATIENCE_MS = 300_000;

/** Sockets as a kubelet leaves them that starts: none in its older folder. */
function wipe(kubelet: FakeKubelet): void {
  for (const name of readdirSync(kubelet.older).filter((one) => one.endsWith('.sock'))) {
    rmSync(join(kubelet.older, name), { force: true });
  }
}

describe.each([
  ['that watches its folder of plugins', true, STEPS],
  ['that plugins register with', false, ['asked', 'taken', 'followed', 'listed'] as const],
])('a kubelet %s and ends at any step', (_, isWatching, steps) => {
  it.each(steps)('%s: is told when it is back', async (step) => {
    const { kubelet, socket } = offered(isWatching);
    const ended = new Promise<void>((resolve) => {
      kubelet.reached = (at) => {
        if (at === step) {
          kubelet.reached = () => undefined;
          kubelet.stop();
          wipe(kubelet);
          resolve();
        }
      };
    });
    await kubelet.start();
    await ended;
    await kubelet.start();
    await until(() => expect(idsOf(kubelet)).toEqual(['a', 'b']));
    expect(existsSync(socket)).toBe(true);
  });

  it.each(steps)('%s: is told again when the socket vanishes then', async (step) => {
    const { kubelet, socket } = offered(isWatching);
    let wasReached = false;
    kubelet.reached = (at) => {
      if (at === step && !wasReached) {
        wasReached = true;
        rmSync(socket, { force: true });
      }
    };
    await kubelet.start();
    await until(() => expect(wasReached && existsSync(socket)).toBe(true));
    await until(() => expect(idsOf(kubelet)).toEqual(['a', 'b']));
    // The list may still be that of the connection that is just being ended.
    await until(async () => expect(await kubelet.allocate(NAME, ['a'])).toMatchObject({ envs: { IDS: 'a' } }));
  });
});

describe.each([
  ['that watches its folder of plugins', true],
  ['that plugins register with', false],
])('a kubelet %s', (_, isWatching) => {
  it('may lose its folders, and make them anew', async () => {
    const { kubelet } = offered(isWatching);
    await kubelet.start();
    await until(() => expect(idsOf(kubelet)).toEqual(['a', 'b']));
    kubelet.stop();
    for (const folder of [kubelet.watched, kubelet.older]) {
      rmSync(folder, { recursive: true, force: true });
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
    for (const folder of [kubelet.older, ...(isWatching ? [kubelet.watched] : [])]) {
      mkdirSync(folder);
    }
    await kubelet.start();
    await until(() => expect(idsOf(kubelet)).toEqual(['a', 'b']));
  });

  it(
    'may be started a hundred times: nothing is left open, and nothing of others is removed',
    async () => {
      const { kubelet, socket } = offered(isWatching);
      // a kubelet that starts removes sockets itself
      const foreign = ['other.com_a', '.hidden', 'DEPRECATION'];
      for (const name of foreign) {
        mkdirSync(join(socket, '..', name));
      }
      const open = (): number => readdirSync('/proc/self/fd').length;
      const before = open();
      for (let time = 0; time < 100; time++) {
        await kubelet.start();
        await until(() => expect(idsOf(kubelet)).toEqual(['a', 'b']));
        kubelet.stop();
      }
      await until(() => expect(open()).toBeLessThanOrEqual(before + 2)); // connections are closed a moment later
      const names = readdirSync(join(socket, '..')).filter((name) => name !== 'kubelet.sock');
      expect(names.sort()).toEqual([...foreign, 'example.com_vf.sock'].sort());
    },
    PATIENCE_MS,
  );
});

describe('a resource', () => {
  it(
    'may be offered a hundred times in a row: nothing is left, and nothing of others is removed',
    async () => {
      const folder = temporaryFolder();
      onTestFinished(() => folder[Symbol.dispose]());
      await using kubelet = new FakeKubelet(folder.path);
      await kubelet.start();
      const foreign = ['other.com_a.sock', '.hidden'];
      for (const name of foreign) {
        writeFileSync(join(kubelet.older, name), '');
        mkdirSync(join(kubelet.watched, name));
      }
      const open = (): number => readdirSync('/proc/self/fd').length;
      let before = 0;
      for (let time = 0; time < 100; time++) {
        before = Math.max(before, time < 10 ? open() : 0); // what the process keeps is open by then
        const ending = new AbortController();
        const ended = offer(resourceOf(['a']), kubelet, {
          signal: ending.signal,
          log: () => undefined,
          ...clockOf(ending.signal),
        });
        await until(() => expect(idsOf(kubelet)).toEqual(['a']));
        ending.abort(new Error('the next one'));
        await ended;
        kubelet.drop(NAME);
      }
      await until(() => expect(open()).toBeLessThanOrEqual(before + 2)); // connections are closed a moment later
      expect(readdirSync(kubelet.watched).sort()).toEqual(foreign.toSorted());
      expect(readdirSync(kubelet.older)).toEqual(expect.arrayContaining(foreign));
    },
    PATIENCE_MS,
  );

  it('tells a kubelet that reads slowly the newest only', async () => {
    const { kubelet, resource } = offered();
    await kubelet.start();
    await until(() => expect(idsOf(kubelet)).toEqual(['a', 'b']));
    kubelet.pause(NAME);
    const before = kubelet.lists;
    const changes = 200;
    for (let change = 0; change < changes; change++) {
      const ids = Array.from({ length: 1_000 }, (_, at) => `0000:${change}:${at}`);
      resource.devices.value = ids.map((id) => device(id));
      await new Promise((resolve) => setImmediate(resolve));
    }
    kubelet.resume(NAME);
    await until(() => expect(idsOf(kubelet)?.[0]).toBe(`0000:${changes - 1}:0`));
    expect(kubelet.lists - before).toBeLessThan(changes / 2);
  });
});

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, utimesSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { temporaryFolder } from '../../sys/testing/temporary.ts';
import { FakeKubelet } from '../testing/fake-kubelet.ts';
import { device, idsOf, NAME, offered, offeredTo, until } from '../testing/offered.ts';

/** Longer than any test waits. */
const ENDLESS_MS = 600_000;

describe.each([
  ['that watches its folder of plugins', true],
  ['that plugins register with', false],
])('a kubelet %s', (_, isWatching) => {
  it('hears of devices and their changes, and has containers get them', async () => {
    const { kubelet, resource } = offered(isWatching);
    await kubelet.start();
    await until(() => expect(kubelet.devices(NAME)).toEqual([device('a'), device('b')]));
    resource.devices.value = [device('a', 'Unhealthy'), device('c')];
    await until(() => expect(kubelet.devices(NAME)).toEqual([device('a', 'Unhealthy'), device('c')]));
    expect(await kubelet.allocate(NAME, ['b', 'a'])).toMatchObject({
      envs: { IDS: 'b,a' },
      devices: [{ containerPath: '/dev/a', hostPath: '/dev/b', permissions: 'rw' }],
      cdiDevices: [{ name: 'a/b=c' }],
    });
    await expect(kubelet.allocate(NAME, ['x'])).rejects.toMatchObject({ code: 5, details: 'no such device' });
    expect(await kubelet.call(NAME, 'GetDevicePluginOptions', {})).toEqual({
      preStartRequired: false,
      getPreferredAllocationAvailable: false,
    });
  });

  it('may come later, go, and come back', async () => {
    const { kubelet } = offered(isWatching);
    await kubelet.start();
    await until(() => expect(idsOf(kubelet)).toEqual(['a', 'b']));
    kubelet.stop();
    await kubelet.start();
    await until(() => expect(idsOf(kubelet)).toEqual(['a', 'b']));
  });

  it('is told again when it has lost the stream', async () => {
    const { kubelet } = offered(isWatching);
    await kubelet.start();
    await until(() => expect(idsOf(kubelet)).toEqual(['a', 'b']));
    kubelet.drop(NAME);
    await until(() => expect(idsOf(kubelet)).toEqual(['a', 'b']));
    expect(kubelet.registrations).toEqual([NAME, NAME]);
  });

  it('may refuse for a while', async () => {
    const { kubelet, lines } = offered(isWatching);
    kubelet.refusal = 'not now';
    await kubelet.start();
    await until(() => expect(lines.join()).toContain('not now'));
    kubelet.refusal = undefined;
    await until(() => expect(idsOf(kubelet)).toEqual(['a', 'b']));
  });

  it('may lose the socket', async () => {
    const { kubelet, socket } = offered(isWatching);
    await kubelet.start();
    await until(() => expect(idsOf(kubelet)).toEqual(['a', 'b']));
    rmSync(socket);
    await until(() => expect(kubelet.registrations.length).toBeGreaterThan(1));
    await until(() => expect(idsOf(kubelet)).toEqual(['a', 'b']));
    expect(existsSync(socket)).toBe(true);
  });

  it('goes over to a successor, and back when that has died', async () => {
    const first = offered(isWatching);
    const { kubelet, socket, lines } = first;
    await kubelet.start();
    await until(() => expect(idsOf(kubelet)).toEqual(['a', 'b']));
    const second = offeredTo(kubelet, isWatching);
    await until(() => expect(lines).toContain(`${NAME}: another program offers it`));
    second.resource.devices.value = [device('b'), device('c')];
    await until(() => expect(idsOf(kubelet)).toEqual(['b', 'c']));
    expect(kubelet.registrations).toEqual([NAME, NAME]);
    await second.stop();
    await until(() => expect(idsOf(kubelet)).toEqual(['a', 'b']));
    const third = offeredTo(kubelet, isWatching);
    await until(() => expect(kubelet.registrations).toHaveLength(4));
    await until(() => expect(lines.filter((line) => line.endsWith('another program offers it'))).toHaveLength(2));
    expect(await first.stop()).toBe('succeeded');
    await until(() => expect(idsOf(kubelet)).toEqual(['a', 'b']));
    expect([existsSync(socket), kubelet.fewest]).toEqual([true, 2]);
    expect(await third.stop()).toBe('ended');
  });
});

describe('a program that takes the place of another', () => {
  it('is not in the way of a kubelet that has not looked yet: the other one hands out devices until then', async () => {
    const { kubelet, socket, lines } = offered();
    await kubelet.start();
    await until(() => expect(idsOf(kubelet)).toEqual(['a', 'b']));
    const ofFirst = statSync(socket, { bigint: true }).ctimeNs;
    kubelet.isAsleep = true;
    const second = offeredTo(kubelet, true);
    await until(() => expect(statSync(socket, { bigint: true }).ctimeNs).not.toBe(ofFirst));
    second.resource.devices.value = [device('b'), device('c')];
    await new Promise((resolve) => setTimeout(resolve, 200)); // it has heard of it by now
    expect(idsOf(kubelet)).toEqual(['a', 'b']);
    expect(await kubelet.allocate(NAME, ['a'])).toMatchObject({ envs: { IDS: 'a' } });
    kubelet.wake();
    await until(() => expect(idsOf(kubelet)).toEqual(['b', 'c']));
    await until(() => expect(lines).toContain(`${NAME}: another program offers it`));
    expect(kubelet.registrations).toEqual([NAME, NAME]);
  });

  it('registers when the other one has left, which may take its time', async () => {
    const folder = temporaryFolder();
    onTestFinished(() => folder[Symbol.dispose]());
    const kubelet = new FakeKubelet(folder.path, false);
    onTestFinished(() => kubelet.stop());
    await kubelet.start();
    const steps: string[] = [];
    const connections: Socket[] = [];
    const other = createServer((connection) => connections.push(connection.on('error', () => undefined)));
    onTestFinished(() => void other.close());
    const socket = join(kubelet.older, 'example.com_vf.sock');
    await once(other.listen(socket), 'listening');
    const before = statSync(socket, { bigint: true }).ctimeNs;
    kubelet.reached = (step) => void steps.push(step);
    offeredTo(kubelet, false);
    await until(() => expect(statSync(socket, { bigint: true }).ctimeNs).not.toBe(before));
    await new Promise((resolve) => setTimeout(resolve, 600));
    steps.push('left');
    for (const connection of connections) {
      connection.destroy();
    }
    await until(() => expect(idsOf(kubelet)).toEqual(['a', 'b']));
    expect(steps).toEqual(['left', 'asked', 'followed', 'taken', 'listed']);
  });

  it('may be killed: the other one is told by the kernel, and offers it again', async () => {
    const { kubelet, socket, lines } = offered();
    await kubelet.start();
    await until(() => expect(idsOf(kubelet)).toEqual(['a', 'b']));
    const serve = `require('node:net').createServer().listen(${JSON.stringify(`${socket}.new`)}, () => {
      require('node:fs').renameSync(${JSON.stringify(`${socket}.new`)}, ${JSON.stringify(socket)});
    })`;
    const other = spawn(process.execPath, ['-e', serve], { stdio: 'ignore' });
    await until(() => expect(lines).toContain(`${NAME}: another program offers it`));
    other.kill('SIGKILL');
    await until(() => expect(kubelet.registrations).toEqual([NAME, NAME]));
    await until(() => expect(idsOf(kubelet)).toEqual(['a', 'b']));
  });
});

describe('a resource that no kubelet follows yet', () => {
  it('is there to be found all the time, though it is offered again and again', async () => {
    const { socket, kubelet } = offered(true, { followMs: 20, pauseMs: 100 });
    await until(() => expect(existsSync(socket)).toBe(true));
    const offers = new Set<bigint>();
    while (offers.size < 4) {
      offers.add(statSync(socket, { bigint: true }).ctimeNs);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await kubelet.start();
    await until(() => expect(idsOf(kubelet)).toEqual(['a', 'b']));
  });

  it.each([
    ['that watches its folder of plugins', true],
    ['that plugins register with', false],
  ])('is told to a kubelet %s, which makes its folders late, without a pause', async (_, isWatching) => {
    const folder = temporaryFolder();
    onTestFinished(() => folder[Symbol.dispose]());
    const kubelet = new FakeKubelet(folder.path, isWatching);
    onTestFinished(() => kubelet.stop());
    for (const path of [kubelet.watched, kubelet.older]) {
      rmSync(path, { recursive: true, force: true });
    }
    const { lines } = offeredTo(kubelet, isWatching, { pauseMs: ENDLESS_MS });
    await until(() => expect(lines.join()).toContain('cannot be offered'));
    for (const path of isWatching ? [kubelet.watched, kubelet.older] : [kubelet.older]) {
      mkdirSync(path);
    }
    await kubelet.start();
    await until(() => expect(idsOf(kubelet)).toEqual(['a', 'b']));
  });
});

describe('a resource', () => {
  it('shows kubelets nothing in their folder that is gone when they look', async () => {
    const { kubelet, socket } = offered();
    await kubelet.start();
    await until(() => expect(idsOf(kubelet)).toEqual(['a', 'b']));
    rmSync(socket);
    await until(() => expect(kubelet.registrations.length).toBeGreaterThan(1));
    await until(() => expect(idsOf(kubelet)).toEqual(['a', 'b']));
    expect(kubelet.missed).toEqual([]);
    expect(readdirSync(kubelet.watched)).toEqual(['example.com_vf.sock']);
  });

  it('leaves nothing hidden of programs that were killed, but what others may need', async () => {
    const { kubelet, socket } = offered();
    const [old, fresh] = ['.braid-killed', '.braid-other'].map((name) => join(kubelet.watched, name));
    for (const path of [old, fresh]) {
      mkdirSync(path ?? '');
    }
    utimesSync(old ?? '', 1, 1);
    await until(() => expect(existsSync(socket)).toBe(true));
    rmSync(socket);
    await until(() => expect(existsSync(old ?? '')).toBe(false));
    await kubelet.start();
    await until(() => expect(idsOf(kubelet)).toEqual(['a', 'b']));
    expect(readdirSync(kubelet.watched).sort()).toEqual(['.braid-other', 'example.com_vf.sock']);
  });

  it('takes its socket away at the end, but not that of a successor', async () => {
    const { kubelet, socket, stop } = offered();
    await kubelet.start();
    await until(() => expect(idsOf(kubelet)).toEqual(['a', 'b']));
    rmSync(socket);
    mkdirSync(socket);
    await stop();
    expect(existsSync(socket)).toBe(true);
  });
});

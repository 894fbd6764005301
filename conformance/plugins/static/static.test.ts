/** static as others ask it: macvlan through cnitool, and multus for many networks at once. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { cnitool, Lab, PARENT, type Pod, writeNetwork } from '../../lab/lab.ts';
import { monitored } from '../../lab/monitor.ts';
import { errorOf, parsed } from '../../lab/printed.ts';
import { SCRIPT } from '../../lab/programs.ts';
import { addressTexts, routesOf, stateOf } from '../../lab/state.ts';

const macvlan = (ipam: object) => ({ type: 'macvlan', master: PARENT, ipam: { type: 'static', ...ipam } });

describe('macvlan with static, through cnitool', () => {
  it('gives the addresses of the runtime, and the routes with their attributes', async () => {
    await using lab = await Lab.open();
    const pod = await lab.pod();
    const routes = [{ dst: '10.8.0.0/16', gw: '10.4.0.1', mtu: 1300, advmss: 1200, priority: 50, table: 200 }];
    const confDir = writeNetwork(lab, 'net-a', '1.1.0', [
      { ...macvlan({ addresses: [{ address: '10.1.2.3/24' }], routes }), capabilities: { ips: true } },
    ]);
    const cache = lab.folder('cache');
    const run = (verb: string) =>
      cnitool(lab, verb, 'net-a', pod, {
        confDir,
        env: { CAP_ARGS: '{"ips":["10.4.0.5/24","fd04::5/64"]}' },
        wrapper: ['sh', '-c', `mount --bind ${cache} /var/lib && exec "$0" "$@"`],
      });
    const added = await run('add');
    expect(parsed(added.stdout)).toMatchObject({
      ips: [
        { address: '10.4.0.5/24', interface: 0 },
        { address: 'fd04::5/64', interface: 0 },
      ],
      routes,
    });
    const state = await stateOf(pod.name);
    expect(addressTexts(state, 'net1')).toEqual(['10.4.0.5/24', 'fd04::5/64']);
    expect(routesOf(state, 'net1')).toMatchObject([
      { dst: '10.8.0.0/16', gateway: '10.4.0.1', table: '200', metric: 50, metrics: [{ mtu: 1300, advmss: 1200 }] },
    ]);
    for (const verb of ['check', 'del', 'del']) {
      expect(await run(verb)).toMatchObject({ exitCode: 0, stdout: '' });
    }
    expect((await stateOf(pod.name)).links).toHaveLength(1);
  });
});

describe('multus with 16 networks of macvlan and static', () => {
  const network = (index: number, address = `10.5.${index}.2/24`) => ({
    cniVersion: '1.1.0',
    name: `rail-${index}`,
    ...macvlan({ addresses: [{ address }] }),
  });

  const callOf = (lab: Lab, pod: Pod, delegates: readonly object[]) => ({
    plugin: 'multus',
    netns: pod.path,
    ifName: 'eth0',
    conf: {
      cniVersion: '1.1.0',
      name: 'node',
      type: 'multus',
      cniDir: lab.folder('cni'),
      binDir: lab.folder('bin'),
      delegates,
    },
  });

  it('runs static inside the process: it works without permission to execute it', async () => {
    await using lab = await Lab.open();
    const pod = await lab.pod();
    const call = callOf(
      lab,
      pod,
      Array.from({ length: 16 }, (_, index) => network(index)),
    );
    for (const name of ['macvlan', 'static']) {
      writeFileSync(join(lab.folder('bin'), name), readFileSync(join(SCRIPT, name)), { mode: 0o644 });
    }
    expect(await lab.call({ ...call, verb: 'ADD' })).toMatchObject({ exitCode: 0 });
    const state = await stateOf(pod.name);
    for (let index = 0; index < 16; index++) {
      expect(addressTexts(state, index === 0 ? 'eth0' : `net${index}`)).toContain(`10.5.${index}.2/24`);
    }
    expect(await lab.call({ ...call, verb: 'CHECK' })).toMatchObject({ exitCode: 0 });
    expect(await lab.call({ ...call, verb: 'DEL' })).toMatchObject({ exitCode: 0 });
    expect((await stateOf(pod.name)).links).toHaveLength(1);
  });

  it('refuses a fault of the last network before the first one has a link', async () => {
    await using lab = await Lab.open();
    const pod = await lab.pod();
    const delegates = Array.from({ length: 16 }, (_, index) => network(index, index === 15 ? '10.5.15.2' : undefined));
    const events = await monitored(pod.name, async () => {
      const outcome = await lab.call({ ...callOf(lab, pod, delegates), verb: 'ADD', path: [SCRIPT] });
      expect(errorOf(outcome)).toMatchObject({ code: 7, message: expect.stringContaining('"10.5.15.2"') });
    });
    expect(events).toEqual([]);
  });
});

/** The built agent with device plugins, on a node of files. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, it, vi } from 'vitest';
import { FakeKubelet } from '../devices/testing/fake-kubelet.ts';
import { makeSampleNode } from '../devices/testing/sample-node.ts';
import { temporaryFolder } from '../sys/testing/temporary.ts';
import { Lab } from '../testing/lab.ts';

const BRAID = join(import.meta.dirname, '../../dist/standalone/braid');
const RESOURCE = 'intel.com/vf';
const [FIRST, SECOND] = ['0000:01:10.0', '0000:01:10.2'];
/** As nodes have them in mount namespaces of their own: what is below /run is the test's. */
const SEEING = 'mount -t tmpfs none /run && mount --bind "$0" /sys && exec "$@"';
const until = (look: () => void | Promise<void>): Promise<void> => vi.waitFor(look, { timeout: 60_000, interval: 10 });

interface Agent {
  readonly child: ChildProcess;
  readonly lines: readonly string[];
}

class Node implements AsyncDisposable {
  private readonly lab = new Lab();
  private readonly folder = temporaryFolder();
  readonly kubelet = new FakeKubelet(join(this.folder.path, 'kubelet'));
  readonly config = join(this.folder.path, 'config.json');
  private readonly agents: Agent[] = [];

  constructor() {
    makeSampleNode(this.folder.path);
  }

  configure(text: string): void {
    writeFileSync(this.config, text);
  }

  start(...options: readonly string[]): Agent {
    const socket = join(this.folder.path, 'run/agent.sock');
    return this.run(BRAID, 'agent', '--socket', socket, '--kubelet', this.kubelet.root, ...options);
  }

  run(...words: readonly string[]): Agent {
    const all = ['netns', 'exec', this.lab.node, 'sh', '-c', SEEING, join(this.folder.path, 'sys'), ...words];
    const child = spawn('ip', all, { stdio: ['ignore', 'inherit', 'pipe'] });
    const lines: string[] = [];
    child.stderr?.on('data', (chunk: Buffer) => lines.push(chunk.toString('utf8')));
    const agent = { child, lines };
    this.agents.push(agent);
    return agent;
  }

  get devices(): readonly string[] | undefined {
    return this.kubelet.devices(RESOURCE)?.map(({ ID }) => ID);
  }

  async ask(path: string): Promise<string> {
    const call = request({ socketPath: join(this.folder.path, 'run/status.sock'), path }).end();
    const [answer] = await once(call, 'response');
    return text(answer);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { child } of this.agents.filter(isAlive)) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    this.kubelet.stop();
    this.folder[Symbol.dispose]();
    this.lab[Symbol.dispose]();
  }
}

const isAlive = ({ child }: Agent): boolean => child.exitCode === null && child.signalCode === null;

const GOOD = JSON.stringify({ resourceList: [{ resourceName: 'vf', selectors: { drivers: ['igbvf'] } }] });
const said = ({ lines }: Agent): string => lines.join('');

describe('an agent with device plugins', () => {
  it('takes calls whatever its configuration is, and uses one that comes, and one that has changed', async () => {
    await using node = new Node();
    await node.kubelet.start();
    const agent = node.start('--device-config', node.config);
    await until(() => expect(said(agent)).toContain('nothing is handed out by it yet'));
    await until(async () => expect(await node.ask('/readyz')).toBe('takes calls\n'));
    node.configure(GOOD);
    await until(() => expect(node.devices).toEqual([FIRST, SECOND]));
    node.configure('{');
    await until(() => expect(said(agent)).toContain('the one before stays in use'));
    await node.kubelet.allocate(RESOURCE, [FIRST]);
    const wanted = [
      `braid_devices{resource="${RESOURCE}",health="healthy"} 2`,
      `braid_device_resource_followed{resource="${RESOURCE}"} 1`,
      `braid_device_allocations_total{resource="${RESOURCE}",outcome="done"} 1`,
      `braid_device_registrations_total{resource="${RESOURCE}",outcome="taken"} 1`,
      `braid_device_configuration_faulty{file="${node.config}"} 1`,
    ];
    await until(async () => {
      const lines = (await node.ask('/metrics')).split('\n');
      expect(wanted.filter((line) => !lines.includes(line))).toEqual([]);
    });
    agent.child.kill('SIGHUP');
    node.configure(GOOD.replace('"vf"', '"other"'));
    await until(() => expect(node.kubelet.devices('intel.com/other')).toHaveLength(2));
    agent.child.kill('SIGTERM');
    expect(await once(agent.child, 'exit')).toEqual([0, null]);
    expect(readdirSync(node.kubelet.watched)).toEqual([]);
  });

  it('hands over to the next one, and the kubelet always has devices', async () => {
    await using node = new Node();
    await node.kubelet.start();
    node.configure(GOOD);
    const options = ['--device-config', node.config];
    const first = node.start(...options);
    await until(() => expect(node.devices).toEqual([FIRST, SECOND]));
    const before = node.kubelet.registrations.length;
    const second = node.start(...options);
    expect(await once(first.child, 'exit')).toEqual([0, null]);
    expect(said(first)).toContain('another program offers it');
    await until(() => expect(node.devices).toEqual([FIRST, SECOND]));
    expect(await node.kubelet.allocate(RESOURCE, [SECOND])).toMatchObject({
      envs: { PCIDEVICE_INTEL_COM_VF: SECOND },
    });
    expect([node.kubelet.fewest, node.kubelet.registrations.length]).toEqual([2, before + 1]);
    second.child.kill('SIGTERM');
    expect(await once(second.child, 'exit')).toEqual([0, null]);
  });

  it('stands by, if it is told to, until the next one has ended', async () => {
    await using node = new Node();
    await node.kubelet.start();
    node.configure(GOOD);
    const options = ['--device-config', node.config];
    const first = node.start(...options, '--stand-by');
    await until(() => expect(node.devices).toEqual([FIRST, SECOND]));
    const second = node.start(...options, '--stand-by');
    await until(() => expect(said(first)).toContain('stands by'));
    await until(() => expect(node.devices).toEqual([FIRST, SECOND]));
    await until(async () => expect(await node.ask('/readyz')).toBe('takes calls\n'));
    second.child.kill('SIGKILL');
    expect(await once(first.child, 'exit')).toEqual([0, null]);
    const third = node.start(...options, '--stand-by');
    await until(() => expect(node.devices).toEqual([FIRST, SECOND]));
    node.start(...options);
    await until(() => expect(said(third)).toContain('stands by'));
    third.child.kill('SIGTERM');
    expect(await once(third.child, 'exit')).toEqual([0, null]);
  });

  it('is no agent that ends without calls', async () => {
    await using node = new Node();
    const { child, lines } = node.start('--device-config', node.config, '--idle', '60');
    expect(await once(child, 'exit')).toEqual([2, null]);
    expect(lines.join('')).toContain('devices would be lost');
  });
});

describe('device plugins by themselves', () => {
  it('need no more rights than the chart gives them', async () => {
    await using node = new Node();
    await node.kubelet.start();
    node.configure(GOOD);
    const rights = ['setpriv', '--bounding-set=-all,+net_admin', '--no-new-privs'];
    const options = ['--config-file', node.config, '--kubelet', node.kubelet.root];
    const { child } = node.run(...rights, BRAID, 'device-plugins', ...options);
    await until(() => expect(node.devices).toEqual([FIRST, SECOND]));
    expect(await node.kubelet.allocate(RESOURCE, [FIRST])).toMatchObject({ envs: { PCIDEVICE_INTEL_COM_VF: FIRST } });
    child.kill('SIGTERM');
    expect(await once(child, 'exit')).toEqual([0, null]);
  });
});

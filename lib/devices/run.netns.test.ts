import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { clockOf } from '../sys/clock.ts';
import { temporaryFolder } from '../sys/testing/temporary.ts';
import { Lab } from '../testing/lab.ts';
import { runDevicePlugins } from './run.ts';
import { SriovSource } from './sriov/source.ts';
import { FakeKubelet } from './testing/fake-kubelet.ts';
import { functionAt, type Many, makeManyFunctions, removeFunction } from './testing/many-functions.ts';

const RESOURCE = 'example.com/vf';
const INFOS = 'var/run/k8s.cni.cncf.io/devinfo/dp';
const VF = { resourceName: 'vf', selectors: { pfNames: ['ens0'] } };
const until = (look: () => void): Promise<void> => vi.waitFor(look, { timeout: 60_000, interval: 10 });

/** A node with cards, whose device plugins run; `ens0` is a link that the kernel tells of. */
class Running implements AsyncDisposable {
  readonly lines: string[] = [];
  readonly root: string;
  readonly kubelet: FakeKubelet;
  private readonly lab: Lab;
  private readonly folder = temporaryFolder(true);
  private ending = new AbortController();
  private ended: Promise<void> = Promise.resolve();
  hangUp: () => void = () => undefined;

  private constructor(many: Many) {
    this.lab = new Lab();
    this.root = this.folder.path;
    makeManyFunctions(this.root, many);
    this.kubelet = new FakeKubelet(join(this.root, 'kubelet'));
    // a bridge has a carrier as long as a port of it has
    this.ip('link add ens0 type bridge');
    this.ip('link add wire0 type veth peer name wire1');
    this.ip('link set wire0 master ens0');
    for (const name of ['ens0', 'wire0', 'wire1']) {
      this.ip(`link set ${name} up`);
    }
  }

  static async open(many: Many = { cards: 1, functions: 2 }): Promise<Running> {
    const running = new Running(many);
    running.configure(VF);
    await running.kubelet.start();
    return running;
  }

  configure(...resourceList: readonly object[]): void {
    writeFileSync(join(this.root, 'config.json'), JSON.stringify({ resourceList }));
  }

  start(): void {
    const host = this.lab.open(this.lab.node);
    this.ending = new AbortController();
    const { signal } = this.ending;
    const options = { root: this.root, useCdi: false };
    const parts = {
      sources: [new SriovSource(join(this.root, 'config.json'), 'example.com', options)],
      kubelet: this.kubelet,
      root: this.root,
      native: this.lab.native,
      host,
      onHangup: (call: () => void) => {
        this.hangUp = call;
      },
    };
    const log = (line: string): void => void this.lines.push(line);
    this.ended = runDevicePlugins(parts, { signal, log, ...clockOf(signal) }).finally(() => host[Symbol.dispose]());
  }

  async stop(): Promise<void> {
    this.ending.abort(new Error('the test ends'));
    await this.ended;
  }

  ip(command: string): void {
    execFileSync('ip', ['-n', this.lab.node, ...command.split(' ')]);
  }

  /** What the kubelet has been told: IDs, those that are unhealthy with a mark. */
  told(resource = RESOURCE): string | undefined {
    return this.kubelet
      .devices(resource)
      ?.map(({ ID, health }) => (health === 'Healthy' ? ID : `${ID}!`))
      .join(' ');
  }

  infos(): readonly string[] {
    const folder = join(this.root, INFOS);
    return existsSync(folder) ? readdirSync(folder) : [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    this.kubelet.stop();
    this.folder[Symbol.dispose]();
    this.lab[Symbol.dispose]();
  }
}

const [FIRST, SECOND] = [functionAt(0, 0), functionAt(0, 1)];

describe('device plugins', () => {
  it('tell at once when the kernel tells that a link has gone, and a device', async () => {
    await using node = await Running.open();
    node.configure({ ...VF, health: { link: true, settleSeconds: 0 } });
    node.start();
    await until(() => expect(node.told()).toBe(`${FIRST} ${SECOND}`));
    node.ip('link set wire0 down');
    await until(() => expect(node.told()).toBe(`${FIRST}! ${SECOND}!`));
    node.ip('link set wire0 up');
    await until(() => expect(node.told()).toBe(`${FIRST} ${SECOND}`));
    removeFunction(node.root, SECOND);
    node.ip('link add some type bridge');
    await until(() => expect(node.told()).toBe(`${FIRST} ${SECOND}!`));
  });

  it('take a configuration that has changed, refuse a bad one, and read it again at SIGHUP', async () => {
    await using node = await Running.open();
    node.start();
    await until(() => expect(node.told()).toBe(`${FIRST} ${SECOND}`));
    writeFileSync(join(node.root, 'config.json'), '{"resourceList":[');
    await until(() => expect(node.lines.join('\n')).toContain('the one before stays in use'));
    node.hangUp();
    node.configure({ ...VF, resourceName: 'other' });
    await until(() => expect(node.told('example.com/other')).toBe(`${FIRST} ${SECOND}`));
    await until(() => expect(existsSync(join(node.root, 'kubelet/plugins_registry/example.com_vf.sock'))).toBe(false));
    expect(node.lines.filter((line) => line.includes('stays in use'))).toHaveLength(1);
  });

  it('hand out to nobody what a container has by a name that is configured no more', async () => {
    await using node = await Running.open();
    node.start();
    await until(() => expect(node.told()).toBe(`${FIRST} ${SECOND}`));
    node.kubelet.holders = { [RESOURCE]: [SECOND] };
    node.configure({ ...VF, resourceName: 'other' });
    await until(() => expect(node.told('example.com/other')).toBe(FIRST));
    node.kubelet.holders = {};
    node.hangUp();
    await until(() => expect(node.told('example.com/other')).toBe(`${FIRST} ${SECOND}`));
  });

  it('leave a running container its file when they end, also of a device that it has just got', async () => {
    await using node = await Running.open();
    node.start();
    await until(() => expect(node.told()).toBe(`${FIRST} ${SECOND}`));
    await node.kubelet.allocate(RESOURCE, [FIRST]);
    await node.kubelet.allocate(RESOURCE, [SECOND]);
    node.kubelet.holders = { [RESOURCE]: [SECOND] };
    await node.stop();
    expect(node.infos()).toEqual([`example.com-vf-${SECOND}-device.json`]);
  });

  it('leave all files when the kubelet does not say who has what', async () => {
    await using node = await Running.open();
    node.start();
    await until(() => expect(node.told()).toBe(`${FIRST} ${SECOND}`));
    await node.kubelet.allocate(RESOURCE, [FIRST, SECOND]);
    node.kubelet.stop();
    await node.stop();
    expect(node.infos()).toHaveLength(2);
  });

  it('tell multus after a boot of what containers had before, also before the kubelet says who they are', async () => {
    await using node = await Running.open();
    const entries = [{ ResourceName: RESOURCE, DeviceIDs: { '0': [SECOND] } }];
    writeFileSync(
      join(node.kubelet.older, 'kubelet_internal_checkpoint'),
      JSON.stringify({ Data: { PodDeviceEntries: entries } }),
    );
    node.start();
    await until(() => expect(node.told()).toBe(`${FIRST} ${SECOND}`));
    expect(node.infos()).toEqual([`example.com-vf-${SECOND}-device.json`]);
  });

  it('go on with what they have when they cannot look, say so once, and look again', async () => {
    await using node = await Running.open();
    node.kubelet.holders = { [RESOURCE]: [FIRST] };
    node.start();
    await until(() => expect(node.told()).toBe(`${FIRST} ${SECOND}`));
    const infos = join(node.root, INFOS);
    renameSync(infos, `${infos}-away`);
    symlinkSync(infos, infos); // a folder that nobody can write to, root neither
    node.kubelet.holders = { [RESOURCE]: [FIRST, SECOND] };
    await until(() => {
      node.hangUp();
      expect(node.lines.join('\n')).toContain('cannot look at the node');
    });
    expect(node.told()).toBe(`${FIRST} ${SECOND}`);
    expect((await node.kubelet.call<object>(RESOURCE, 'GetDevicePluginOptions', {})) !== undefined).toBe(true);
    removeFunction(node.root, SECOND);
    rmSync(infos);
    renameSync(`${infos}-away`, infos);
    await until(() => expect(node.told()).toBe(`${FIRST} ${SECOND}!`));
    expect(node.lines.filter((line) => line.includes('cannot look'))).toHaveLength(1);
  });

  it('may be started a hundred times: nothing is left open, and nothing of others is removed', {
    timeout: 300_000,
  }, async () => {
    await using node = await Running.open();
    const foreign = ['other.com_a.sock', '.hidden'].map((name) => join(node.kubelet.watched, name));
    for (const path of foreign) {
      mkdirSync(path);
    }
    const open = (): number => readdirSync('/proc/self/fd').length;
    let before = 0;
    for (let time = 0; time < 100; time++) {
      before = Math.max(before, time < 10 ? open() : 0); // what the process keeps is open by then
      node.start();
      await until(() => expect(node.told()).toBe(`${FIRST} ${SECOND}`));
      await node.stop();
      node.kubelet.drop(RESOURCE);
    }
    await until(() => expect(open()).toBeLessThanOrEqual(before + 2)); // connections are closed a moment later
    expect(readdirSync(node.kubelet.watched).sort()).toEqual(['.hidden', 'other.com_a.sock']);
  });

  it('tell of a thousand functions, and of each that goes', async () => {
    await using node = await Running.open({ cards: 4, functions: 250 });
    node.configure({ resourceName: 'vf', selectors: { drivers: ['iavf'] } });
    node.start();
    await until(() => expect(node.kubelet.devices(RESOURCE)).toHaveLength(1_000));
    const { envs } = await node.kubelet.allocate(RESOURCE, [functionAt(3, 249)]);
    expect(envs['PCIDEVICE_EXAMPLE_COM_VF']).toBe(functionAt(3, 249));
    removeFunction(node.root, functionAt(2, 17));
    node.ip('link add some type bridge');
    await until(() => {
      const ill = node.kubelet.devices(RESOURCE)?.filter(({ health }) => health === 'Unhealthy');
      expect(ill?.map(({ ID }) => ID)).toEqual([functionAt(2, 17)]);
    });
  });
});

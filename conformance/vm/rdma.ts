/** RDMA devices in software, on interfaces of cards. They can be moved to namespaces as those in hardware can. */
import { execute, mustRun } from '../lab/execute.ts';
import type { Pod } from '../lab/lab.ts';
import { until } from './until.ts';

export type RdmaMode = 'exclusive' | 'shared';

export class RdmaDevice implements AsyncDisposable {
  readonly name: string;

  private constructor(name: string) {
    this.name = name;
  }

  /** Makes one on an interface of the node; it shows in the folder `infiniband` of the interface's PCI device. */
  static async make(name: string, link: string): Promise<RdmaDevice> {
    await mustRun(['rdma', 'link', 'add', name, 'type', 'rxe', 'netdev', link]);
    return new RdmaDevice(name);
  }

  /** Moves it from the node into a pod. @throws Error in the mode `shared` */
  async moveTo(pod: Pod): Promise<void> {
    await mustRun(['rdma', 'dev', 'set', this.name, 'netns', pod.name]);
  }

  /** It must be on the node; when it is gone already, with its interface or else, that is well. */
  async [Symbol.asyncDispose](): Promise<void> {
    await execute(['rdma', 'link', 'delete', this.name]);
    await until(`the RDMA device "${this.name}" is gone`, async () => !(await rdmaDevices()).includes(this.name));
  }
}

/** Names of the RDMA devices on the node or in a pod. */
export async function rdmaDevices(pod?: Pod): Promise<readonly string[]> {
  const argv = ['rdma', '-j', 'dev'];
  const text = await mustRun(pod === undefined ? argv : ['ip', 'netns', 'exec', pod.name, ...argv]);
  return text.trim() === '' ? [] : (JSON.parse(text) as { ifname: string }[]).map(({ ifname }) => ifname);
}

/** Whether an RDMA device is in one namespace or in all of them. */
export async function rdmaMode(): Promise<RdmaMode> {
  const text = await mustRun(['rdma', 'system']); // says no JSON, whatever it is asked for
  return text.startsWith('netns exclusive') ? 'exclusive' : 'shared';
}

/** Works only while there is no namespace but the first. The machine starts with `exclusive`. */
export async function setRdmaMode(mode: RdmaMode): Promise<void> {
  await until(`the mode of RDMA is ${mode}`, async () => {
    const { exitCode } = await execute(['rdma', 'system', 'set', 'netns', mode]);
    return exitCode === 0;
  });
}

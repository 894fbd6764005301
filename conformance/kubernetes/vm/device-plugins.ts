/** Device plugins for nodes with virtual functions: which one is tried is decided here. */
import { dirname, join } from 'node:path';
import { STANDALONE } from '../../lab/programs.ts';
import { untilAllocatable } from '../device-plugin.ts';
import type { Kubernetes } from '../kubernetes.ts';
import type { VmNode } from './vm-node.ts';

/** What device plugins read, as far as it is needed here. */
export interface DeviceConfig {
  readonly resourceList: readonly Resource[];
}

export interface Resource {
  readonly resourcePrefix: string;
  readonly resourceName: string;
  readonly selectors: {
    readonly drivers: readonly string[];
    readonly pfNames?: readonly string[];
    readonly isRdma?: boolean;
  };
  /** of ours */
  readonly health?: { readonly link: boolean; readonly settleSeconds: number };
}

const CONFIG = '/etc/pcidp/config.json';

/** Words that start a device plugin with the configuration that the node has for it. */
export type DevicePluginProgram = (config: string) => readonly string[];

/** Where ours has the name of Go's, and so its flags. */
const OURS = '/opt/device-plugins/sriovdp';

/** Ours, or the executable that BRAID_DEVICE_PLUGIN names: the one of Go, or another that takes its flags. */
const usual: DevicePluginProgram = (config) => [
  process.env['BRAID_DEVICE_PLUGIN'] ?? OURS,
  ...[`--config-file=${config}`, '--logtostderr', '-v=10'],
];

/** A device plugin on a node, which can be ended and started again. */
export class DevicePluginDaemon {
  private readonly node: VmNode;
  private readonly program: DevicePluginProgram;

  private constructor(node: VmNode, program: DevicePluginProgram) {
    this.node = node;
    this.program = program;
  }

  /** Starts one, and waits until the cluster knows of its devices. */
  static async start(
    kubernetes: Kubernetes,
    node: VmNode,
    resourceList: readonly Resource[],
    allocatable: Readonly<Record<string, string>>,
    program = usual,
  ): Promise<DevicePluginDaemon> {
    await node.write(CONFIG, JSON.stringify({ resourceList }));
    await node.write('/usr/share/misc/pci.ids', ''); // that of Go ends without it
    const plugin = new DevicePluginDaemon(node, program);
    await plugin.start();
    await untilAllocatable(kubernetes, node.name, allocatable).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${node.lastWords(NAME)}`);
    });
    return plugin;
  }

  isRunning(): Promise<boolean> {
    return this.node.isRunning(NAME);
  }

  async start(): Promise<void> {
    await this.node.run(['mkdir', '-p', dirname(OURS)]); // a power cut takes it away
    await this.node.run(['ln', '-sf', join(STANDALONE, 'braid'), OURS]);
    await this.node.startDaemon({ name: NAME, argv: this.program(CONFIG) });
  }

  stop(how: 'stop' | 'kill'): Promise<void> {
    return this.node.stop(NAME, how);
  }
}

const NAME = 'device-plugin';

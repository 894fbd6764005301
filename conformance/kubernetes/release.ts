/** The chart as a user installs it: on nodes that have nothing of ours, and a network of their own. */
import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { CHART } from '../build/chart.ts';
import { expectSuccess } from '../cluster/request.ts';
import { imageOf, VERSION } from '../containerd/own-image.ts';
import { mustRun, type Outcome } from '../lab/execute.ts';
import { installHelm } from '../peers/helm.ts';
import { CNI_BIN, CNI_CONF } from './configs.ts';
import type { Kubernetes } from './kubernetes.ts';
import type { Node } from './node.ts';
import { POD_GATEWAY } from './wires.ts';

const IMAGE = 'localhost/braid';
/** The same image under the name of a later version. */
export const NEXT = 'next';

export const NAMESPACE = 'kube-system';

/** On a machine with far too much to do. */
const PATIENCE = '8m';

/** The network that a node has before, and after. */
export const OWN_CONF = '10-own.conflist';

/** A network on the nodes' wire, as a node has one of its own. */
export const ownNetwork = (node: number, more: object = {}): object => ({
  cniVersion: '1.0.0',
  name: 'own',
  plugins: [
    {
      type: 'macvlan',
      master: 'eth0',
      mode: 'bridge',
      ipam: {
        type: 'host-local',
        ranges: [[{ subnet: '10.244.0.0/16', rangeStart: `10.244.${node}.1`, rangeEnd: `10.244.${node}.250` }]],
        routes: [{ dst: '0.0.0.0/0', gw: POD_GATEWAY }],
      },
    },
  ],
  ...more,
});

/** Nodes with a network of their own, and the image; see `Kubernetes.start`, bare. */
export async function prepareNodes(kubernetes: Kubernetes): Promise<void> {
  const image = await imageOf('braid');
  await Promise.all(
    kubernetes.nodes.map(async (node, index) => {
      await node.loadImage(image);
      await node.nameImage(`${IMAGE}:${VERSION}`, `${IMAGE}:${NEXT}`);
      // A parent does not reach the macvlans on it, and a kubelet looks whether its pods answer.
      await mustRun([
        'ip',
        '-n',
        node.netns,
        'link',
        'add',
        'pods0',
        'link',
        'eth0',
        'type',
        'macvlan',
        'mode',
        'bridge',
      ]);
      await mustRun(['ip', '-n', node.netns, 'address', 'add', `10.244.255.${index + 1}/16`, 'dev', 'pods0']);
      await mustRun(['ip', '-n', node.netns, 'link', 'set', 'pods0', 'up']);
      node.write(`${CNI_CONF}/${OWN_CONF}`, JSON.stringify(ownNetwork(index + 1)));
    }),
  );
  await kubernetes.untilNodesReady();
}

/** The chart's release, by its name. */
export class Release {
  private readonly kubernetes: Kubernetes;

  constructor(kubernetes: Kubernetes) {
    this.kubernetes = kubernetes;
  }

  async install(...values: readonly string[]): Promise<void> {
    await this.helm('install', 'braid', CHART, '--wait', '--timeout', PATIENCE, ...setting(values));
    await this.untilOnAllNodes();
  }

  async upgrade(...values: readonly string[]): Promise<void> {
    await this.helm('upgrade', 'braid', CHART, '--wait', '--timeout', PATIENCE, ...setting(values));
    await this.untilOnAllNodes();
  }

  /** An upgrade that nobody waits for: it may be one that fails. */
  beginUpgrade(...values: readonly string[]): Promise<void> {
    return this.helm('upgrade', 'braid', CHART, ...setting(values));
  }

  async rollBack(): Promise<void> {
    await this.helm('rollback', 'braid', '--wait', '--timeout', PATIENCE);
    await this.untilOnAllNodes();
  }

  uninstall(): Promise<void> {
    return this.helm('uninstall', 'braid', '--timeout', PATIENCE);
  }

  /** Helm waits for all nodes but those that may be unavailable. */
  private async untilOnAllNodes(): Promise<void> {
    const words = ['rollout', 'status', 'daemonset/braid-node', `--timeout=${PATIENCE}`];
    const { exitCode, stderr } = await this.kubernetes.kubectl('-n', NAMESPACE, ...words);
    if (exitCode !== 0) {
      throw new Error(`${stderr}\n${await this.situation()}`);
    }
  }

  private async helm(...words: readonly string[]): Promise<void> {
    const outcome = await this.kubernetes.administer(installHelm(), ...words, '--namespace', NAMESPACE);
    if (outcome.exitCode !== 0) {
      throw new Error(`helm ${words[0]}: ${outcome.stderr}\n${await this.situation()}`);
    }
  }

  private async situation(): Promise<string> {
    const ask = (...words: readonly string[]): Promise<Outcome> => this.kubernetes.kubectl('-n', NAMESPACE, ...words);
    const pods = await ask('describe', 'pods');
    const logs = await Promise.all(
      ['braid-node', 'braid-controller'].map((app) => ask('logs', '-l', `app=${app}`, '--prefix', '--tail=20')),
    );
    return [pods, ...logs].map(({ stdout, stderr }) => stdout + stderr).join('\n');
  }
}

const setting = (values: readonly string[]): readonly string[] => values.flatMap((value) => ['--set', value]);

interface ReleasePod {
  readonly metadata: { readonly name: string; readonly deletionTimestamp?: string };
  readonly spec: { readonly nodeName: string };
  readonly status: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

export async function releasePods({ cluster }: Kubernetes, app: string): Promise<readonly ReleasePod[]> {
  const path = `/api/v1/namespaces/${NAMESPACE}/pods?labelSelector=app%3D${app}`;
  return (await expectSuccess<{ readonly items: readonly ReleasePod[] }>(cluster.send(path))).items;
}

/** What a pod of the release answers to a request for a path. */
export async function ask({ cluster }: Kubernetes, pod: string, port: number, path: string): Promise<string> {
  const proxy = `/api/v1/namespaces/${NAMESPACE}/pods/${pod}:${port}/proxy${path}`;
  return String(await expectSuccess(cluster.send(proxy)));
}

/** All files of a node that a network plugin's installer has to do with: mode, and content or where a link leads. */
export function networkFiles(node: Node): Readonly<Record<string, string>> {
  return Object.fromEntries(
    [CNI_CONF, CNI_BIN].flatMap((folder) => {
      const here = node.pathHere(folder);
      const names = readdirSync(here, { recursive: true, encoding: 'utf8' }).sort();
      return ['', ...names].map((name) => [join(folder, name), factsOf(join(here, name))] as const);
    }),
  );
}

function factsOf(path: string): string {
  const facts = lstatSync(path);
  const mode = facts.mode.toString(8);
  if (facts.isSymbolicLink()) {
    return `${mode} ${readlinkSync(path)}`;
  }
  return facts.isFile() ? `${mode} ${createHash('sha256').update(readFileSync(path)).digest('hex')}` : mode;
}

/**
 * Pods that ask for their networks by annotation, as a runtime sees them: multus finds pod and networks at a real API
 * server, whereabouts has its pools there, and the annotation is written.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Cluster, startCluster } from '../cluster/cluster.ts';
import { applyCrds, applyNads } from '../cluster/manifests.ts';
import { createPod } from '../cluster/objects.ts';
import { expectSuccess } from '../cluster/request.ts';
import { installWhereabouts } from '../peers/peers.ts';
import type { Bench } from './bench.ts';
import type { Conf } from './confs.ts';
import { nicName } from './lab.ts';
import { type PluginCall, timeCall } from './program.ts';
import type { Subject, Tools } from './subjects.ts';

const NAMESPACE = 'bench';

interface Side {
  readonly name: 'braid' | 'go';
  /** of multus */
  readonly program: string;
  /** CNI_PATH */
  readonly path: string;
}

export async function clusterMultus(tools: Tools, networks: number, target: number): Promise<Bench> {
  tools.lab.wantNics(networks);
  const cluster = await startCluster();
  await Promise.all([applyCrds(cluster), applyNads(cluster)]);
  await expectSuccess(cluster.send('/api/v1/namespaces', { method: 'POST', body: { metadata: { name: NAMESPACE } } }));
  const kubeconfig = cluster.kubeconfig('multus', { token: cluster.token, namespace: 'kube-system' });
  for (let index = 0; index < networks; index++) {
    await defineRail(cluster, tools, kubeconfig, index);
  }
  const sides: readonly Side[] = [
    { name: 'braid', program: join(tools.ours, 'multus'), path: tools.ours },
    { name: 'go', program: join(tools.multus ?? '', 'multus'), path: `${installWhereabouts()}:${tools.peers}` },
  ];
  const subjects = sides.map((side) => [side.name, pod(cluster, tools, { side, kubeconfig, networks })] as const);
  const pair = (figure: string) =>
    ({ ours: ['braid', figure], peer: ['go', figure], how: 'ratio', unit: 'ms' }) as const;
  return {
    name: 'cluster-multus',
    about: `a pod with ${networks} macvlan networks by annotation, addresses of a cluster ÷ Go multus, macvlan, whereabouts`,
    subjects: Object.fromEntries(subjects),
    lines: [
      { ...pair('add'), title: `ADD of ${networks} networks by annotation ÷ Go`, target },
      { ...pair('del'), title: `DEL of ${networks} networks by annotation ÷ Go` },
    ],
    part: 0.5,
    close: async () => cluster[Symbol.asyncDispose](),
  };
}

/** A macvlan network of a NIC, with a range of its own. */
async function defineRail(cluster: Cluster, tools: Tools, kubeconfig: string, index: number): Promise<void> {
  const folder = join(tools.lab.folder, 'cluster-multus');
  mkdirSync(folder, { recursive: true });
  const flatFile = join(folder, 'whereabouts.conf'); // the Go plugin does not do without
  writeFileSync(flatFile, JSON.stringify({ datastore: 'kubernetes', kubernetes: { kubeconfig } }));
  const config: Conf = {
    cniVersion: '1.0.0',
    name: `rail${index}`,
    type: 'macvlan',
    master: nicName(index),
    ipam: { type: 'whereabouts', range: `10.${128 + index}.0.0/16`, configuration_path: flatFile, data_dir: folder },
  };
  await expectSuccess(
    cluster.send(`/apis/k8s.cni.cncf.io/v1/namespaces/${NAMESPACE}/network-attachment-definitions`, {
      method: 'POST',
      body: {
        apiVersion: 'k8s.cni.cncf.io/v1',
        kind: 'NetworkAttachmentDefinition',
        metadata: { name: `rail${index}` },
        spec: { config: JSON.stringify(config) },
      },
    }),
  );
}

interface Wanted {
  readonly side: Side;
  readonly kubeconfig: string;
  readonly networks: number;
}

/** A pod comes and goes. Its own network is a macvlan without addresses: what is measured are the others. */
const pod =
  (cluster: Cluster, { lab }: Tools, { side, kubeconfig, networks }: Wanted): Subject =>
  async () => {
    const name = lab.newPod();
    const annotation = Array.from({ length: networks }, (_, index) => `rail${index}`).join();
    const annotations = { 'k8s.v1.cni.cncf.io/networks': annotation };
    const uid = await createPod(cluster, { name, namespace: NAMESPACE, annotations });
    const conf: Conf = {
      cniVersion: '1.0.0',
      name: 'bench',
      type: 'multus',
      kubeconfig,
      cniDir: join(lab.folder, `cluster-multus-${side.name}`),
      binDir: side.path.split(':')[0],
      logToStderr: false,
      delegates: [{ cniVersion: '1.0.0', name: 'own', type: 'macvlan', master: nicName(0) }],
    };
    const call: PluginCall = {
      verb: 'ADD',
      program: side.program,
      conf,
      path: side.path,
      pod: name,
      ifName: 'eth0',
      args: `IgnoreUnknown=1;K8S_POD_NAMESPACE=${NAMESPACE};K8S_POD_NAME=${name};K8S_POD_INFRA_CONTAINER_ID=${name};K8S_POD_UID=${uid}`,
    };
    const added = timeCall(call);
    return { add: added.ms, del: timeCall({ ...call, verb: 'DEL' }).ms };
  };

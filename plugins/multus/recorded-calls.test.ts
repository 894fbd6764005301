import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../lib/cni/json.ts';
import { type FakeNode, fakeNode } from '../../lib/cni/testing/fake-node.ts';
import { callsFor, RECORDED, type RecordedCall } from '../../lib/cni/testing/recorded-calls.ts';
import { multus } from './plugin.ts';

const CAPABILITIES = { bandwidth: true, 'io.kubernetes.cri.pod-annotations': true, mac: true, portMappings: true };

/** Makes a recorded call on a fake node, whose plugins and folders have other names. */
function repeat(node: FakeNode, { env, stdin }: RecordedCall) {
  const delegates = ['alpha', 'beta'].map((type) => ({
    cniVersion: '1.0.0',
    name: type,
    type,
    capabilities: CAPABILITIES,
  }));
  const document = { ...stdin, delegates, binDir: node.binDir, cniDir: node.cniDir } as JsonObject;
  const CNI_NETNS = env['CNI_NETNS'] === '' ? '' : node.netnsPath;
  return node.run(multus, env['CNI_COMMAND'] as 'ADD', document, { ...env, CNI_NETNS, CNI_PATH: node.binDir });
}

describe.each(RECORDED)('multus called by $runtime', (recorded) => {
  it.each(['rich', 'plain'] as const)('attaches the %s pod, and leaves nothing after its three DELs', async (pod) => {
    using node = fakeNode();
    const [add, ...dels] = [...callsFor(recorded, 'ADD', pod), ...callsFor(recorded, 'DEL', pod)];
    expect(await repeat(node, add as RecordedCall)).toMatchObject({ exitCode: 0 });
    expect(dels).toHaveLength(3);
    for (const del of dels) {
      expect(await repeat(node, del)).toMatchObject({ exitCode: 0, stdout: '' });
    }
    expect(node.log()).toEqual(['ADD alpha eth0', 'ADD beta net1', 'DEL beta net1', 'DEL alpha eth0']);
    expect(node.files()).toEqual({});
  });

  it('hands on what the runtime writes with capitals, and no null', async () => {
    using node = fakeNode();
    for (const pod of ['rich', 'plain'] as const) {
      await Promise.all(callsFor(recorded, 'ADD', pod).map((call) => repeat(node, call)));
      node.links.clear();
    }
    const handedOn = node.seen
      .filter(({ type }) => type === 'alpha')
      .map(({ stdin }) => JSON.parse(stdin)['runtimeConfig']);
    expect(handedOn).toEqual([
      {
        bandwidth: { ingressRate: 10_000_000, ingressBurst: 2 ** 32 - 1, egressRate: 0, egressBurst: 0 },
        portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp', hostIP: '192.0.2.7' }],
      },
      undefined,
    ]);
  });

  it('tells its plugins the pod in the same order always', async () => {
    using node = fakeNode();
    await Promise.all(callsFor(recorded, 'ADD', 'rich').map((call) => repeat(node, call)));
    const [seen] = node.seen;
    expect(seen?.env['CNI_ARGS']).toMatch(
      /^IgnoreUnknown=true;K8S_POD_NAMESPACE=lab;K8S_POD_NAME=rich;K8S_POD_INFRA_CONTAINER_ID=[0-9a-f]{64};K8S_POD_UID=uid-rich;/,
    );
  });
});

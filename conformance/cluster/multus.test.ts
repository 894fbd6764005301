/** multus for pods of a cluster: what their annotations ask for, whatever becomes of the cluster. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../lab/eventually.ts';
import { mustRun, type Outcome } from '../lab/execute.ts';
import { answer, fake, RECORD, recorded } from '../lab/fakes.ts';
import { PARENT } from '../lab/lab.ts';
import { errorOf } from '../lab/printed.ts';
import { GO, isOldest, OURS, VERSIONS } from '../lab/programs.ts';
import { stateOf } from '../lab/state.ts';
import { killAfterEach, killedAfter } from '../lab/steps.ts';
import { type Cluster, startCluster } from './cluster.ts';
import { applyNads } from './manifests.ts';
import { type ClusterPod, type Configured, MultusLab, NETWORKS_KEY } from './multus-lab.ts';
import { createNamespace, createPod } from './objects.ts';

let cluster: Cluster;
let lab: MultusLab;

beforeAll(async () => {
  cluster = await startCluster();
  await applyNads(cluster);
  lab = await MultusLab.open(cluster, cluster.kubeconfig('multus'));
  await lab.define('lan', macvlan('lan', { ipam: whereabouts('192.0.2.0/24') }));
  await lab.define('wan', { cniVersion: '1.1.0', plugins: [macvlan('')] });
});

afterAll(async () => {
  await lab?.[Symbol.asyncDispose]();
  await cluster?.[Symbol.asyncDispose]();
});

const macvlan = (name: string, more: object = {}) => ({
  cniVersion: '1.1.0',
  name,
  type: 'macvlan',
  master: PARENT,
  ...more,
});
const whereabouts = (range: string, more: object = {}) => ({
  type: 'whereabouts',
  datastore: 'file',
  data_dir: lab.lab.folder('store'),
  range,
  ...more,
});

const OWN: Configured = { delegates: [macvlan('own')] };
const OK = { exitCode: 0, signal: undefined };

const networks = (annotation: string | readonly object[]) => ({
  [NETWORKS_KEY]: typeof annotation === 'string' ? annotation : JSON.stringify(annotation),
});

const interfacesIn = async ({ netns }: ClusterPod): Promise<readonly string[]> =>
  (await stateOf(netns.name)).links.map(({ ifname }) => String(ifname));

/** Files of multus and reservations: those of other pods are none of a test's concern. */
const keptOf = ({ containerId }: ClusterPod): readonly string[] =>
  Object.keys(lab.records()).filter((name) => name.includes(containerId));

async function expectNothingLeft(pod: ClusterPod): Promise<void> {
  expect(await interfacesIn(pod)).toEqual(['lo']);
  expect(keptOf(pod)).toEqual([]);
  expect(await reservedFor(pod)).toEqual([]);
}

/** By container: `braid ipam show` reads the store. */
async function reservedFor({ containerId }: ClusterPod): Promise<readonly string[]> {
  const folders = ['--conf-dir', lab.lab.folder('nothing'), '--data-dir', lab.lab.folder('store')];
  const shown = await mustRun([join(OURS.bin, 'braid'), 'ipam', 'show', '--json', ...folders]);
  const pools = JSON.parse(shown) as readonly {
    readonly taken: readonly { readonly id: string; readonly address: string }[];
  }[];
  return pools.flatMap(({ taken }) => taken.filter(({ id }) => id === containerId).map(({ address }) => address));
}

async function added(pod: ClusterPod, conf = OWN): Promise<void> {
  expect(await lab.call('ADD', pod, conf)).toMatchObject(OK);
}

async function deleted(pod: ClusterPod, conf = OWN, more: object = {}): Promise<void> {
  expect(await lab.call('DEL', pod, conf, { more })).toMatchObject({ ...OK, stderr: '' });
}

describe('networks by annotation', () => {
  it('are attached after those of the configuration, shown, and taken away without the API server', async () => {
    const pod = await lab.pod(networks('lan, default/wan@wan0'));
    await added(pod);
    expect(await interfacesIn(pod)).toEqual(['lo', 'eth0', 'net1', 'wan0']);
    const status = JSON.parse((await lab.status(pod)) ?? '') as readonly Readonly<Record<string, unknown>>[];
    expect(status.map(({ name, interface: ifName, default: isDefault }) => [name, ifName, isDefault])).toEqual([
      ['own', 'eth0', true],
      ['default/lan', 'net1', undefined],
      ['default/wan', 'wan0', undefined],
    ]);
    expect(await lab.events(pod)).toEqual([
      'Normal AddedInterface Add eth0 [] from own',
      expect.stringMatching(/^Normal AddedInterface Add net1 \[192\.0\.2\.\d+\/24\] from default\/lan$/),
      'Normal AddedInterface Add wan0 [] from default/wan',
    ]);
    expect(await lab.call('CHECK', pod, OWN)).toMatchObject(OK);
    await deleted(pod, OWN, { kubeconfig: '/nowhere' });
    await expectNothingLeft(pod);
  });

  it('fail the ADD when they are not there, before anything is attached, and an event says so', async () => {
    const pod = await lab.pod(networks('lan,nowhere'));
    const { message } = errorOf(await lab.call('ADD', pod, OWN));
    const cause =
      'cannot find a network-attachment-definition (nowhere) in namespace (default): cannot get network-attachment-definitions "nowhere" in "default": network-attachment-definitions.k8s.cni.cncf.io "nowhere" not found (404 NotFound)';
    const pods = `default/${pod.name}/${pod.uid}`;
    expect(message).toBe(`Multus: [${pods}]: error loading k8s delegates k8s args: ${cause}`);
    expect(await lab.events(pod)).toEqual([`Warning NoNetworkFound ${cause}`]);
    expect(await lab.status(pod)).toBeUndefined();
    await expectNothingLeft(pod);
  });

  it('are all taken back when one fails', async () => {
    await lab.define('broken', macvlan('broken', { master: 'absent0' }));
    fake(lab.lab, 'failing', `[ "$CNI_COMMAND" != ADD ] || { echo '{"code":123,"msg":"no luck"}'; exit 1; }`);
    await lab.define('failing', { cniVersion: '1.1.0', type: 'failing' });
    for (const [name, code] of [
      ['broken', 7],
      ['failing', 123],
    ] as const) {
      const pod = await lab.pod(networks(`lan,wan,${name}`));
      expect(errorOf(await lab.call('ADD', pod, OWN))).toMatchObject({ code });
      await expectNothingLeft(pod);
      expect([await lab.status(pod), await lab.events(pod)]).toEqual([undefined, []]);
    }
  });

  it('warn of what no plugin heeds', { tags: 'multus/capability-warning' }, async () => {
    const pod = await lab.pod(networks([{ name: 'wan', ips: ['192.0.2.7/24'], mac: '02:00:00:00:00:09' }]));
    await added(pod);
    expect(await lab.events(pod)).toContain(
      'Warning CapabilityNotSupported no plugin of network default/wan declares capability "ips", "mac", which the annotation asks for',
    );
    await deleted(pod);
  });

  it('get at DEL what they got at ADD', { tags: 'multus/del-capabilities' }, async () => {
    const asked = { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }], mac: '02:00:00:00:00:09' };
    const capabilities = { portMappings: true, mac: true };
    fake(lab.lab, 'mapping', `${RECORD}\n${answer({ cniVersion: '1.1.0', interfaces: [] })}`);
    await lab.define('mapping', { cniVersion: '1.1.0', type: 'mapping', capabilities });
    const pod = await lab.pod(networks([{ name: 'mapping', ...asked }]));
    await added(pod);
    await deleted(pod);
    const offered = recorded(lab.lab).map((call) => /"runtimeConfig":(\{.*\}),"type"/.exec(call)?.[1] ?? '{}');
    expect(offered.map((text) => JSON.parse(text))).toEqual([asked, asked]);
  });

  it('keep to the namespaces that are allowed', { tags: 'multus/default-isolation' }, async () => {
    await createNamespace(cluster, 'secret');
    await lab.define('lan', macvlan('lan'), { namespace: 'secret' });
    const isolated = { ...OWN, namespaceIsolation: true };
    for (const annotations of [networks('lan,secret/lan'), { 'v1.multus-cni.io/default-network': 'secret/lan' }]) {
      const pod = await lab.pod(annotations);
      expect(errorOf(await lab.call('ADD', pod, isolated)).message).toContain(
        'namespace isolation enabled, annotation violates permission',
      );
      await expectNothingLeft(pod);
    }
    const pod = await lab.pod({ 'v1.multus-cni.io/default-network': 'secret/lan' });
    await added(pod, { ...isolated, isolateDefaultNetwork: false });
    await deleted(pod);
  });

  it('name no device that the pod was not given', { tags: 'multus/device-isolation' }, async () => {
    fake(lab.lab, 'holding', `${RECORD}\n${answer({ cniVersion: '1.1.0', interfaces: [] })}`);
    await lab.define('holding', { cniVersion: '1.1.0', type: 'holding', capabilities: { deviceID: true } });
    const annotations = networks([{ name: 'holding', deviceID: '0000:01:00.1' }]);
    const isolated = { ...OWN, namespaceIsolation: true };
    const before = recorded(lab.lab).length;
    const calls = (): readonly string[] => recorded(lab.lab).slice(before);
    const refused = await lab.pod(annotations);
    expect(errorOf(await lab.call('ADD', refused, isolated)).message).toContain(
      'namespace isolation enabled, annotation violates permission: cannot use device "0000:01:00.1"',
    );
    expect(calls()).toEqual([]);
    await expectNothingLeft(refused);
    for (const open of [OWN, { ...isolated, isolateDevices: false }]) {
      const pod = await lab.pod(annotations);
      await added(pod, open);
      await deleted(pod, open);
    }
    expect(calls().map((call) => call.includes('"deviceID":"0000:01:00.1"'))).toEqual(
      Array.from({ length: 4 }, () => true),
    );
  });

  it.each([
    ['256 KiB of nothing', `[${' '.repeat(250_000)}]`, undefined],
    ['half a list', '[{"name":"lan"', 'failed to parse pod Network Attachment Selection Annotation JSON format'],
    ['nulls', '[{"name":"lan"},null]', 'element 1 is not an object'],
    ['a way out', '../lan', 'is not a name'],
    ['a way out in JSON', '[{"name":"../../secrets/x"}]', 'cannot find a network-attachment-definition'],
    ['a thousand', Array.from({ length: 1000 }, () => 'nowhere').join(), 'cannot find a network-attachment-definition'],
    ['one interface twice', 'lan@x0,wan@x0', 'of this pod has that name'],
    ['an interface that is there', 'lan@lo', 'already exists'],
  ])('may be %s', async (_, annotation, why) => {
    const pod = await lab.pod(networks(annotation));
    const outcome = await lab.call('ADD', pod, OWN);
    if (why === undefined) {
      expect(outcome).toMatchObject(OK);
      return deleted(pod);
    }
    const { message } = errorOf(outcome);
    expect(message).toContain(why);
    expect(message.length).toBeLessThan(6000);
    await expectNothingLeft(pod);
  });

  it('stop delegates that never end, or print without end, and say no secrets', async () => {
    fake(lab.lab, 'endless', 'sleep 1000');
    fake(lab.lab, 'talkative', 'exec cat /dev/zero');
    await lab.define('endless', { cniVersion: '1.1.0', type: 'endless', password: 'hunter2' });
    await lab.define('talkative', { cniVersion: '1.1.0', type: 'talkative', password: 'hunter2' });
    for (const name of ['endless', 'talkative']) {
      const pod = await lab.pod(networks(`lan,${name}`));
      const outcome = await lab.call('ADD', pod, { ...OWN, delegateTimeout: 1, logLevel: 'error' });
      expect(outcome).toMatchObject({ exitCode: 1 });
      expect(outcome.stdout + outcome.stderr).not.toContain('hunter2');
      expect(await interfacesIn(pod)).toEqual(['lo']);
      fake(lab.lab, name, 'exit 0'); // its DEL did not end either, and is remembered
      await deleted(pod);
      await expectNothingLeft(pod);
    }
  });
});

describe('a pod', () => {
  it.each(VERSIONS)('that is gone gets nothing, and no error: %s', async (cniVersion) => {
    const pod = await lab.pod(networks('lan'));
    await lab.deletePod(pod);
    const outcome = await lab.call('ADD', pod, { ...OWN, cniVersion });
    expect(outcome).toMatchObject(OK);
    expect(JSON.parse(outcome.stdout)).toMatchObject(
      isOldest(cniVersion)
        ? { cniVersion, ip4: { ip: '0.0.0.0/0' } }
        : {
            cniVersion,
            interfaces: [{ name: 'eth0', sandbox: pod.netns.path }],
            ips: [{ address: '0.0.0.0/0', gateway: '0.0.0.0' }],
          },
    );
    await deleted(pod, { ...OWN, cniVersion });
    await expectNothingLeft(pod);
  });

  it('of another UID is another pod', async () => {
    const pod = await lab.pod();
    const uid = '4f0c9f3e-7c0f-4d33-9a0e-1d6a1f7c2b11';
    const { message } = errorOf(await lab.call('ADD', pod, OWN, { uid }));
    expect(message).toContain(`expected pod UID "${uid}" but got "${pod.uid}" from Kube API`);
    expect(await lab.call('ADD', pod, OWN, { uid: '' })).toMatchObject(OK);
    await deleted(pod);
  });

  it('that is static waits for its object, which has another UID', { tags: 'multus/static-pod' }, async () => {
    const pod = await lab.pod();
    await lab.deletePod(pod);
    const adding = lab.call('ADD', pod, OWN, { uid: '0123456789abcdef0123456789abcdef' });
    await sleep(500);
    const annotations = { ...networks('lan'), 'kubernetes.io/config.source': 'file' };
    await createPod(cluster, { ...pod, annotations });
    expect(await adding).toMatchObject(OK);
    expect(await interfacesIn(pod)).toEqual(['lo', 'eth0', 'net1']);
    await deleted(pod);
  });

  it('that Kubernetes does not know of gets the networks of the configuration', { tags: 'multus/no-pod' }, async () => {
    const pod = await lab.pod(networks('lan'));
    expect(await lab.call('ADD', { ...pod, name: '' }, OWN, { uid: '' })).toMatchObject(OK);
    expect(await interfacesIn(pod)).toEqual(['lo', 'eth0']);
    await deleted(pod);
  });
});

interface Route {
  readonly dst: string;
  readonly gateway?: string;
  readonly dev: string;
}

describe('default-route', () => {
  it('moves the default route of each family, in the pod and in the records', {
    tags: 'multus/default-route',
  }, async () => {
    const dual = (a: number) => ({
      type: 'whereabouts',
      datastore: 'file',
      data_dir: lab.lab.folder('store'),
      ipRanges: [{ range: `10.${a}.0.0/24` }, { range: `fd0${a}::/64` }],
      gateway: `10.${a}.0.254`,
    });
    const gateways = { delegates: [macvlan('first', { ipam: dual(1) })] };
    await lab.define('second', macvlan('second', { ipam: dual(2) }));
    const defaults = async (pod: ClusterPod): Promise<readonly string[]> => {
      const routes = (await stateOf(pod.netns.name)).routes as unknown as readonly Route[];
      return routes
        .filter(({ dst }) => dst === 'default')
        .map(({ gateway, dev }) => `${gateway} ${dev}`)
        .sort();
    };
    const plain = await lab.pod(networks('second'));
    await added(plain, gateways);
    const before = await defaults(plain);
    await deleted(plain, gateways);
    const pod = await lab.pod(networks([{ name: 'second', 'default-route': ['10.2.0.254', 'fd02::fe'] }]));
    await added(pod, gateways);
    expect(before).not.toContain('10.2.0.254 net1');
    expect(await defaults(pod)).toEqual(['10.2.0.254 net1', 'fd02::fe net1']);
    const results = Object.entries(lab.records()).filter(([name]) => name.includes(pod.containerId));
    const routes = results.flatMap(([, text]) =>
      [...text.matchAll(/"dst":"[0:.]+\/0","gw":"([^"]+)"/g)].map(([, gw]) => gw),
    );
    expect(routes.sort()).toEqual(['10.2.0.254', 'fd02::fe']);
    expect(await lab.call('CHECK', pod, gateways)).toMatchObject(OK);
    await deleted(pod, gateways);
    await expectNothingLeft(pod);
    const none = await lab.pod(networks([{ name: 'second', 'default-route': [] }]));
    await added(none, gateways);
    expect(await defaults(none)).toEqual([]);
    await deleted(none, gateways);
    const two = await lab.pod(
      networks(['10.2.0.1', '10.2.0.2'].map((gw) => ({ name: 'second', 'default-route': [gw] }))),
    );
    expect(errorOf(await lab.call('ADD', two, gateways)).message).toContain(
      'multus does not support ECMP for default-route',
    );
    await expectNothingLeft(two);
  });
});

describe('records', () => {
  it('of the Go plugin are understood, and ours by it', async () => {
    const pods = [await lab.pod(networks('wan')), await lab.pod(networks('wan'))];
    const plain = { delegates: [macvlan('own')] };
    const [one, other] = pods as [ClusterPod, ClusterPod];
    expect(await lab.call('ADD', one, plain, { side: GO })).toMatchObject(OK);
    await added(other, plain);
    expect(await lab.call('CHECK', one, plain)).toMatchObject(OK);
    await deleted(one, plain);
    expect(await lab.call('DEL', other, plain, { side: GO })).toMatchObject(OK);
    await expectNothingLeft(one);
    await expectNothingLeft(other);
  });

  it('may be lost or damaged: what is left of them says what to delete', async () => {
    for (const damage of ['', '[{"Conf"']) {
      const pod = await lab.pod(networks('lan,wan'));
      await added(pod);
      const scratch = join(lab.cniDir, pod.containerId);
      if (damage === '') {
        rmSync(scratch);
      } else {
        writeFileSync(scratch, damage);
      }
      expect(await lab.call('DEL', pod, OWN, { more: { kubeconfig: '/nowhere' } })).toMatchObject(OK);
      await expectNothingLeft(pod);
    }
  });

  it('tell GC of networks that only annotations name', async () => {
    const [kept, lost] = [await lab.pod(networks('lan')), await lab.pod(networks('lan'))];
    await added(kept);
    await added(lost);
    const valid = [{ containerID: kept.containerId, ifname: 'eth0' }];
    const more = { 'cni.dev/valid-attachments': valid };
    expect(await lab.call('GC', kept, OWN, { more, netns: '' })).toMatchObject(OK);
    await expectNothingLeft(lost);
    expect(await interfacesIn(kept)).toEqual(['lo', 'eth0', 'net1']);
    expect(await lab.call('CHECK', kept, OWN)).toMatchObject(OK);
    await deleted(kept);
  });
});

describe('whatever happens to a call', () => {
  it('nothing is left after DEL when ADD is killed at any step', { timeout: 300_000 }, async () => {
    const pod = await lab.pod(networks('lan,wan'));
    await killAfterEach(15, {
      call: async (last) => lab.call('ADD', pod, OWN, { env: await killedAfter('multus', lab.lab.dir, last) }),
      after: async () => {
        await deleted(pod, OWN, { kubeconfig: '/nowhere' });
        await eventually(() => interfacesIn(pod), ['lo']);
        expect(keptOf(pod)).toEqual([]);
      },
    });
  });

  it('the API server is away: pods can go, and come when it is back', { timeout: 300_000 }, async () => {
    const [old, next] = [await lab.pod(networks('lan')), await lab.pod(networks('lan'))];
    await added(old);
    await cluster.apiServer().stop();
    const refused: Outcome = await lab.call('ADD', next, OWN);
    expect(errorOf(refused)).toMatchObject({ code: 11 });
    await deleted(old);
    await deleted(next);
    await expectNothingLeft(old);
    await expectNothingLeft(next);
    await cluster.restart();
    await added(next);
    await deleted(next);
  });

  it('a server that is slow is waited for', { tags: 'multus/patience', timeout: 60_000 }, async () => {
    const pod = await lab.pod(networks('lan'));
    lab.tunnel.delayMs = 350; // and as much back
    try {
      await added(pod);
      await deleted(pod);
    } finally {
      lab.tunnel.delayMs = 0;
    }
  });
});

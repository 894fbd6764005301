/** Our agent in the place of Go's multus-daemon: the same requests for both. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../lab/eventually.ts';
import { execute } from '../lab/execute.ts';
import { fake } from '../lab/fakes.ts';
import { VERSIONS } from '../lab/programs.ts';
import { installThick } from '../peers/peers.ts';
import { type Cluster, startCluster } from './cluster.ts';
import { applyNads } from './manifests.ts';
import { type ClusterPod, MultusLab, NETWORKS_KEY } from './multus-lab.ts';
import { type Answer, type Asking, startThick, type ThickServer, type Whose } from './thick-servers.ts';

let cluster: Cluster;
let lab: MultusLab;
let sides: readonly Side[];

interface Side {
  readonly whose: Whose;
  readonly server: ThickServer;
  readonly pod: ClusterPod;
}

/** What each delegate was called with, by side. */
const NOTE = `{ echo "== $CNI_COMMAND $CNI_IFNAME $CNI_ARGS"; cat; echo; } >> "$NOTES"`;
const RESULT = JSON.stringify({
  cniVersion: '1.1.0',
  interfaces: [{ name: '$CNI_IFNAME', sandbox: '$CNI_NETNS', mac: '02:00:00:00:00:07' }],
  ips: [{ address: '192.0.2.7/24', interface: 0 }],
});
const ANSWER = `[ "$CNI_COMMAND" = ADD ] && cat <<END || true\n${RESULT}\nEND`;

beforeAll(async () => {
  cluster = await startCluster();
  await applyNads(cluster);
  lab = await MultusLab.open(cluster, cluster.kubeconfig('multus'));
  fake(lab.lab, 'plain', `${NOTE}\n${ANSWER}`);
  fake(lab.lab, 'quiet', `cat > /dev/null\n${ANSWER}`);
  fake(lab.lab, 'fails', `cat > /dev/null; echo '{"code": 77, "msg": "no <good>", "details": "d"}'; exit 1`);
  const notReady = `echo '{"code": 50, "msg": "not ready", "details": "d<e"}'; exit 1`;
  fake(lab.lab, 'late', `cat > /dev/null; [ "$CNI_COMMAND" = STATUS ] || exit 0; ${notReady}`);
  await lab.define('lan', { cniVersion: '1.1.0', type: 'plain' });
  sides = await Promise.all(
    (['go', 'ours'] as const).map(async (whose) => ({
      whose,
      server: await startThick(whose, cluster, lab),
      pod: await lab.pod({ [NETWORKS_KEY]: 'lan' }),
    })),
  );
});

afterAll(async () => {
  await Promise.all((sides ?? []).map(({ server }) => server[Symbol.asyncDispose]()));
  await lab?.[Symbol.asyncDispose]();
  await cluster?.[Symbol.asyncDispose]();
});

const base64 = (document: unknown): string =>
  Buffer.from(typeof document === 'string' ? document : JSON.stringify(document)).toString('base64');

const argsOf = ({ namespace, name, containerId, uid }: ClusterPod): string =>
  `IgnoreUnknown=1;K8S_POD_NAMESPACE=${namespace};K8S_POD_NAME=${name};K8S_POD_INFRA_CONTAINER_ID=${containerId};K8S_POD_UID=${uid}`;

type Variables = Readonly<Record<string, string | undefined>>;

/** The pod's variables of a call, of which some may be others, or missing. */
const call =
  (verb: string | undefined, config: unknown = multus(), env: Variables = {}, rest: object = {}) =>
  (pod: ClusterPod): object => ({
    env: {
      CNI_COMMAND: verb,
      CNI_CONTAINERID: pod.containerId,
      CNI_NETNS: pod.netns.path,
      CNI_IFNAME: 'eth0',
      CNI_ARGS: argsOf(pod),
      HOME: '/root',
      ...env,
    },
    config: base64(config),
    ...rest,
  });

const multus = (type = 'quiet', more: object = {}) => ({
  cniVersion: '1.1.0',
  name: 'node',
  type: 'multus-shim',
  delegates: [{ cniVersion: '1.1.0', name: 'own', type }],
  ...more,
});

const network = (type = 'quiet') => ({
  cniVersion: '1.1.0',
  name: 'net',
  type,
  capabilities: { ips: true, mac: true },
});

interface Case {
  readonly title: string;
  readonly path?: string;
  readonly method?: string;
  readonly body?: string | object | ((pod: ClusterPod) => object);
}

function ask({ server, pod }: Side, { path = '/cni', method = 'POST', body = '' }: Case): Promise<Answer> {
  const asking: Asking = { method, body: typeof body === 'function' ? body(pod) : body };
  return server.ask(path, asking);
}

/** The answers of both, with the names of their pods made equal. */
async function both(one: Case): Promise<{ readonly go: Answer; readonly ours: Answer }> {
  const [go, ours] = (await Promise.all(
    sides.map(async (side) => {
      const { body, ...answer } = await ask(side, one);
      return { ...answer, body: withoutNames(body, side) };
    }),
  )) as [Answer, Answer];
  return { go, ours };
}

const withoutNames = (text: string, { whose, pod }: Side): string =>
  text
    .replaceAll(pod.name, 'POD')
    .replaceAll(pod.uid, 'UID')
    .replaceAll(pod.netns.name, 'NETNS')
    .replaceAll(`thick-${whose}`, 'thick');

const hotPlug = (verb: string, more: object = {}, env: Variables = {}): Pick<Case, 'path' | 'body'> => ({
  path: '/delegate',
  body: call(verb, network(), { CNI_IFNAME: 'net3', ...env }, more),
});

it('the configuration of the shim is that of Go, to the byte', async () => {
  const file = (whose: Whose) => join(lab.lab.folder(`thick-${whose}`), 'net.d/00-multus.conf');
  // that of Go is there before it is whole
  const isWhole = (path: string): boolean => existsSync(path) && readFileSync(path, 'utf8').trimEnd().endsWith('}');
  await expect.poll(() => sides.every(({ whose }) => isWhole(file(whose))), { timeout: 30_000 }).toBe(true);
  const [go, ours] = sides.map((side) => withoutNames(readFileSync(file(side.whose), 'utf8'), side));
  expect(ours).toBe(go);
  expect(JSON.parse(go ?? '')).toMatchObject({ type: 'multus-shim', name: 'multus-cni-network' });
});

describe('a request is answered as by Go', () => {
  const cases: readonly Case[] = [
    { title: 'GET /healthz', path: '/healthz', method: 'GET' },
    { title: 'POST /healthz', path: '/healthz' },
    { title: 'HEAD /healthz', path: '/healthz', method: 'HEAD' },
    { title: 'PUT /healthz', path: '/healthz', method: 'PUT' },
    { title: 'GET /healthz with a query', path: '/healthz?x=1', method: 'GET' },
    { title: 'GET /cni', method: 'GET' },
    { title: 'DELETE /delegate', path: '/delegate', method: 'DELETE' },
    { title: 'a page that is not there', path: '/cni/x', method: 'GET' },
    { title: 'STATUS', body: call('STATUS') },
    { title: 'STATUS without a pod', body: { env: { CNI_COMMAND: 'STATUS' }, config: base64(multus()) } },
    { title: 'STATUS with keys in other letters', body: { ENV: { CNI_COMMAND: 'STATUS' }, Config: base64(multus()) } },
    { title: 'STATUS of a network that is not ready', body: call('STATUS', multus('late')) },
    { title: 'STATUS of one interface', ...hotPlug('STATUS') },
    { title: 'STATUS of one interface that is not ready', path: '/delegate', body: call('STATUS', network('late')) },
    { title: 'CHECK of nothing', body: call('CHECK', multus('quiet'), { CNI_CONTAINERID: 'nobody' }) },
    { title: 'DEL of nothing', body: call('DEL', multus('quiet'), { CNI_CONTAINERID: 'nobody' }) },
  ];

  it.each(cases)('$title', async (one) => {
    const { go, ours } = await both(one);
    expect(ours).toEqual(go);
  });

  it('POST /readyz, which newer shims ask', async () => {
    const [, ours] = sides as [Side, Side];
    expect(await ask(ours, { title: '', path: '/readyz' })).toMatchObject({ status: 200, body: '' });
  });
});

describe('a request that is none is refused', () => {
  const cases: readonly Case[] = [
    { title: 'empty', body: '' },
    { title: 'no JSON', body: '{"a' },
    { title: 'a list', body: [] },
    { title: 'null', body: 'null' },
    { title: 'an empty object', body: {} },
    { title: 'more than one document', body: '{} x' },
    { title: 'env: a list', body: { env: [] } },
    { title: 'env: a number in it', body: { env: { CNI_COMMAND: 1 } } },
    { title: 'env: null', body: { env: null } },
    { title: 'config: a number', body: (pod) => ({ ...call('ADD')(pod), config: 1 }) },
    { title: 'config: no base64', body: (pod) => ({ ...call('ADD')(pod), config: '%%' }) },
    { title: 'config: missing', body: (pod) => ({ ...call('ADD')(pod), config: undefined }) },
    { title: 'config: base64 without its end', body: (pod) => ({ ...call('ADD')(pod), config: 'e30' }) },
    { title: 'config: no JSON', body: call('ADD', '{') },
    { title: 'config: a list', body: call('ADD', []) },
    { title: 'no verb', body: call(undefined) },
    { title: 'a verb in small letters', body: call('add') },
    { title: 'VERSION', body: call('VERSION') },
    ...['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_ARGS'].map((name) => ({
      title: `no ${name}`,
      body: call('ADD', multus(), { [name]: undefined }),
    })),
    ...['', 'a;b=c', 'a=b=c', 'K8S_POD_NAME=a', 'K8S_POD_NAMESPACE=a', 'K8S_POD_NAMESPACE=a;K8S_POD_NAME='].flatMap(
      (args) =>
        ['ADD', 'DEL'].map((verb) => ({
          title: `${verb} with CNI_ARGS "${args}"`,
          body: call(verb, multus(), { CNI_ARGS: args }),
        })),
    ),
    ...['ADD', 'CHECK'].map((verb) => ({
      title: `${verb} of a pod that nobody knows`,
      body: call(verb, multus(), { CNI_ARGS: 'K8S_POD_NAMESPACE=default;K8S_POD_NAME=nobody' }),
    })),
    { title: 'ips: a text', ...hotPlug('ADD', { interfaceAttributes: { ips: '192.0.2.1' } }) },
    { title: 'mac: a number', ...hotPlug('ADD', { interfaceAttributes: { mac: 1 } }) },
    { title: 'cni-args: a list', ...hotPlug('ADD', { interfaceAttributes: { 'cni-args': [] } }) },
    { title: 'interfaceAttributes: a list', ...hotPlug('ADD', { interfaceAttributes: [] }) },
  ];

  it.each(cases)('$title', { tags: 'multus/thick-words' }, async (one) => {
    const { go, ours } = await both(one);
    expect([ours.status, ours.type]).toEqual([400, 'text/plain; charset=utf-8']);
    expect([go.status, go.type]).toEqual([400, 'text/plain; charset=utf-8']);
    expect(ours.body).toMatch(/^[^\n]+\n$/);
  });
});

describe('a call that fails is told of in the words of Go, up to the cause', () => {
  const other: Variables = { CNI_CONTAINERID: 'other' };
  const cases: readonly Case[] = [
    { title: 'an empty configuration', body: call('ADD', {}, other) },
    { title: 'no delegates', body: call('ADD', multus('quiet', { delegates: undefined }), other) },
    { title: 'a word for a switch', body: call('ADD', multus('quiet', { namespaceIsolation: 'false' }), other) },
    { title: 'an empty container ID', body: call('ADD', multus(), { CNI_CONTAINERID: '' }) },
    { title: 'a path for a container ID', body: call('ADD', multus(), { CNI_CONTAINERID: '../x' }) },
    { title: 'an empty namespace', body: call('ADD', multus(), { ...other, CNI_NETNS: '' }) },
    { title: 'no namespace', body: call('ADD', multus(), { ...other, CNI_NETNS: '/run/netns/nobody' }) },
    { title: 'a long name', body: call('ADD', multus(), { ...other, CNI_IFNAME: 'abcdefghijklmnop' }) },
    { title: 'a plugin that is missing', body: call('ADD', multus('nobody'), other) },
    ...['ADD', 'CHECK', 'DEL'].map((verb) => ({
      title: `a network whose ${verb} fails`,
      body: call(verb, multus('fails'), other),
    })),
    ...['ADD', 'CHECK', 'DEL'].map((verb) => ({
      title: `one interface whose ${verb} fails`,
      path: '/delegate',
      body: call(verb, network('fails'), { ...other, CNI_IFNAME: 'net4' }),
    })),
    { title: 'another pod of that name', body: (pod) => call('ADD')({ ...pod, uid: 'another' }) },
    { title: 'one interface without a name', path: '/delegate', body: call('ADD', { type: 'quiet' }) },
    { title: 'one interface without a type', path: '/delegate', body: call('ADD', { name: 'net' }) },
    { title: 'GC of one interface', ...hotPlug('GC') },
    { title: 'a hardware address that is none', ...hotPlug('ADD', { interfaceAttributes: { mac: 'x' } }) },
    { title: 'an address that is none', ...hotPlug('ADD', { interfaceAttributes: { ips: ['x'] } }) },
  ];
  const PRINTED = /^(ContainerID:.* ERRORED: )(error configuring pod \[[^\]]*\] networking: )?/;

  it.each(cases)('$title', { tags: 'multus/thick-words' }, async (one) => {
    const { go, ours } = await both(one);
    const [words] = PRINTED.exec(go.body) ?? [''];
    expect([go.status, words]).toEqual([400, expect.stringContaining('ERRORED: ')]);
    expect([ours.status, ours.type, PRINTED.exec(ours.body)?.[0]]).toEqual([
      go.status,
      go.type,
      mayBeLonger(one, words),
    ]);
  });
});

/** Of a type that is missing Go speaks earlier than of others, without the pod. */
const mayBeLonger = ({ title }: Case, words: string): unknown =>
  title === 'one interface without a type' ? expect.stringContaining(words) : words;

describe('a pod', () => {
  const RESULT_TYPE = 'application/json';

  it('has its networks, and hot-plugged ones, as by Go', {
    tags: ['multus/thick-overlay', 'multus/thick-args'],
  }, async () => {
    const attributes = { ips: ['192.0.2.9/24'], mac: '02:00:00:00:00:09', 'cni-args': { a: 1 } };
    const noted = (type = 'plain') => multus(type);
    const lan = { ...network('plain'), name: 'lan' };
    const plugged: Variables = { CNI_IFNAME: 'net3' };
    const steps: readonly Case[] = [
      { title: 'ADD', body: call('ADD', noted()) },
      { title: 'CHECK', body: call('CHECK', noted()) },
      { title: 'plug', path: '/delegate', body: call('ADD', lan, plugged, { interfaceAttributes: attributes }) },
      { title: 'check', path: '/delegate', body: call('CHECK', lan, plugged, { interfaceAttributes: attributes }) },
      { title: 'unplug', path: '/delegate', body: call('DEL', lan, plugged, { interfaceAttributes: attributes }) },
      { title: 'unplug again', path: '/delegate', body: call('DEL', lan, plugged) },
      { title: 'DEL', body: call('DEL', noted()) },
      { title: 'DEL again', body: call('DEL', noted()) },
    ];
    for (const step of steps) {
      const { go, ours } = await both(step);
      expect(go, step.title).toMatchObject({ status: 200 });
      const type = ['ADD', 'plug'].includes(step.title) ? RESULT_TYPE : go.type;
      expect(ours, step.title).toEqual({ ...go, type });
    }
    await eventually(async () => {
      const [ofGo = [], own = []] = await Promise.all(sides.map(({ pod }) => lab.events(pod)));
      return [ofGo.filter((event) => !own.includes(event)), own.filter((event) => !ofGo.includes(event))];
    }, [[], []]); // the daemon of Go sends them in its own time
    const [go, ours] = (await Promise.all(sides.map(seen))) as [Seen, Seen];
    expect(ours.events).toEqual(go.events);
    expect(ours.status).toEqual(go.status);
    expect(ours.calls.map(({ call: one }) => one)).toEqual(CALLS);
    const added = (side: Seen) => side.calls.filter(({ call: one }) => one.startsWith('ADD '));
    expect(added(ours).map(({ stdin }) => stdin)).toEqual(added(go).map(({ stdin }) => withoutOverlay(stdin)));
    for (const [index, { args }] of added(go).entries()) {
      const [own] = args.split(';MAC='); // Go does not know the container of a hot-plugged interface
      const pairs = own?.replace(/;K8S_POD_INFRA_CONTAINER_ID=[^;]*/, '').split(';') ?? [];
      expect(added(ours)[index]?.args.split(';')).toEqual(expect.arrayContaining(pairs));
    }
  });

  it('that nobody knows is deleted without its UID', { tags: 'multus/thick-uid' }, async () => {
    const args = 'K8S_POD_NAMESPACE=default;K8S_POD_NAME=nobody';
    const { go, ours } = await both({ title: '', body: call('DEL', multus(), { CNI_ARGS: args }) });
    expect([go.status, ours.status]).toEqual([400, 200]);
  });

  it('that is gone gets a result without a network', async () => {
    const args = 'K8S_POD_NAMESPACE=default;K8S_POD_NAME=nobody;K8S_POD_UID=u';
    const { go, ours } = await both({ title: '', body: call('ADD', multus(), { CNI_ARGS: args }) });
    expect(ours).toEqual({ ...go, type: RESULT_TYPE });
    expect(JSON.parse(ours.body)).toMatchObject({ Result: { ips: [{ address: '0.0.0.0/0' }] } });
  });

  it.each(VERSIONS)('that is gone gets it through the shim of Go in version %s', async (cniVersion) => {
    const [, { server, pod }] = sides as [Side, Side];
    const args = 'IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=nobody;K8S_POD_UID=u';
    const outcome = await execute([join(installThick(), 'multus-shim')], {
      env: {
        CNI_COMMAND: 'ADD',
        CNI_CONTAINERID: 'gone',
        CNI_NETNS: pod.netns.path,
        CNI_IFNAME: 'eth0',
        CNI_ARGS: args,
        CNI_PATH: '/nowhere',
      },
      stdin: JSON.stringify({ ...multus(), cniVersion, daemonSocketDir: dirname(server.socket) }),
    });
    expect(outcome, outcome.stdout).toMatchObject({ exitCode: 0 });
    const own = await lab.call(
      'ADD',
      { ...pod, name: 'nobody', uid: 'u' },
      { delegates: multus().delegates, cniVersion },
    );
    expect(outcome.stdout).toBe(own.stdout);
  });

  it('has no network of a configuration without a name', { tags: 'multus/thick-name' }, async () => {
    const { go, ours } = await both({ title: '', body: call('ADD', multus('quiet', { name: undefined })) });
    expect([go.status, ours.status]).toEqual([200, 400]);
    await both({ title: '', body: call('DEL', multus('quiet')) });
  });
});

/** Go's CHECK leaves out networks of annotations. */
const CALLS = [
  'ADD eth0',
  'ADD net1',
  'CHECK eth0',
  'CHECK net1',
  'ADD net3',
  'CHECK net3',
  'DEL net3',
  'DEL net3',
  'DEL net1',
  'DEL eth0',
];

interface Seen {
  readonly events: readonly string[];
  readonly status: unknown;
  readonly calls: readonly { readonly call: string; readonly args: string; readonly stdin: unknown }[];
}

async function seen(side: Side): Promise<Seen> {
  const { whose, pod } = side;
  const file = join(lab.lab.folder(`thick-${whose}`), 'notes');
  const notes = existsSync(file) ? withoutNames(readFileSync(file, 'utf8'), side).split('== ').slice(1) : [];
  const calls = notes.map((note) => {
    const [head = '', stdin = ''] = note.split('\n');
    const [verb, ifName, args = ''] = head.split(' ');
    return { call: `${verb} ${ifName}`, args, stdin: JSON.parse(stdin) as unknown };
  });
  return {
    events: await lab.events(pod),
    status: JSON.parse((await lab.status(pod)) ?? 'null'),
    calls: calls.slice(calls.findIndex(({ call: one }) => one.startsWith('ADD'))),
  };
}

/** The daemon's keys, which a hot-plugged network has of Go. */
function withoutOverlay(stdin: unknown): unknown {
  const keys = ['binDir', 'cniConfigDir', 'cniDir', 'logLevel', 'logToStderr', 'multusAutoconfigDir', 'socketDir'];
  return Object.fromEntries(Object.entries(stdin as object).filter(([key]) => !keys.includes(key)));
}

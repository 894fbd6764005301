/**
 * A rehearsal, run by the build right before it takes the snapshot: attachments from ADD to DEL against a kernel that
 * accepts everything. The code compiled for it is in the snapshot, and need not be compiled at each start.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { JsonObject } from '../lib/cni/json.ts';
import { runPlugin } from '../lib/cni/run.ts';
import { makeScope, type Scope, scopeWith } from '../lib/cni/scope.ts';
import { makeSuite, type Registry } from '../lib/cni/suite.ts';
import { CLIENTS, Clients } from '../lib/kube/lazy-client.ts';
import { makeNode, type Node } from '../lib/node/node.ts';
import { MARK_BYTES, markOf } from '../lib/sys/build-id.ts';
import type { Database } from '../lib/sys/database.ts';
import type { Slot } from '../lib/sys/shared.ts';
import { formatSequence, sequenceIn } from '../plugins/whereabouts/embedded/sequence.ts';
import { agreeableConnector, type Objects } from './agreeable-api-server.ts';
import { agreeableDatabase } from './agreeable-database.ts';
import { agreeableNative, PARENT, ROUTED } from './agreeable-kernel.ts';
import { withoutTime } from './stopped-clock.ts';
import { askApiServer, byAnnotationIn, objectsIn, type Rehearsed } from './warm-cluster.ts';

/** The second finds what the first has left: a store, folders, a file of owners. */
const ROUNDS = 2;

/** Always the same, for reproducible builds: its name ends up in the snapshot. One build at a time comes here. */
const FOLDER = '/tmp/braid-build-warm-up';
const MARK = markOf('rehearsal');

/** @throws Error when a call of the rehearsal fails: the build would be slower, unnoticed */
export async function warmUp(registry: Registry): Promise<void> {
  const folder = FOLDER;
  rmSync(folder, { recursive: true, force: true }); // of a build that was killed
  mkdirSync(folder, { mode: 0o700 });
  try {
    const bin = join(folder, 'bin');
    mkdirSync(bin);
    for (const name of Object.keys(registry)) {
      writeFileSync(join(bin, name), Buffer.concat([Buffer.alloc(MARK_BYTES), MARK]));
    }
    // A store whose name is always the same: what names a new one is random, and would stay in the snapshot.
    mkdirSync(join(folder, 'addresses'));
    writeFileSync(sequenceIn(join(folder, 'addresses')), formatSequence({ id: '00000000', number: 0 }));
    await withoutTime(() => rehearseAll(registry, folder));
    await resetTimers();
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function rehearseAll(registry: Registry, folder: string): Promise<void> {
  const objects = objectsIn(folder);
  const scope = agreeableHost(registry, folder, objects);
  for (let round = 0; round < ROUNDS; round++) {
    for (const conf of [...confsIn(folder), hostLocalIn(folder), byAnnotationIn(folder)]) {
      const results = new Map<string, JsonObject>();
      for (const verb of ['VERSION', 'STATUS', 'ADD', 'CHECK', 'DEL', 'GC']) {
        await rehearse(verb, conf, scope, results);
      }
    }
    await askApiServer(folder, objects);
  }
}

/** Node remembers the due time of its next timer, even a cancelled one; after a timer has fired, nothing. */
const resetTimers = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1));

const STATIC = { type: 'static', addresses: [{ address: ROUTED, gateway: '203.0.113.1' }] };

function confsIn(folder: string): readonly Rehearsed[] {
  const ipam = {
    type: 'whereabouts',
    datastore: 'file',
    data_dir: join(folder, 'addresses'),
    range: '192.0.2.0/24',
    gateway: '192.0.2.1',
    exclude: ['192.0.2.0/28'],
    routes: [{ dst: '198.51.100.0/24' }],
  };
  const macvlan = {
    cniVersion: '1.1.0',
    name: 'warm',
    type: 'macvlan',
    master: PARENT,
    mode: 'bridge',
    mac: '02:02:02:02:02:02', // a random one would end up in the snapshot
    mtu: 1500,
  };
  const tuning = {
    type: 'tuning',
    mtu: 1400,
    sysctl: { 'net.ipv4.conf.IFNAME.arp_filter': '1' },
    dataDir: join(folder, 'tuning'),
  };
  const fixed = { type: 'static', addresses: [{ address: '203.0.113.2/24', gateway: '203.0.113.1' }] };
  const other = { ...ipam, range: '198.51.100.0/25' };
  return [
    { ...macvlan, name: 'warm-layer-2' },
    {
      cniVersion: '1.1.0',
      name: 'warm-multus',
      type: 'multus',
      cniDir: join(folder, 'multus'),
      binDir: join(folder, 'bin'),
      logToStderr: false,
      delegates: [
        { ...macvlan, name: 'warm-a', ipam },
        { cniVersion: '1.1.0', name: 'warm-b', plugins: [{ ...macvlan, ipam: fixed }, tuning] },
        { ...macvlan, name: 'warm-c', ipam: other },
        { cniVersion: '1.1.0', name: 'warm-d', plugins: [{ ...macvlan, ipam: STATIC }, { type: 'sbr' }] },
      ],
    },
  ];
}

const hostLocalIn = (folder: string): Rehearsed => ({
  cniVersion: '1.1.0',
  name: 'warm-host-local',
  type: 'host-local',
  ipam: {
    type: 'host-local',
    dataDir: join(folder, 'networks'),
    ranges: [[{ subnet: '192.0.2.0/24', rangeStart: '192.0.2.9' }], [{ subnet: '2001:db8::/64' }]],
    routes: [{ dst: '198.51.100.0/24' }],
  },
});

async function rehearse(verb: string, conf: Rehearsed, scope: Scope, results: Map<string, JsonObject>): Promise<void> {
  const load = scope.suite.registry[conf.type];
  if (load === undefined) {
    return;
  }
  const env = {
    CNI_COMMAND: verb,
    CNI_CONTAINERID: 'warm',
    CNI_NETNS: '/proc/self/ns/net',
    CNI_NETNS_OVERRIDE: '1',
    CNI_IFNAME: 'eth0',
    CNI_PATH: join(FOLDER, 'bin'),
    CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAMESPACE=warm;K8S_POD_NAME=up;K8S_POD_UID=warm',
  };
  const prevResult = results.get('ADD');
  const document = { ...conf, ...(verb === 'CHECK' && prevResult ? { prevResult } : {}) };
  const readStdin = (): Buffer => Buffer.from(JSON.stringify(document));
  const { stdout, exitCode } = await runPlugin(await load(), { env, readStdin }, scope);
  // the fake kernel does not remember addresses and routes, so CHECK finds them missing
  if (exitCode !== 0 && verb !== 'CHECK') {
    throw new Error(`the rehearsal of ${conf.type} ${verb} failed: ${stdout}`);
  }
  if (verb === 'ADD') {
    results.set(verb, JSON.parse(stdout) as JsonObject);
  }
}

function agreeableHost(registry: Registry, folder: string, objects: Objects): Scope {
  const native = agreeableNative(folder);
  const databases = new Map<string, Database>();
  const openDatabase = async (path: string): Promise<Database> => {
    const database = databases.get(path) ?? agreeableDatabase();
    databases.set(path, database);
    return database;
  };
  const clients = new Clients(agreeableConnector(objects));
  const real = makeNode({ loadNative: () => native });
  const shared = (slot: Slot<Disposable>): Disposable => (slot === CLIENTS ? clients : real.shared(slot));
  const node: Node = Object.create(real, { openDatabase: { value: openDatabase }, shared: { value: shared } });
  const scope = makeScope({ node, suite: makeSuite(registry, [MARK]), log: () => undefined });
  return scopeWith(scope, () => ({ sleep: () => Promise.resolve() }));
}

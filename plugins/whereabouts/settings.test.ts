import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { PodCall } from '../../lib/cni/call.ts';
import type { JsonObject } from '../../lib/cni/json.ts';
import { formatCidr } from '../../lib/net/cidr.ts';
import { temporaryFolder } from '../../lib/sys/testing/temporary.ts';
import { inCluster } from './cluster-place.ts';
import type { WhereaboutsConf } from './config.ts';
import { IpamConf } from './config.ts';
import { filledFrom, withFlatFile } from './flat-file.ts';
import type { ClusterPlace } from './place.ts';
import { readPlace, readSettings } from './settings.ts';
import { ipam } from './testing/fixtures.ts';

const FILE = { datastore: 'file', range: '10.0.0.0/24' };

const call = (conf: WhereaboutsConf, args = ''): PodCall<WhereaboutsConf> =>
  ({
    verb: 'ADD',
    conf,
    args,
    version: '1.0.0',
    network: 'net-a',
    env: { NODENAME: 'w-1' },
    containerId: 'id',
    ifName: 'net1',
  }) as Partial<PodCall<WhereaboutsConf>> as PodCall<WhereaboutsConf>;

const settings = (keys: JsonObject, args = '') => readSettings(call({ ipam: ipam(keys) }, args));

const K8S = 'IgnoreUnknown=1;K8S_POD_NAMESPACE=lab;K8S_POD_NAME=db-0;K8S_POD_INFRA_CONTAINER_ID=x;K8S_POD_UID=y';

describe('readSettings', () => {
  it('reads what there is, with the defaults for the rest', () => {
    expect(settings(FILE)).toMatchObject({
      place: { dataDir: '/var/lib/cni/whereabouts', networkName: '' },
      owner: { id: 'id', podref: '', ifname: 'net1', network: 'net-a' },
      protectOverlaps: true,
      gateway: undefined,
      statics: [],
      routes: [],
      dns: {},
    });
  });

  it('knows the pod by CNI_ARGS; an empty namespace is one too', () => {
    expect(settings(FILE, K8S).owner.podref).toBe('lab/db-0');
    expect(settings(FILE, 'K8S_POD_NAME=db-0').owner.podref).toBe('/db-0');
    expect(settings(FILE, 'K8S_POD_NAMESPACE=lab').owner.podref).toBe('');
  });

  it('matches keys without regard to case', () => {
    expect(settings({ DataStore: 'file', RANGE: '10.0.0.0/24', Network_Name: 'blue' }).place.networkName).toBe('blue');
  });

  it.each([
    [
      { ...FILE, type: 'host-local' },
      '',
      7,
      'cannot use "ipam.type" "host-local": only interested in networks whose IPAM type is \'whereabouts\'',
    ],
    [FILE, 'A=b', 4, 'cannot use CNI_ARGS: unknown arguments ["A=b"]'],
    [FILE, 'GATEWAY=10.1.1', 4, 'cannot use GATEWAY of CNI_ARGS: "10.1.1" is not an IP address'],
    [FILE, 'K8S_POD_NAME=a/b', 4, 'cannot use K8S_POD_NAME of CNI_ARGS: "a/b" is not a name, it has a "/"'],
    [
      FILE,
      'K8S_POD_NAME=b;K8S_POD_NAMESPACE=/',
      4,
      'cannot use K8S_POD_NAMESPACE of CNI_ARGS: "/" is not a name, it has a "/"',
    ],
    [FILE, 'IP=10.1.1.1', 4, 'cannot use IP of CNI_ARGS: "10.1.1.1" is not a CIDR address'],
    [
      { range: '10.0.0.0/24' },
      '',
      7,
      'config file not found: "ipam.datastore" is "" and there is no flat file that names a datastore; set "datastore": "file" to keep addresses on this node',
    ],
    [
      { datastore: 'kubernetes' },
      '',
      7,
      'config file not found: "ipam.datastore" is "kubernetes" and there is no flat file that names a datastore; set "datastore": "file" to keep addresses on this node',
    ],
    [
      { ...FILE, kubernetes: { kubeconfig: '/k' } },
      '',
      7,
      'cannot use "ipam.datastore" "file": "ipam.kubernetes.kubeconfig" is "/k" as well, and addresses are kept in one place only',
    ],
    [
      { ...FILE, node_slice_size: '/26' },
      '',
      7,
      'cannot use "ipam.node_slice_size" "/26": the "file" datastore has no slices',
    ],
    [{ ...FILE, data_dir: 'here' }, '', 7, 'cannot use "ipam.data_dir" "here": it is not an absolute path'],
    [
      { ...FILE, network_name: '../up' },
      '',
      7,
      'cannot use "ipam.network_name" "../up": it is not a lower case RFC 1123 name',
    ],
    [{ ...FILE, network_name: '_' }, '', 7, 'cannot use "ipam.network_name" "_": it is not a lower case RFC 1123 name'],
    [
      { ...FILE, network_name: 'Blue' },
      '',
      7,
      'cannot use "ipam.network_name" "Blue": it is not a lower case RFC 1123 name',
    ],
    [{ ...FILE, gateway: '10.0.0' }, '', 7, 'cannot use "ipam.gateway" "10.0.0": couldn\'t parse gateway IP'],
    [{ ...FILE, range: 'x' }, '', 7, 'cannot use "ipam.range" "x": invalid CIDR x'],
  ])('refuses %o with "%s"', (keys, args, code, message) => {
    expect(() => settings(keys, args)).toThrow(expect.objectContaining({ code, message }));
  });

  it.each([
    [{ range: 5 }, 'cannot use "ipam.range": 5 is not a string'],
    [{ datastore: 'flie' }, 'cannot use "ipam.datastore": "flie" is not one of "", "file", "kubernetes", "etcd"'],
    [{ leader_lease_duration: '1500' }, 'cannot use "ipam.leader_lease_duration": "1500" is not a whole number'],
    [{ enable_overlapping_ranges: 'false' }, 'cannot use "ipam.enable_overlapping_ranges": "false" is not a boolean'],
    [
      { ipRanges: [{ range: '10.0.0.0/24', exclude: '10.0.0.1' }] },
      'cannot use "ipam.ipRanges.0.exclude": "10.0.0.1" is not a list',
    ],
    [{ routes: [{ dst: 'x' }] }, 'cannot read "routes[0].dst": "x" is not a CIDR address'],
  ])('refuses the type of %o', (keys, message) => {
    expect(() => ipam(keys as JsonObject)).toThrow(expect.objectContaining({ code: 7, message }));
  });

  it('refuses a document without ipam', () => {
    expect(() => readSettings(call({}))).toThrow(
      expect.objectContaining({ code: 7, message: "IPAM config missing 'ipam' key" }),
    );
  });
});

describe('a cluster', () => {
  const CLUSTER = { range: '10.0.0.0/24', kubernetes: { kubeconfig: '/k' } };
  const PLACE: ClusterPlace = {
    kind: 'kubernetes',
    kubeconfig: '/k',
    dataDir: '/var/lib/cni/whereabouts',
    networkName: '',
    concurrency: 'cas',
  };

  it.each([{}, { datastore: 'kubernetes' }, { datastore: 'etcd', etcd_host: 'x' }])('is meant by %o', (keys) => {
    expect(settings({ ...CLUSTER, ...keys }).place).toEqual(PLACE);
  });

  it('may be changed more strictly', () => {
    expect(settings({ ...CLUSTER, concurrency: 'strict', data_dir: '/d' }).place).toEqual({
      ...PLACE,
      concurrency: 'strict',
      dataDir: '/d',
    });
  });

  it.each([
    [{ network_name: 'blue' }, 'blue', ''],
    [{}, 'net-a', ''],
    [{ node_slice_size: '26', configuration_path: '/' }, 'net-a', '/'],
  ])('may have slices for nodes: %o', (keys, pool, folder) => {
    const conf = ipam({ ...CLUSTER, node_slice_size: '/26', ...keys });
    expect(inCluster(PLACE, conf, { network: 'net-a', env: { NODENAME: 'w-1' } })).toMatchObject({
      slices: { pool, nodeName: { env: 'w-1', folder } },
    });
  });

  it.each([
    [{ node_slice_size: 'x' }, 'cannot use "ipam.node_slice_size" "x": it is not the length of a prefix'],
    [{ node_slice_size: '/26', network_name: '' }, 'cannot use "name" "Net_A"'],
    [{ concurrency: 'lease', leader_lease_duration: 900 }, 'cannot use "ipam.leader_lease_duration" "900"'],
    [{ concurrency: 'lease', leader_lease_duration: -1 }, 'cannot use "ipam.leader_lease_duration" "-1"'],
    [{ concurrency: 'lease', leader_retry_period: -5 }, 'cannot use "ipam.leader_retry_period" "-5"'],
    [
      { concurrency: 'lease', leader_renew_deadline: 1500 },
      'cannot use "ipam.leader_renew_deadline" "1500": it is not less than "leader_lease_duration", which is 1500',
    ],
    [
      { concurrency: 'lease', leader_retry_period: 900 },
      'cannot use "ipam.leader_renew_deadline" "1000": it is not more than 1.2 times "leader_retry_period", which is 900',
    ],
  ])('refuses %o, but not when it is to free', (keys, why) => {
    const conf = ipam({ ...CLUSTER, ...keys });
    expect(() => readSettings({ ...call({ ipam: conf }), network: 'Net_A' })).toThrow(why);
    expect(
      readPlace({ ipam: { ...CLUSTER, ...keys, type: 'whereabouts' } }, { network: 'Net_A', env: {} }).place,
    ).toEqual({
      ...PLACE,
      concurrency: conf.concurrency || 'cas',
    });
  });

  it('may be changed under a lease, whose times are the Go plugin’s where they are not set', () => {
    expect(settings({ ...CLUSTER, concurrency: 'lease', leader_lease_duration: 3000 }).place).toEqual({
      ...PLACE,
      concurrency: 'lease',
      lease: { durationMs: 3000, renewMs: 1000, retryMs: 500 },
    });
    expect(settings({ ...CLUSTER, leader_lease_duration: 3 }).place).toEqual(PLACE);
  });

  it('knows the node by a file in the folder that the flat file names', () => {
    using folder = temporaryFolder();
    const path = join(folder.path, 'whereabouts.conf');
    writeFileSync(path, JSON.stringify({ kubernetes: { kubeconfig: '/k' }, configuration_path: folder.path }));
    const own = { range: '10.0.0.0/24', node_slice_size: '/26' };
    const merged = withFlatFile(IpamConf, ipam(own), [path]);
    expect(inCluster(PLACE, merged, { network: 'net-a', env: {} })).toMatchObject({
      slices: { nodeName: { env: '', folder: folder.path } },
    });
  });

  it('is found by DEL, with the ranges that can be read', () => {
    const document = { ipam: { type: 9, range: '10.0.0.0/24', kubernetes: { kubeconfig: '/k' } } };
    expect(readPlace(document as JsonObject)).toMatchObject({ place: PLACE, ranges: undefined });
    const { place, ranges } = readPlace({ ipam: { ...CLUSTER, type: 'whereabouts' } });
    expect([place, ranges?.map(({ cidr }) => formatCidr(cidr))]).toEqual([PLACE, ['10.0.0.0/24']]);
  });
});

describe('the flat file', () => {
  /** Settings with a flat file of this content. */
  function withFile(flat: unknown, keys: JsonObject) {
    using folder = temporaryFolder();
    const path = join(folder.path, 'whereabouts.conf');
    writeFileSync(path, typeof flat === 'string' ? flat : JSON.stringify(flat));
    return settings({ ...keys, configuration_path: path });
  }

  it('fills what the configuration leaves out, and only that', () => {
    const { place, ranges, gateway } = withFile(
      { datastore: 'file', data_dir: '/flat', network_name: 'flat', gateway: '10.0.0.1', range: '10.7.0.0/16' },
      { network_name: 'own', range: '10.0.0.0/24', data_dir: '' },
    );
    expect([place, ranges.map(({ cidr }) => formatCidr(cidr)), gateway?.value]).toEqual([
      { kind: 'file', dataDir: '/flat', networkName: 'own' },
      ['10.0.0.0/24'],
      0x0a000001n,
    ]);
  });

  it('may give a range that goes before the configured ipRanges', () => {
    const { ranges } = withFile({ datastore: 'file', range: '10.7.0.0/16' }, { ipRanges: [{ range: '10.0.0.0/24' }] });
    expect(ranges.map(({ cidr }) => formatCidr(cidr))).toEqual(['10.7.0.0/16', '10.0.0.0/24']);
  });

  it('never decides about overlapping ranges', () => {
    const flat = { ...FILE, enable_overlapping_ranges: false };
    expect(withFile(flat, {}).protectOverlaps).toBe(true);
    expect(
      withFile({ ...flat, enable_overlapping_ranges: true }, { enable_overlapping_ranges: false }).protectOverlaps,
    ).toBe(false);
  });

  it('fills dns and kubernetes key by key, lists as a whole', () => {
    const filled = filledFrom(
      ipam({
        dns: { domain: 'own' },
        kubernetes: { k8s_api_root: '/api' },
        exclude: ['10.0.0.1'],
        leader_retry_period: 0,
      }),
      ipam({
        dns: { domain: 'flat', search: ['flat'] },
        kubernetes: { kubeconfig: '/k', k8s_api_root: '/other' },
        exclude: ['10.0.0.2', '10.0.0.3'],
        routes: [{ dst: '10.0.0.0/8' }],
        leader_retry_period: 7,
      }),
    );
    expect(filled).toMatchObject({
      dns: { domain: 'own', search: ['flat'] },
      kubernetes: { kubeconfig: '/k', k8s_api_root: '/api' },
      exclude: ['10.0.0.1'],
      routes: [{ dst: '10.0.0.0/8' }],
      leader_retry_period: 7,
    });
  });

  it.each([
    ['in the flat file', { datastore: 'file', kubernetes: { kubeconfig: '/k' } }, {}],
    ['beside the configuration\'s "file"', { kubernetes: { kubeconfig: '/k' } }, { datastore: 'file' }],
    ['beside the flat file\'s "file"', { datastore: 'file' }, { kubernetes: { kubeconfig: '/k' } }],
  ])('does not let "file" and a kubeconfig stand together: %s', (_, flat, keys) => {
    expect(() => withFile(flat, keys)).toThrow(
      expect.objectContaining({
        code: 7,
        message: expect.stringContaining('"ipam.kubernetes.kubeconfig" is "/k" as well'),
      }),
    );
  });

  it.each([
    ['{', 7, 'cannot read flat file "'],
    ['[]', 7, 'is not an object'],
    [{ range: 7 }, 7, 'range": 7 is not a string'],
    [{}, 7, 'you have not configured the storage engine'],
    [{ datastore: 'kubernetes' }, 7, '; set "datastore": "file" to keep addresses on this node'],
  ])('is refused when it is %o', (flat, code, fragment) => {
    expect(() => withFile(flat, {})).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(fragment) }),
    );
  });

  it('is the one that is named, else the first of the usual places that exists', () => {
    using folder = temporaryFolder();
    const [a, b, c] = ['a', 'b', 'c'].map((name) => join(folder.path, name)) as [string, string, string];
    writeFileSync(b, JSON.stringify({ network_name: 'b' }));
    writeFileSync(c, JSON.stringify({ network_name: 'c', data_dir: '/c' }));
    const read = (path: string) =>
      withFlatFile(IpamConf, ipam({ datastore: 'file', configuration_path: path }), [a, b, c]);
    expect([read('').network_name, read('').data_dir]).toEqual(['b', '']);
    expect(read(c).network_name).toBe('c');
    expect(() => read(join(folder.path, 'missing'))).toThrow(
      expect.objectContaining({
        code: 7,
        message: `cannot use "ipam.configuration_path" "${folder.path}/missing": there is no such file`,
      }),
    );
  });

  it('that is a folder or cannot be reached is an error that names it', () => {
    using folder = temporaryFolder();
    mkdirSync(join(folder.path, 'dir'));
    symlinkSync('loop', join(folder.path, 'loop'));
    const read = (path: string) => () => settings({ ...FILE, configuration_path: join(folder.path, path) });
    expect(read('dir')).toThrow(
      expect.objectContaining({
        code: 5,
        message: `cannot read flat file "${folder.path}/dir": EISDIR (illegal operation on a directory)`,
      }),
    );
    expect(read('loop')).toThrow(
      expect.objectContaining({ code: 5, message: expect.stringContaining('loop": ELOOP (too many symbolic links') }),
    );
  });
});

describe('readPlace', () => {
  it('reads where the store is and nothing else', () => {
    const document = {
      ipam: { type: 9, Datastore: 'file', data_dir: '/d', range: 5, exclude: 'x', kubernetes: { kubeconfig: '/k' } },
    };
    expect(readPlace(document as JsonObject).place).toEqual({ kind: 'file', dataDir: '/d', networkName: '' });
  });

  it.each([
    [{}, "IPAM config missing 'ipam' key"],
    [{ ipam: 7 }, "IPAM config missing 'ipam' key"],
    [{ ipam: {} }, 'config file not found'],
    [{ ipam: { datastore: 'file', network_name: '..' } }, 'cannot use "ipam.network_name" "..": it is not'],
  ])('refuses %o', (document, fragment) => {
    expect(() => readPlace(document as JsonObject)).toThrow(
      expect.objectContaining({ code: 7, message: expect.stringContaining(fragment) }),
    );
  });
});

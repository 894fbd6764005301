/** The published schemas describe what the plugins take: every example, and documents as people publish them. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { PLUGINS, ROOT } from '../lab/programs.ts';
import { faultOf, readersOf, schemaOf, spelled } from '../lab/schemas.ts';

type Document = Readonly<Record<string, unknown>>;

/** A configuration of one plugin, and the networks below it. */
const confsIn = (document: Document): readonly Document[] =>
  [document, ...['plugins', 'delegates'].flatMap((key) => (document[key] ?? []) as readonly Document[])].flatMap(
    (conf, index) => (index === 0 ? [conf] : confsIn(conf)),
  );

/** As a plugin gets it: with the name and the version of its list. */
const handedOut = (list: Document): readonly Document[] =>
  confsIn(list)
    .filter(({ type }) => type !== undefined)
    .map((conf) => ({ name: list['name'], cniVersion: list['cniVersion'], ...conf }));

const EXAMPLES = globSync('plugins/*/examples/*', { cwd: ROOT }).sort();
const read = (path: string): Document => JSON.parse(readFileSync(join(ROOT, path), 'utf8')) as Document;

describe.each(EXAMPLES)('%s', (path) => {
  it('fits the schema of every plugin of ours in it, plugin by plugin', () => {
    const checked = handedOut(read(path)).flatMap((conf) => readersOf(conf).map((plugin) => [plugin, conf] as const));
    expect(checked).not.toEqual([]);
    expect(checked.map(([plugin, conf]) => faultOf(plugin, conf))).toEqual(checked.map(() => ''));
  });

  it('fits the schema of its plugin as the list that it is', () => {
    const plugin = path.split('/')[1] ?? '';
    expect(faultOf(plugin, read(path))).toBe('');
  });
});

const NAMED = { cniVersion: '0.3.1', name: 'net' };
const MACVLAN = { ...NAMED, type: 'macvlan', master: 'eth0' };
const given = (ipam: object) => ({ ...MACVLAN, ipam: { type: 'whereabouts', ...ipam } });

describe('the schema of whereabouts', () => {
  it.each([
    given({ range: '192.168.2.225/28' }),
    given({ range: '192.168.2.225/28', exclude: ['192.168.2.229/30', '192.168.2.236/32'] }),
    given({
      datastore: 'kubernetes',
      kubernetes: { kubeconfig: '/etc/cni/net.d/whereabouts.d/whereabouts.kubeconfig' },
      range: '192.168.2.0/24',
      log_file: '/tmp/whereabouts.log',
      log_level: 'debug',
      gateway: '192.168.2.1',
    }),
    given({ ipRanges: [{ range: '192.168.10.0/24' }, { range: 'abcd::/64', range_start: 'abcd::2' }] }),
    given({ range: '10.0.0.0/8', node_slice_size: '/22', enable_overlapping_ranges: false }),
    given({
      range: '2001::0/116',
      etcd_host: 'example-etcd:2379',
      routes: [{ dst: '0.0.0.0/0', gw: null }],
      dns: null,
    }),
    { ...given({ range: '10.5.0.0/24' }), type: 'ipvlan', mode: 'l2' },
    { ...given({ range: '10.5.0.0/24' }), cniVersion: null, dns: {}, runtimeConfig: {}, prevResult: {} },
    {
      ...NAMED,
      plugins: [{ type: 'bridge', ipam: { type: 'whereabouts', range: '10.5.0.0/24' } }, { type: 'tuning' }],
    },
  ])('takes what people publish: %j', (document) => {
    expect(faultOf('whereabouts', document)).toBe('');
  });

  it.each([
    [{ ...NAMED, type: 'whereabouts', range: '10.5.0.0/24' }, /ipam/],
    [{ ...MACVLAN, ipam: { type: 'host-local', ranges: [] } }, /ipam\/type/],
    [given({ range: 7 }), /ipam\/range/],
    [given({ exclude: '10.5.0.1' }), /ipam\/exclude/],
    [given({ ipRanges: [{ range: [] }] }), /ipam\/ipRanges\/0\/range/],
    [{ ...given({}), name: undefined }, /name/],
    [{ ...NAMED, plugins: [{ type: 'bridge', ipam: { type: 'whereabouts', range: 7 } }] }, /plugins\/0\/ipam\/range/],
    [{ ...NAMED, plugins: [] }, /plugins/],
  ])('rejects %j', (document, where) => {
    expect(faultOf('whereabouts', JSON.parse(JSON.stringify(document)))).toMatch(where);
  });
});

/** An IPAM plugin gets the document of the plugin that calls it. */
const isIpam = (plugin: string): boolean => {
  const { properties } = schemaOf(plugin) as { properties: Readonly<Record<string, { properties?: Document }>> };
  return (properties['ipam']?.properties?.['type'] as { const?: unknown } | undefined)?.const === plugin;
};

describe('the schema of every plugin that gives addresses', () => {
  it.each(PLUGINS.filter(isIpam))(
    '%s knows its part by the type in it, and takes null for what is not given',
    (plugin) => {
      const nothing = { capabilities: null, prevResult: null, runtimeConfig: null, args: null, dns: null };
      const ipam = { type: plugin, routes: null, dns: null };
      expect(faultOf(plugin, { name: 'net', type: 'macvlan', cniVersion: null, ...nothing, ipam })).toBe('');
      expect(faultOf(plugin, { name: 'net', type: 'macvlan', ipam: { type: 'other' } })).toMatch(/type/);
      expect(faultOf(plugin, { name: 'net', type: 'macvlan' })).toMatch(/ipam/);
      expect(faultOf(plugin, { name: 'net', plugins: [{ type: 'other', ipam: { type: 'other', routes: 7 } }] })).toBe(
        '',
      );
      expect(faultOf(plugin, { name: 'net', plugins: [{ type: 'other', ipam: { type: plugin, routes: 7 } }] })).toMatch(
        /routes/,
      );
    },
  );
});

describe('the schema of every other plugin', () => {
  it.each(PLUGINS.filter((plugin) => !isIpam(plugin)))(
    '%s takes null for what is not given, and its own type only',
    (plugin) => {
      const nothing = {
        capabilities: null,
        prevResult: null,
        dns: null,
        ipam: null,
        runtimeConfig: null,
        master: null,
      };
      expect(faultOf(plugin, { name: 'net', type: plugin, cniVersion: null, ...nothing })).toBe('');
      expect(faultOf(plugin, { name: 'net', type: 'other' })).toMatch(/type/);
      expect(faultOf(plugin, { name: 'net' })).toMatch(/type/);
      expect(faultOf(plugin, { type: plugin })).toMatch(/name/);
      expect(faultOf(plugin, { name: 'net', plugins: [{ type: 'other', capabilities: 7 }] })).toBe('');
      expect(faultOf(plugin, { name: 'net', plugins: [{ type: plugin, capabilities: 7 }] })).toMatch(/capabilities/);
    },
  );
});

describe('spelled', () => {
  it('writes keys as the schema does, the last of several', () => {
    expect(
      spelled('whereabouts', { NAME: 'a', Ipam: { RANGE: 1, range: 2, IPRANGES: [{ Range: 3 }], Other: 4 } }),
    ).toEqual({ name: 'a', ipam: { range: 2, ipRanges: [{ range: 3 }], Other: 4 } });
  });
});

import { describe, expect, it } from 'vitest';
import { anyValue, flag, ipamSection, list, networkConf, object, section, text } from '../cni/config.ts';
import { CniError } from '../cni/errors.ts';
import type { Finding } from '../cni/findings.ts';
import { lookUp } from '../cni/json.ts';
import { type Definition, definePlugin } from '../cni/plugin.ts';
import { fakeScope } from '../cni/testing/fake-scope.ts';
import { examineConfs } from './doctor-confs.ts';

/** A main plugin, an IPAM plugin, one that must be chained, and one that has networks below it. */
const PLUGINS: readonly Partial<Definition<never>>[] = [
  {
    name: 'wire',
    conf: networkConf({ vlan: text(''), min_rate: text(''), ipam: ipamSection() }) as never,
    validate: ({ conf }: { readonly conf: { readonly vlan: string } }) => {
      if (conf.vlan === 'bad') {
        throw new CniError('invalidNetworkConfig', 'cannot use "vlan" "bad"');
      }
    },
  },
  {
    name: 'giver',
    conf: object({
      ipam: section(
        { type: text(''), range: text(''), ranges: list(object({ range: text('') }), ''), safe: flag('') },
        '',
      ),
    }) as never,
    misnomers: { Subnet: 'is a key of another plugin: write "range"' },
    validate: ({ conf }: { readonly conf: { readonly ipam?: { readonly range: string } } }) => {
      if (conf.ipam?.range === '') {
        throw new CniError('invalidNetworkConfig', 'cannot use "ipam.range" ""');
      }
    },
  },
  {
    name: 'chained',
    conf: networkConf({ logFile: text('') }) as never,
    validate: ({ document }) => {
      if (lookUp(document, 'prevResult') === undefined) {
        throw new CniError('invalidNetworkConfig', '"prevResult" is missing');
      }
    },
  },
  {
    name: 'many',
    conf: networkConf({ delegates: list(anyValue('') as never, ''), path: text('') }) as never,
    networksAt: ({ path }: { readonly path: string }) => [{ name: 'far', type: 'wire', vlan: path }],
  },
];

const scope = fakeScope({
  registry: Object.fromEntries(
    PLUGINS.map((plugin) => [plugin.name, async () => definePlugin(plugin as Definition<never>)]),
  ),
});

const examine = async (document: object): Promise<readonly Finding[]> =>
  examineConfs(scope, [{ path: '/net.d/a', document: { cniVersion: '1.1.0', name: 'blue', ...document }, fault: '' }]);

const texts = async (document: object): Promise<readonly string[]> => (await examine(document)).map(({ text }) => text);

const GIVEN = { type: 'giver', range: '10.0.0.0/24' };

describe('examineConfs', () => {
  it('has nothing to say of what can be used', async () => {
    const plugins = [{ type: 'wire', vlan: '7', ipam: GIVEN }, { type: 'chained' }, { type: 'foreign', x: 1 }];
    expect(await examine({ plugins })).toEqual([]);
    expect(await examine({ type: 'foreign', anything: { a: 1 }, ipam: { type: 'other', subnet: 'x' } })).toEqual([]);
  });

  it.each([
    [{ type: 'wire', vlan: 'bad' }, 'cannot use "vlan" "bad"'],
    [{ type: 'wire', vlan: 7 }, 'cannot use "vlan": 7 is not a string'],
    [{ type: 'wire', cniVersion: '9.9.9' }, 'incompatible CNI versions'],
    [{ type: 'wire', ipam: { type: 'giver' } }, 'cannot use "ipam.range" ""'],
    [{ type: 'foreign', ipam: { type: 'giver' } }, 'cannot use "ipam.range" ""'],
    [{ type: 'chained' }, '"prevResult" is missing'],
    [{ plugins: [{ type: 'chained' }] }, '"prevResult" is missing'],
    [{ plugins: [{ type: 'foreign' }, { type: 'wire', vlan: 'bad' }] }, 'cannot use "vlan" "bad"'],
    [{ plugins: [] }, 'cannot use "plugins": [] has no plugin'],
    [{ type: 'many', delegates: [{ name: 'red', type: 'wire', vlan: 'bad' }] }, 'cannot use "vlan" "bad"'],
    [{ type: 'many', path: 'bad' }, 'cannot use "vlan" "bad"'],
  ])('tells what a plugin says of %j', async (document, message) => {
    const found = await examine(document);
    expect(found.map(({ level, text }) => [level, text.replace(/^network "[a-z]+": /, '')])).toContainEqual([
      'fault',
      message,
    ]);
  });

  it("judges nothing twice: a delegate that is none is its caller's to refuse", async () => {
    expect(await texts({ type: 'many', delegates: [{ plugins: [] }, 7] })).toEqual([]);
  });

  it('hands out documents in the version of their list', async () => {
    const list = { cniVersion: '0.3.1', cniVersions: ['0.3.1', '1.0.0'], plugins: [{ type: 'wire', cniVersion: 'x' }] };
    expect(await texts(list)).toEqual([]);
  });

  it.each([
    [{ type: 'wire', vlanId: 7 }, 'wire: "vlanId"', 'change it to "vlan"'],
    [{ type: 'wire', 'min-rate': 1 }, 'wire: "min-rate"', 'change it to "min_rate"'],
    [{ type: 'wire', MinRate: 1 }, 'wire: "MinRate"', 'change it to "min_rate"'],
    [{ type: 'wire', range: 'x', ipam: GIVEN }, 'wire: "range"', 'change it to "ipam.range"'],
    [{ type: 'wire', logFile: 'x' }, 'wire: "logFile"', 'remove it: it is a key of chained'],
    [{ type: 'wire', zebra: 'x' }, 'wire: "zebra"', 'remove it ('],
    [
      { type: 'wire', ipam: { ...GIVEN, subnet: 'x' } },
      'wire: "ipam.subnet"',
      '"subnet" is a key of another plugin: write "range"',
    ],
    [{ type: 'foreign', ipam: { ...GIVEN, rnage: 'x' } }, 'foreign: "ipam.rnage"', 'change it to "range"'],
    [
      { type: 'wire', ipam: { ...GIVEN, ranges: [{}, { safe: true }] } },
      'wire: "ipam.ranges[1].safe"',
      'change it to "ipam.safe"',
    ],
    [{ plugins: [{ type: 'wire' }], vlan: 3 }, 'the list: "vlan"', 'remove it: it is a key of wire'],
    [
      { plugins: [{ type: 'wire' }], disablecheck: true, disableGc: true, dissableCheck: true },
      'the list: "dissableCheck"',
      'change it to "disableCheck"',
    ],
  ])('names an unknown key: %j', async (document, key, fix) => {
    const found = await examine(document);
    expect(found).toEqual([
      { level: 'warning', text: `network "blue": unknown key of ${key}`, fix: expect.stringContaining(fix) },
    ]);
    expect(found[0]?.fix).toContain('"/net.d/a"');
  });

  it('knows what runtimes read and fill in, and lets remarks be', async () => {
    const conf = {
      type: 'wire',
      CAPABILITIES: { mac: true },
      args: { cni: { labels: [] }, more: 1 },
      runtimeConfig: { whatever: 1 },
      prevResult: { x: 1 },
      dns: { nameservers: [] },
      'cni.dev/valid-attachments': [],
      _comment: 'x',
      $schema: 'x',
      '//': 'x',
      ipam: { type: 'other', subnet: 'x' },
    };
    expect(await texts(conf)).toEqual([]);
    expect(
      await texts({ plugins: [conf], disableGC: true, loadOnlyInlinedPlugins: true, cniVersions: ['1.0.0'] }),
    ).toEqual([]);
  });
});

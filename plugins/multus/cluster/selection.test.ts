import { describe, expect, it } from 'vitest';
import { parseSelections } from './selection.ts';

const names = (annotation: string): readonly string[] =>
  parseSelections(annotation, 'demo').map(
    ({ namespace, name, requests }) =>
      `${namespace}/${name}${requests.ifName === undefined ? '' : `@${requests.ifName}`}`,
  );

const one = (element: object) => parseSelections(JSON.stringify([{ name: 'lan', ...element }]), 'demo')[0];

describe('the short form', () => {
  it.each([
    ['lan', ['demo/lan']],
    ['lan,wan', ['demo/lan', 'demo/wan']],
    [' lan , other/wan ', ['demo/lan', 'other/wan']],
    ['lan@lan0', ['demo/lan@lan0']],
    ['other/lan@lan0', ['other/lan@lan0']],
    ['lan@', ['demo/lan']],
    ['/lan', ['demo/lan']],
    ['lan@ lan0 ', ['demo/lan@lan0']],
    ['lan@abcdefghijklmno', ['demo/lan@abcdefghijklmno']],
  ])('%j', (annotation, wanted) => {
    expect(names(annotation)).toEqual(wanted);
  });

  it.each([
    ['a/b/c', "failed at '/'"],
    ['a/b/c/d', "failed at '/'"],
    ['a@b@c', "failed at '@'"],
    ['a@b/c', '"a@b" is not a name'],
    ['Lan', '"Lan" is not a name'],
    ['lan.net', '"lan.net" is not a name'],
    ['../lan', '".." is not a name'],
    ['-lan', '"-lan" is not a name'],
    ['lan@has space', '"has space" is not a name of an interface'],
    ['lan@abcdefghijklmnop', '"abcdefghijklmnop" is not a name of an interface'],
    ['lan@äöüäöüäöü', 'is not a name of an interface'],
    ['lan@a\u2028b'.repeat(3000), "failed at '@'"],
    ['lan,', 'names no network'],
    ['other/', 'names no network'],
    [',', 'names no network'],
  ])('refuses %j', (annotation, why) => {
    expect(() => parseSelections(annotation, 'demo')).toThrow(why);
  });
});

describe('the form in JSON', () => {
  it('has everything that a pod may ask for; keys match without regard to case, null is absent', () => {
    const element = {
      Name: 'lan',
      NAMESPACE: 'other',
      interface: 'lan0',
      interfaceRequest: 'unused',
      mac: '02-00-00-00-00-09',
      'infiniband-guid': '0200.0000.0000.0009',
      ips: ['192.0.2.9/24', 'fd00::9'],
      portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp', hostIP: null }],
      bandwidth: { ingressRate: 4_000_000_000, ingressBurst: null },
      deviceID: '0000:01:00.1',
      'cni-args': { a: { b: 1 } },
      'default-route': ['192.0.2.1', 'fd00::1'],
      'ipam-claim-reference': 'ignored',
      more: null,
    };
    expect(parseSelections(JSON.stringify([element]), 'demo')).toEqual([
      {
        namespace: 'other',
        name: 'lan',
        cniArgs: { a: { b: 1 } },
        requests: {
          ifName: 'lan0',
          mac: '02-00-00-00-00-09',
          infinibandGuid: '0200.0000.0000.0009',
          ips: ['192.0.2.9/24', 'fd00::9'],
          portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }],
          bandwidth: { ingressRate: 4_000_000_000, ingressBurst: 0, egressRate: 0, egressBurst: 0 },
          deviceId: '0000:01:00.1',
          defaultRoute: ['192.0.2.1', 'fd00::1'],
        },
      },
    ]);
  });

  it.each([
    ['an empty list', '[]', []],
    ['one', '[{"name":"lan"}]', ['demo/lan']],
    ['the older key of the interface', '[{"name":"lan","interfaceRequest":"x0"}]', ['demo/lan@x0']],
    ['the last of equal keys', '[{"name":"a","name":"b"}]', ['demo/b']],
  ])('takes %s', (_, annotation, wanted) => {
    expect(names(annotation)).toEqual(wanted);
  });

  it('tells an empty list of gateways from none', () => {
    expect(one({ 'default-route': [] })?.requests).toEqual({ defaultRoute: [] });
    expect(one({ 'default-route': null })?.requests).toEqual({});
  });

  const NOT_JSON = 'failed to parse pod Network Attachment Selection Annotation JSON format';
  it.each([
    ['half a list', '[{"name":"lan"}', NOT_JSON],
    ['an object', '{"name":"lan"}', `${NOT_JSON}: it is not a list`],
    ['null elements', '[null]', `${NOT_JSON}: element 0 is not an object`],
    ['lists in it', '[{"name":"a"},[]]', `${NOT_JSON}: element 1 is not an object`],
    ['deep nesting', `[${'['.repeat(20_000)}${']'.repeat(20_000)}]`, NOT_JSON],
    ['an element without name', '[{"namespace":"x"}]', 'cannot use "name" of network 0 of the annotation: is missing'],
    ['a number for a name', '[{"name":7}]', '7 is not a string'],
  ])('refuses %s', (_, annotation, why) => {
    expect(() => parseSelections(annotation, 'demo')).toThrow(why);
  });

  it.each([
    ['mac', 'zz', 'failed to mac'],
    ['mac', '020000000009', 'failed to mac'],
    ['mac', '02:00:00:00:00', 'failed to mac'],
    ['infiniband-guid', 'x', 'failed to validate infiniband GUID'],
    ['ips', '192.0.2.9', 'is not a list'],
    ['ips', ['192.0.2.9/33'], 'failed to parse CIDR "192.0.2.9/33"'],
    ['ips', ['192.0.2.09'], 'failed to parse IP address "192.0.2.09"'],
    ['ips', ['fe80::1%eth0'], 'failed to parse IP address "fe80::1%eth0"'],
    ['ips', [null], 'null is not a string'],
    ['default-route', [''], 'failed to parse IP address ""'],
    ['portMappings', [{ hostPort: 0.5 }], '"portMappings.hostPort"'],
    ['portMappings', [null], 'null is not an object'],
    ['bandwidth', { ingressRate: '1' }, '"bandwidth.ingressRate"'],
    ['cni-args', 'x', '"x" is not an object'],
    ['interface', 5, '5 is not a string'],
  ])('refuses "%s" %j', (key, value, why) => {
    expect(() => one({ [key]: value })).toThrow(why);
  });

  it('takes a thousand elements in a moment', () => {
    const annotation = JSON.stringify(Array.from({ length: 1000 }, (_, index) => ({ name: `n${index}` })));
    expect(parseSelections(annotation, 'demo')).toHaveLength(1000);
  });
});

import { describe, expect, it } from 'vitest';
import { multusConf, runsMultus } from './conf.ts';

const KUBECONFIG = '/etc/cni/net.d/multus.d/multus.kubeconfig';
const settings = { kubeconfig: KUBECONFIG };
const bridge = {
  type: 'bridge',
  name: 'cluster',
  cniVersion: '0.3.1',
  capabilities: { portMappings: true, mac: false },
};
const flannel = {
  name: 'cbr0',
  cniVersion: '1.0.0',
  plugins: [
    { type: 'flannel', delegate: { isDefaultGateway: true, hairpinMode: true } },
    { type: 'portmap', capabilities: { portMappings: true } },
    { type: 'bandwidth', capabilities: { bandwidth: true, portMappings: true } },
  ],
};

describe('multusConf', () => {
  it('is a single plugin below version 1.0.0', () => {
    expect(
      multusConf({ type: 'bridge', name: 'cluster', cniVersion: '0.3.1', ipam: { b: 1, a: '<&>' } }, settings),
    ).toEqual({
      name: '00-multus.conf',
      text: `{
        "cniVersion": "0.3.1",
        "name": "multus-cni-network",
        "type": "multus",
        "kubeconfig": "${KUBECONFIG}",
        "delegates": [
                {"cniVersion":"0.3.1","ipam":{"a":"\\u003c\\u0026\\u003e","b":1},"name":"cluster","type":"bridge"}
        ]
}
`,
    });
  });

  it('is a list from version 1.0.0 on, and takes the capabilities of all plugins', () => {
    expect(multusConf(flannel, settings)).toEqual({
      name: '00-multus.conflist',
      text: `{
    "cniVersion": "1.0.0",
    "name": "multus-cni-network",
    "plugins": [ {
        "type": "multus",
        "capabilities": {"bandwidth":true,"portMappings":true},
        "kubeconfig": "${KUBECONFIG}",
        "delegates": [
            {"cniVersion":"1.0.0","name":"cbr0","plugins":[{"delegate":{"hairpinMode":true,"isDefaultGateway":true},"type":"flannel"},{"capabilities":{"portMappings":true},"type":"portmap"},{"capabilities":{"bandwidth":true,"portMappings":true},"type":"bandwidth"}]}
        ]
    }]
}
`,
    });
  });

  it.each([
    ['0.4.0', '00-multus.conf', ' '.repeat(8)],
    ['1.1.0', '00-multus.conflist', ' '.repeat(8)],
  ])('says all that can be said, in version %s', (cniVersion, name, pad) => {
    const conf = multusConf(
      { ...bridge, cniVersion },
      {
        ...settings,
        cniVersion,
        isNameTaken: true,
        namespaceIsolation: true,
        isolateDevices: false,
        isolateDefaultNetwork: false,
        statusRdma: true,
        globalNamespaces: 'default,infra',
        logToStderr: false,
        logLevel: 'verbose',
        logFile: '/var/log/multus.log',
        binDir: '/opt/more/bin',
        confDir: '/etc/cni/multus/net.d',
        readinessIndicatorFile: '/run/ready',
      },
    );
    const lines = [
      '"type": "multus",',
      '"capabilities": {"portMappings":true},',
      '"namespaceIsolation": true,',
      '"globalNamespaces": "default,infra",',
      '"isolateDefaultNetwork": false,',
      '"isolateDevices": false,',
      '"statusRdma": true,',
      '"logToStderr": false,',
      '"logLevel": "verbose",',
      '"logFile": "/var/log/multus.log",',
      '"binDir": "/opt/more/bin",',
      '"confDir": "/etc/cni/multus/net.d",',
      '"readinessindicatorfile": "/run/ready",',
      `"kubeconfig": "${KUBECONFIG}",`,
      '"delegates": [',
    ].map((line) => `${pad}${line}\n`);
    expect(conf.name).toBe(name);
    expect(conf.text).toContain(lines.join(''));
    expect(conf.text).toContain('"name": "cluster",');
    expect(JSON.parse(conf.text)).toMatchObject({ cniVersion, name: 'cluster' });
  });

  it('refuses a version other than the wanted one, unless it is forced on the wrapped network', () => {
    expect(() => multusConf(bridge, { ...settings, cniVersion: '1.0.0' })).toThrow(
      'its "cniVersion" is 0.3.1, not 1.0.0 as --cni-version wants',
    );
    const forced = multusConf(bridge, { ...settings, cniVersion: '1.0.0', isVersionForced: true });
    expect(forced.name).toBe('00-multus.conflist');
    expect(JSON.parse(forced.text)).toMatchObject({ plugins: [{ delegates: [{ cniVersion: '1.0.0' }] }] });
  });

  it('refuses a network without a version, or with one that is none', () => {
    expect(() => multusConf({ type: 'bridge', name: 'a' }, settings)).toThrow('it has no "cniVersion"');
    expect(() => multusConf({ ...bridge, cniVersion: 'new' }, settings)).toThrow('is no version: "new"');
  });

  it('knows what runs multus itself', () => {
    expect(runsMultus({ type: 'multus', delegates: [bridge] })).toBe(true);
    expect(runsMultus({ name: 'a', plugins: [{ type: 'multus-shim' }] })).toBe(true);
    expect([runsMultus(bridge), runsMultus(flannel)]).toEqual([false, false]);
  });
});

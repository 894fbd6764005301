import { describe, expect, it } from 'vitest';
import { isDeviceProgram, toldTo } from './device-programs.ts';

const told = (name: string, ...args: readonly string[]) => toldTo(name, args, '1.2.3');
const SRIOV = ['device-plugins', '--config-file', '/etc/pcidp/config.json', '--resource-prefix', 'intel.com'];
const RDMA = ['device-plugins', '--rdma-config-file', '/k8s-rdma-shared-dev-plugin/config.json'];

describe('the Go device plugins', () => {
  it.each<[name: string, args: readonly string[], run: readonly string[]]>([
    ['sriovdp', [], SRIOV],
    [
      'sriovdp',
      ['--log-level=10', '--resource-prefix=a.b', '--config-file=/etc/pcidp/node1', '--use-cdi'],
      ['device-plugins', '--config-file', '/etc/pcidp/node1', '--resource-prefix', 'a.b', '--use-cdi'],
    ],
    ['entrypoint.sh', ['--log-dir=sriovdp', '--log-level=10'], SRIOV],
    ['sriovdp', ['-v', '10', '-logtostderr', '--log-dir=sriovdp', '-use-cdi=false'], SRIOV],
    ['sriovdp', ['-config-file', '-'], ['device-plugins', '--config-file', '-', ...SRIOV.slice(3)]],
    ['sriovdp', ['word', '--nonsense'], SRIOV],
    ['k8s-rdma-shared-dp', [], RDMA],
    ['k8s-rdma-shared-dp', ['--use-cdi'], [...RDMA, '--use-cdi']],
    ['k8s-rdma-shared-dp', ['-config-file=a=b'], ['device-plugins', '--rdma-config-file', 'a=b']],
  ])('%s takes its flags: %j', (name, args, run) => {
    expect(told(name, ...args)).toEqual({ args: run });
  });

  it.each<[name: string, args: readonly string[], why: string]>([
    ['sriovdp', ['--nonsense'], 'flag provided but not defined: -nonsense'],
    ['sriovdp', ['-config-file'], 'flag needs an argument: -config-file'],
    ['sriovdp', ['-use-cdi=maybe'], 'invalid boolean value "maybe" for -use-cdi'],
    ['k8s-rdma-shared-dp', ['-resource-prefix=a'], 'flag provided but not defined: -resource-prefix'],
  ])('%s refuses others: %j', (name, args, why) => {
    expect(told(name, ...args)).toMatchObject({ exitCode: 2, logged: [why, expect.stringContaining('usage of ')] });
  });

  it('tell their usage and version', () => {
    expect(told('sriovdp', '-h')).toMatchObject({ exitCode: 0 });
    expect(told('k8s-rdma-shared-dp', '-v')).toEqual({
      exitCode: 0,
      printed: ['k8s-rdma-shared-dp of braid 1.2.3'],
      logged: [],
    });
  });

  it('are known by their names', () => {
    expect(['sriovdp', 'k8s-rdma-shared-dp', 'sriov', 'braid', 'toString'].map(isDeviceProgram)).toEqual([
      true,
      true,
      false,
      false,
      false,
    ]);
  });
});

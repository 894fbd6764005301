import { describe, expect, it } from 'vitest';
import { readOptions } from '../options.ts';
import { MULTUS_HELP } from './help.ts';
import { MULTUS_OPTIONS, readMultusInstall, withFlagValues } from './options.ts';

const read = (...args: readonly string[]) =>
  readMultusInstall(readOptions(withFlagValues(args), MULTUS_OPTIONS).values);

describe('options of install --multus', () => {
  it('takes the words of the manifest of Go', () => {
    const install = read(
      '--multus-conf-file=auto',
      '--multus-autoconfig-dir=/host/etc/cni/net.d',
      '--cni-conf-dir=/host/etc/cni/net.d',
      '--namespace-isolation=true',
      '--rename-conf-file',
      '--multus-log-level=Verbose',
      '--multus-log-to-stderr=false',
      '--multus-cni-conf-dir=/host/etc/cni/multus/net.d',
    );
    expect(install).toMatchObject({
      hostRoot: '/host',
      bin: '/host/opt/cni/bin',
      confDir: '/host/etc/cni/net.d',
      confFile: undefined,
      kubeconfig: '/etc/cni/net.d/multus.d/multus.kubeconfig',
      isPrimaryRenamed: true,
      isWatching: false,
      settings: {
        namespaceIsolation: true,
        logLevel: 'verbose',
        logToStderr: false,
        confDir: '/etc/cni/multus/net.d',
        isVersionForced: false,
      },
    });
  });

  it('is about the node itself where no folder of it is mounted elsewhere', () => {
    expect(read()).toMatchObject({
      hostRoot: '',
      bin: '/opt/cni/bin',
      confDir: '/etc/cni/net.d',
      autoconfigDir: '/etc/cni/net.d',
      kubeconfig: '/etc/cni/net.d/multus.d/multus.kubeconfig',
      settings: { confDir: '', logToStderr: true },
    });
    expect(read('--host-root=/node/')).toMatchObject({ hostRoot: '/node', confDir: '/node/etc/cni/net.d' });
    expect(read('--cni-bin-dir=/host/opt/cni/bin', '--host-root=/')).toMatchObject({ hostRoot: '' });
  });

  it('leaves to multus what is not said', () => {
    const { account, settings } = read();
    expect(account).toBe(undefined);
    expect(settings).toMatchObject({ isolateDefaultNetwork: true, isolateDevices: true, statusRdma: false });
    const words = ['--account=plugins', '--isolate-devices=false', '--isolate-default-network=false', '--status-rdma'];
    expect(read(...words)).toMatchObject({
      account: 'plugins',
      settings: { isolateDefaultNetwork: false, isolateDevices: false, statusRdma: true },
    });
  });

  it.each([
    [['--cni-conf-dir=etc'], 'cannot use --cni-conf-dir "etc": it is not an absolute path'],
    [['--namespace-isolation=yes'], 'cannot use --namespace-isolation "yes": it is "true" or "false"'],
    [['--multus-log-level=loud'], 'cannot use --multus-log-level "loud"'],
    [['--multus-master-cni-file-name=../a'], 'it is no name of a file'],
    [['--account=kube-system/plugins'], 'cannot use --account "kube-system/plugins"'],
    [['--daemonset=braid'], 'cannot use --daemonset "braid": write NAMESPACE/NAME'],
    [['--address=9447'], 'it is no address to listen at'],
    [['--interval=0'], 'it is a number of seconds'],
  ])('refuses %j', (args, message) => {
    expect(() => read(...args)).toThrow(message);
  });

  it('explains each of them', () => {
    const explained = MULTUS_HELP.map(([option]) => /--([a-z-]+)/.exec(option)?.[1]);
    expect(explained.toSorted()).toEqual(Object.keys(MULTUS_OPTIONS).toSorted());
  });
});

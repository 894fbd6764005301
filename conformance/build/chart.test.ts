/** The chart: what helm says of it, what it makes of it, and what it refuses. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadAll } from 'js-yaml';
import { describe, expect, it } from 'vitest';
import { DIST } from '../lab/programs.ts';
import { CHART, goldens, helm, rendered } from './chart.ts';

interface KubeObject {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly rules?: readonly Rule[];
  readonly spec?: { readonly template?: { readonly spec: PodSpec } };
}

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

interface PodSpec {
  readonly securityContext?: object;
  readonly containers: readonly { readonly args?: readonly string[]; readonly securityContext: object }[];
}

const objects = (...options: readonly string[]): readonly KubeObject[] =>
  (loadAll(rendered(...options).stdout) as (KubeObject | null)[]).filter((one) => one !== null);

describe('the chart', () => {
  it('has nothing that helm finds fault with, as a folder and as an archive', () => {
    for (const chart of [join(DIST, 'chart/braid'), CHART]) {
      const { exitCode, stdout } = helm('lint', '--strict', '--kube-version', '1.34.0', chart);
      expect(exitCode, stdout).toBe(0);
    }
  });

  it.each(goldens())('makes the objects of $path (node conformance/build/chart.ts writes it)', ({ path, options }) => {
    const { exitCode, stdout, stderr } = rendered(...options);
    expect(exitCode, stderr).toBe(0);
    expect(stdout).toBe(readFileSync(path, 'utf8'));
  });

  it.each([
    ['node.binDir=opt/cni/bin', 'binDir'],
    ['controller.replicas=-1', 'replicas'],
    ['controller.cronExpression=hourly', 'cronExpression'],
    ['multus.logLevel=loud', 'logLevel'],
    ['multus.loglevel=debug', 'loglevel'],
    ['node.maxUnavailable=0', 'maxUnavailable'],
    ['form=script', 'form'],
    ['agent.hostPaths={lib}', 'hostPaths'],
    ['image.pullPolicy=Sometimes', 'pullPolicy'],
    ['fullnameOverride=Braid!', 'fullnameOverride'],
    ['devices.resourcePrefix=Example', 'resourcePrefix'],
    ['devices.sriov=true', 'sriov'],
  ])('refuses the value %s', (value, key) => {
    const { exitCode, stderr } = rendered('--set', value);
    expect(exitCode).not.toBe(0);
    expect(stderr).toContain(key);
  });

  it('asks for no right of everything, and runs nothing privileged or with a root that can be written to', () => {
    for (const object of objects('--values', join(import.meta.dirname, 'chart/everything.values.yaml'))) {
      for (const { apiGroups, resources, verbs } of object.rules ?? []) {
        expect([...apiGroups, ...resources, ...verbs]).not.toContain('*');
        expect(resources).not.toContain('secrets');
      }
      const pod = object.spec?.template?.spec;
      for (const { securityContext } of pod?.containers ?? []) {
        expect(securityContext).toMatchObject({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        });
      }
      if (pod !== undefined && object.kind !== 'DaemonSet') {
        expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 65532 });
      }
    }
  });

  it('runs an agent on each node in the resident form: privileged, without a token, and nothing else so', () => {
    const values = ['--values', join(import.meta.dirname, 'chart/resident.values.yaml')];
    const all = objects(...values).filter(({ kind }) => kind === 'DaemonSet');
    expect(all.map(({ metadata }) => metadata.name)).toEqual(['rails-agent', 'rails-node']);
    const [agent, node] = all.map(({ spec }) => spec?.template?.spec);
    expect(agent).toMatchObject({ automountServiceAccountToken: false, hostNetwork: true, hostPID: true });
    expect(agent?.containers[0]?.securityContext).toMatchObject({ privileged: true, readOnlyRootFilesystem: true });
    expect(agent?.containers[0]?.args).toContain(
      '--whereabouts-kubeconfig=/etc/cni/net.d/whereabouts.d/whereabouts.kubeconfig',
    );
    expect(rendered('--set', 'form=resident').stdout).not.toContain('whereabouts-kubeconfig');
    expect(node?.containers[0]?.args).toContain('--form=resident');
    expect(node?.containers[0]?.securityContext).toMatchObject({ capabilities: { drop: ['ALL'] } });
  });

  it('hands out no devices unless it is told to; then with no right in the cluster, and in both forms alike', () => {
    expect(rendered().stdout).not.toContain('/var/lib/kubelet/plugins_registry');
    const before = objects().filter(({ kind }) => kind !== 'DaemonSet');
    expect(objects('--set', 'devices.enabled=true').filter(({ kind }) => kind !== 'DaemonSet')).toEqual(before);
    const config = '{"resourceList":[]}';
    for (const [form, name, option] of [
      ['standalone', 'braid-devices', '--config-file'],
      ['resident', 'braid-agent', '--device-config'],
    ]) {
      const set = ['--set', `form=${form},devices.enabled=true`];
      const told = (all: readonly KubeObject[]) =>
        all.find(({ kind, metadata }) => kind === 'DaemonSet' && metadata.name === name)?.spec?.template?.spec;
      const own = told(objects(...set));
      expect(own).toMatchObject({ automountServiceAccountToken: false, hostNetwork: true });
      expect(own?.containers[0]?.args).toEqual([`${option}=/etc/pcidp/config.json`]);
      const given = objects(...set, '--set-literal', `devices.config=${config}`);
      expect(told(given)?.containers[0]?.args).toEqual([`${option}=/etc/braid/devices/config.json`]);
      expect(given).toContainEqual(expect.objectContaining({ kind: 'ConfigMap', data: { 'config.json': config } }));
    }
  });

  it('gives the installer what it asks about, and what it is called with', () => {
    const all = objects('--set', 'fullnameOverride=rails');
    const role = all.find(({ kind, metadata }) => kind === 'Role' && metadata.name === 'rails-node');
    const asked = { apiGroups: ['apps'], resources: ['daemonsets'], resourceNames: ['rails-node'], verbs: ['get'] };
    expect(role?.rules).toContainEqual(asked);
    const daemonSet = all.find(({ kind }) => kind === 'DaemonSet');
    expect(daemonSet?.spec?.template?.spec.containers[0]?.args).toContain('--daemonset=kube-system/rails-node');
  });
});

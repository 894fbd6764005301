import { messageOf } from '../cni/errors.ts';
import type { Examined, Finding } from '../cni/findings.ts';
import type { Scope } from '../cni/scope.ts';
import type { Env } from '../sys/execute.ts';
import { CRI_OPTION, findRuntimes, type Runtime } from './cri.ts';
import { examineAgent } from './doctor-agent.ts';
import { examineConfs } from './doctor-confs.ts';
import { DEVICE_CONFIG_OPTIONS, examineDevices } from './doctor-devices.ts';
import { examineNetwork } from './doctor-network.ts';
import { examineRuntime, isRuntimeConfigured } from './doctor-runtime.ts';
import { listNamespaces } from './namespaces.ts';
import { NODE_OPTIONS, type Node, placesIn, readNode } from './node.ts';
import { readOptions } from './options.ts';
import { BIN_FOLDER } from './program.ts';
import { count } from './table.ts';

type Print = (line: string) => void;

/** `braid doctor`: returns 0 when there are no faults. */
export async function doctor(args: readonly string[], scope: Scope, print: Print, env: Env): Promise<number> {
  const { values } = readOptions(args, {
    ...NODE_OPTIONS,
    ...CRI_OPTION,
    ...DEVICE_CONFIG_OPTIONS,
    bin: { type: 'string', default: BIN_FOLDER },
    json: { type: 'boolean', default: false },
  });
  const places = placesIn(values);
  const node = await readNode(scope, places);
  const { runtimes, findings: silent } = await askRuntimes(values.cri);
  const hasRuntime = runtimes.length > 0 || silent.length > 0 || isRuntimeConfigured(values.cri);
  const found = [
    ...silent,
    ...(await examineRuntime(scope, node, { bin: values.bin, confDir: places.confDir, runtimes, hasRuntime })),
    ...(await examineAgent(scope, values.bin, env)),
    ...(await examineConfs(scope, node.confFiles)),
    ...examineRecords(node),
    ...examineNetwork(scope, node, await listNamespaces(scope)),
    ...(await examineDevices(scope, values)),
    ...(await askPlugins(scope, node)),
  ];
  const findings = withoutDuplicates(found);
  const faults = findings.filter(({ level }) => level === 'fault');
  if (values.json) {
    print(JSON.stringify(findings, null, 2));
  } else {
    report(findings, node, runtimes, print);
  }
  return faults.length > 0 ? 1 : 0;
}

/** Equal findings once, at the highest level. */
function withoutDuplicates(findings: readonly Finding[]): readonly Finding[] {
  return findings.filter((finding) => {
    const alike = findings.filter(({ text }) => text === finding.text);
    return finding === (alike.find(({ level }) => level === 'fault') ?? alike[0]);
  });
}

/** A runtime that does not answer is a finding, not a failure. */
async function askRuntimes(
  cri: string,
): Promise<{ readonly runtimes: readonly Runtime[]; readonly findings: readonly Finding[] }> {
  try {
    return { runtimes: await findRuntimes(cri), findings: [] };
  } catch (error) {
    const fix = 'start the runtime, or check its log: no pod starts without it';
    return { runtimes: [], findings: [{ level: 'fault', text: messageOf(error), fix }] };
  }
}

/** A plugin whose examination fails is a finding. */
async function askPlugins(scope: Scope, { confs, records, isGone }: Node): Promise<readonly Finding[]> {
  const examined: Examined = { confs, records, isGone };
  const findings: Finding[] = [];
  for (const load of Object.values(scope.suite.registry)) {
    const plugin = await load();
    try {
      findings.push(...((await plugin.examine?.(scope, examined)) ?? []));
    } catch (error) {
      findings.push({
        level: 'warning',
        text: `cannot examine the node for "${plugin.name}": ${messageOf(error)}`,
        fix: 'run braid as root on the node itself',
      });
    }
  }
  return findings;
}

function examineRecords({ records, faults, isGone }: Node): readonly Finding[] {
  const dead = new Set(records.filter(isGone).map(({ containerId }) => containerId));
  return [
    ...faults.map(
      (fault): Finding => ({
        level: 'warning',
        text: fault,
        fix: 'move the file away if no running pod needs it: its content is ignored',
      }),
    ),
    ...(dead.size === 0
      ? []
      : [
          {
            level: 'warning' as const,
            text: `${count(dead.size, 'container')} that ${dead.size === 1 ? 'is' : 'are'} gone still ${dead.size === 1 ? 'has' : 'have'} records, addresses or devices`,
            fix: 'run "braid gc"; "braid list" shows them',
          },
        ]),
  ];
}

function report(findings: readonly Finding[], node: Node, runtimes: readonly Runtime[], print: Print): void {
  for (const { level, text, fix } of findings) {
    print(`${level}: ${text}`);
    print(`  ${fix}`);
    print('');
  }
  const seen = [
    runtimes.map(({ name, version }) => `${name} ${version}`).join(', ') || 'no Kubernetes runtime',
    count(node.confs.length, 'configured plugin'),
    count(new Set(node.records.map(({ containerId }) => containerId)).size, 'recorded container'),
  ].join(', ');
  const faults = findings.filter(({ level }) => level === 'fault').length;
  const what =
    findings.length === 0
      ? 'no problems found'
      : `${count(faults, 'fault')}, ${count(findings.length - faults, 'warning')}`;
  print(`${what} (${seen})`);
}

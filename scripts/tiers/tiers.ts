import { globSync } from 'node:fs';
import { join } from 'node:path';
import { execute } from './execute.ts';
import {
  build,
  containerd,
  kernel,
  kubernetes,
  machine,
  type Need,
  otherProcessor,
  peers,
  root,
  servers,
  tools,
} from './needs.ts';
import { failure, type Outcome, together } from './outcome.ts';
import { showing } from './showing.ts';
import { runVitest } from './vitest.ts';

/** A kind of tests: see "What proves it" in ARCHITECTURE.md. */
export interface Tier {
  readonly name: string;
  /** name of a group of tiers */
  readonly group?: string;
  readonly needs: readonly Need[];
  /** Tiers of one lane run one after the other, lanes side by side. Those without a lane run before all others. */
  readonly lane?: 'node' | 'machine';
  /** Its calls can be done in the resident form too, see conformance/lab/resident.ts. */
  readonly hasForms?: boolean;
  run(isVerbose: boolean): Promise<Outcome>;
}

/** The form of a lab's calls: conformance/lab/resident.ts. */
export const FORM_VARIABLE = 'BRAID_FORM';

/** What always runs in the resident form too, by project; `--form resident` runs everything in it. */
const RESIDENT_PART = {
  conformance: [
    'conformance/contract/contract.test.ts',
    'conformance/plugins/host-device/host-device.test.ts',
    'conformance/plugins/whereabouts/whereabouts.test.ts',
    'conformance/plugins/multus/multus.test.ts',
    'conformance/storm/rounds.test.ts',
  ],
  containerd: ['conformance/containerd/crowd.test.ts'],
  cluster: ['conformance/cluster/crowd.test.ts'],
} as const;

const RESIDENT_FORM = { [FORM_VARIABLE]: 'resident' };

export const TIERS: readonly Tier[] = [
  { name: 'types', group: 'check', needs: [], run: (isVerbose) => runCommand('check:types', isVerbose) },
  { name: 'lint', group: 'check', needs: [], run: (isVerbose) => runCommand('check:lint', isVerbose) },
  { name: 'imports', group: 'check', needs: [], run: (isVerbose) => runCommand('check:imports', isVerbose) },
  { name: 'unit', group: 'check', needs: [], run: (isVerbose) => showing('unit', runVitest('unit', isVerbose)) },
  {
    name: 'netns',
    lane: 'node',
    needs: [root, tools, kernel, build],
    run: (isVerbose) => runVitest('netns', isVerbose),
  },
  {
    name: 'conformance',
    hasForms: true,
    lane: 'node',
    needs: [root, tools, otherProcessor, kernel, build, peers],
    run: (isVerbose) => showing('conformance', runVitest('conformance', isVerbose)),
  },
  {
    name: 'resident',
    lane: 'node',
    needs: [root, tools, kernel, build, peers, containerd, servers],
    run: runResident,
  },
  {
    name: 'containerd',
    hasForms: true,
    lane: 'node',
    needs: [root, tools, kernel, build, peers, containerd],
    run: (isVerbose) => runVitest('containerd', isVerbose),
  },
  {
    name: 'kubernetes',
    lane: 'node',
    needs: [root, tools, kernel, build, peers, containerd, kubernetes],
    run: (isVerbose) => runVitest('kubernetes', isVerbose),
  },
  {
    name: 'cluster',
    hasForms: true,
    lane: 'machine',
    needs: [build, servers],
    run: (isVerbose) => showing('cluster', runVitest('cluster', isVerbose)),
  },
  {
    name: 'vm',
    hasForms: true,
    lane: 'machine',
    needs: [root, tools, build, peers, machine],
    run: (isVerbose) => showing('vm', runMachines(isVerbose)),
  },
  {
    name: 'kubernetes-vm', // after the two machines of the tier before: a third would be far too slow
    lane: 'machine',
    needs: [root, tools, kernel, build, peers, containerd, kubernetes, machine],
    run: (isVerbose) => runVitest('kubernetes-vm', isVerbose),
  },
];

async function runResident(isVerbose: boolean): Promise<Outcome> {
  const outcomes: Outcome[] = [];
  for (const [project, files] of Object.entries(RESIDENT_PART)) {
    outcomes.push(await runVitest(project, isVerbose, { files, env: RESIDENT_FORM }));
  }
  return together(outcomes);
}

/** About half of the work, by time: an emulated machine keeps one processor busy. What plugins bring is a part of it. */
const FIRST_MACHINE = [
  ...['sriov', 'sriov-attributes', 'host-device'].map((name) => `conformance/vm/${name}.test.ts`),
  ...globSync('conformance/plugins/*/vm/*.test.ts', { cwd: join(import.meta.dirname, '../..') }).sort(),
];

/** Two machines at once: the second runs all files except the first's. */
async function runMachines(isVerbose: boolean): Promise<Outcome> {
  const within = (folder: string): readonly string[] => [
    'conformance/vm/run',
    ...['--timeout', '7200'],
    ...['--share', folder],
  ];
  const others = FIRST_MACHINE.flatMap((file) => ['--exclude', file]);
  return together(
    await Promise.all([FIRST_MACHINE, others].map((files) => runVitest('vm', isVerbose, { within, files }))),
  );
}

/** A command of package.json: one test, decided by its exit code. */
async function runCommand(script: string, isVerbose: boolean): Promise<Outcome> {
  const { exitCode, output } = await execute(['npm', 'run', '--silent', script], {
    shows: isVerbose ? 'all' : undefined,
  });
  const isGood = exitCode === 0;
  return isGood
    ? { passed: 1, failed: 0, skipped: [], report: output }
    : { ...failure(output), failures: [`npm run ${script}`] };
}

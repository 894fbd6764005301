/**
 * `node conformance/containerd/record.ts` writes down what each container runtime passes to a plugin, into fixtures/:
 * unit tests read it there, and record.test.ts notices when a runtime passes something else.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type RuntimePrograms, runtimes } from './install.ts';
import { makeRails, multus } from './networks.ts';
import { Site } from './site.ts';
import { type RecordedCall, Tap } from './tap.ts';

export const FIXTURES = join(import.meta.dirname, 'fixtures');

export interface Recording {
  /** `containerd v2.4.2` */
  readonly runtime: string;
  readonly calls: readonly RecordedCall[];
}

const CAPABILITIES = [
  'bandwidth',
  'cgroupPath',
  'dns',
  'io.kubernetes.cri.pod-annotations',
  'mac',
  'portMappings',
] as const;

/** A pod with annotations, a port and everything the runtime has for capabilities, and one with nothing of it. */
export async function record(programs: RuntimePrograms): Promise<Recording> {
  await using site = await Site.open(programs);
  await makeRails(site, 1);
  const tap = Tap.into(site, 'multus');
  const capabilities = Object.fromEntries(CAPABILITIES.map((name) => [name, true]));
  await site.configure([multus(site, 1, { capabilities })]);
  const rich = {
    annotations: { 'lab.example/colour': 'green', 'kubernetes.io/ingress-bandwidth': '10M' },
    portMappings: [{ containerPort: 80, hostPort: 8080, hostIp: '192.0.2.7' }],
    dnsServers: ['192.0.2.53'],
  };
  for (const spec of [{ name: 'rich', ...rich }, { name: 'plain' }]) {
    const pod = await site.run(spec);
    await site.cri.stop(pod.id);
    await site.cri.stop(pod.id);
    await site.cri.remove(pod.id);
  }
  const runtime = await site.cri.version();
  await site.cri.status();
  const text = JSON.stringify(tap.calls()).replaceAll(site.lab.dir, '/lab').replaceAll(site.lab.node, 'lab');
  return { runtime, calls: firstOfEach(JSON.parse(text) as readonly RecordedCall[]).map(withoutMark) };
}

/** The mark by which a site tells its configurations apart is not the runtime's. */
const withoutMark = ({ stdin, ...call }: RecordedCall): RecordedCall => {
  const { args: _, ...own } = stdin as Readonly<Record<string, unknown>>;
  return { ...call, stdin: own };
};

/** Statuses come as often as somebody asks. */
const firstOfEach = (calls: readonly RecordedCall[]): readonly RecordedCall[] => {
  const isStatus = ({ env }: RecordedCall): boolean => env['CNI_COMMAND'] === 'STATUS';
  return [...calls.filter((call) => !isStatus(call)), ...calls.filter(isStatus).slice(0, 1)];
};

export const fixtureOf = ({ name }: RuntimePrograms): string => join(FIXTURES, `${name.replace(' ', '-')}.json`);

if (import.meta.main) {
  mkdirSync(FIXTURES, { recursive: true });
  for (const programs of runtimes()) {
    writeFileSync(fixtureOf(programs), `${JSON.stringify(await record(programs), null, 2)}\n`);
    console.log(fixtureOf(programs));
  }
}

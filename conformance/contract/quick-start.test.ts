/** The quick start in README.md, as it is written: its lines, in a shell, on a node of their own. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { BASE_ENV, type Outcome } from '../lab/execute.ts';
import { Lab } from '../lab/lab.ts';
import { GO, ROOT } from '../lab/programs.ts';
import { CNITOOL } from '../peers/peers.ts';

/** Blocks of shell under a heading of README.md, in order. */
function shellBlocks(heading: string): readonly string[] {
  const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
  const section = readme.split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? '';
  return [...section.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, lines = '']) => lines);
}

const [install = '', run = '', cleanUp = ''] = shellBlocks('Quick start');

/** The shell is in mounts of its own: names of namespaces and libcni's cache are nobody else's. */
const ALONE = 'mount -t tmpfs tmpfs /run && mkdir -p /var/lib/cni && mount -t tmpfs tmpfs /var/lib/cni';

/** What a node has. */
const LOOK = `
ip -o link | sed 's/^[0-9]*: \\([^:@]*\\).*/link \\1/' | sort
ip netns list
find "$TMPDIR" /var/lib/cni -type f
`;

interface Ran extends Outcome {
  /** what the node had, before and after */
  readonly before: string;
  readonly after: string;
}

async function runAsWritten(...blocks: readonly string[]): Promise<Ran> {
  await using lab = await Lab.open();
  const script = [ALONE, LOOK, 'echo == run', ...blocks, 'echo == ran', LOOK].join('\n');
  const temporary = lab.folder('tmp');
  const outcome = await lab.execute(['sh', '-e', '-c', script], {
    env: { ...BASE_ENV, PATH: `${BASE_ENV['PATH']}:${GO.bin}`, TMPDIR: temporary },
    cwd: ROOT,
  });
  const [before = '', rest = ''] = outcome.stdout.split('== run\n');
  const [stdout = '', after = ''] = rest.split('== ran\n');
  expect(readdirSync(temporary), outcome.stderr).toEqual([]);
  return { ...outcome, stdout, before, after };
}

describe('the quick start', () => {
  it('installs the cnitool that these tests use, and says where it lands', () => {
    const [module, version] = CNITOOL.module.split('@');
    expect(install).toContain(`go install ${module}/${CNITOOL.path}@${version}\n`);
    expect(install).toContain('$(go env GOPATH)/bin');
  });

  it('touches neither the configuration nor the plugins of the node', () => {
    expect(run).toContain('NETCONFPATH="$try"');
    expect(install + run + cleanUp).not.toMatch(/\/etc\/cni|\/opt\/cni|braid" install/);
  });

  it('attaches two pods that reach each other, and leaves nothing', async () => {
    const { exitCode, stdout, stderr, before, after } = await runAsWritten(run, cleanUp);
    const complaints = stderr.replaceAll(/^(reserved|freed) \[.*\n/gm, '');
    expect({ exitCode, complaints }).toEqual({ exitCode: 0, complaints: '' });
    expect(stdout).toContain('"address": "192.0.2.1/24"');
    expect(stdout).toContain('"address": "192.0.2.2/24"');
    expect(stdout).toMatch(/\n2 attachments\n/);
    expect(stdout).toContain('64 bytes from 192.0.2.2');
    expect(stdout).toContain('3 packets transmitted, 3 received, 0% packet loss');
    expect(before).toContain('link lo\n');
    expect(after).toBe(before);
  });

  it('is right about what to expect: the node does not reach its macvlans', async () => {
    const probe = 'ip addr add 192.0.2.200/24 dev try0\nping -c 1 -W 1 192.0.2.1 || echo no reply\n';
    const { stdout } = await runAsWritten(run, probe, cleanUp);
    expect(stdout).toMatch(/1 packets transmitted, 0 received[\s\S]*no reply/);
  });

  it('cleans up after a failure half-way, too', async () => {
    const half = run.slice(0, run.indexOf('cnitool add try /run/netns/try-b'));
    const { before, after } = await runAsWritten(half, 'set +e', cleanUp);
    expect(after).toBe(before);
  });
});

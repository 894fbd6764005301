/** Standard streams as runtimes and people have them: late, full, closed, on a full disk; and names that are no plugin. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { BASE_ENV, type Env, execute, type Outcome } from '../lab/execute.ts';
import { Lab, PARENT } from '../lab/lab.ts';
import { errorOf } from '../lab/printed.ts';
import { OURS, SCRIPT, STANDALONE } from '../lab/programs.ts';
import { DEAF, LOGS, late, printingTo, waitingForReader } from '../lab/streams.ts';

const conf = JSON.stringify({ cniVersion: '1.1.0', name: 'a', master: PARENT });
const STATUS = { ...BASE_ENV, CNI_COMMAND: 'STATUS', CNI_PATH: '/nowhere' };
const VERSION = { ...BASE_ENV, CNI_COMMAND: 'VERSION' };

const shell = (script: string, env: Env): Promise<Outcome> => execute(['bash', '--norc', '-c', script], { env });
const shellIn = ({ node }: Lab, script: string, env: Env): Promise<Outcome> =>
  execute(['ip', 'netns', 'exec', node, 'bash', '--norc', '-c', script], { env });

describe.each([
  { form: 'the standalone program', place: STANDALONE },
  { form: 'the script', place: SCRIPT },
])('$form', ({ place }) => {
  const program = join(place, 'macvlan');

  it('waits for a configuration that comes late through a pipe that does not block', async () => {
    await using lab = await Lab.open();
    const outcome = await shellIn(lab, late(conf, program), STATUS);
    expect(outcome).toMatchObject({ exitCode: 0, stdout: '' });
  });

  it('waits for a reader of a full pipe that does not block, without using the processor', async () => {
    const { stdout, busy } = await waitingForReader((script) => shell(script, VERSION), program);
    expect(stdout).toContain('"supportedVersions"');
    expect(busy).toBeLessThan(0.3);
  });

  it.each(DEAF)('says in one line that $what did not take what it printed, and fails', async ({ to, says }) => {
    const outcome = await shell(printingTo(to, program), VERSION);
    expect(outcome).toMatchObject({ exitCode: 1, stderr: expect.stringMatching(says) });
  });

  it.each(LOGS)('attaches and detaches with its log on $what', async ({ script }) => {
    await using lab = await Lab.open();
    const pod = await lab.pod();
    const spoken = { cniVersion: '1.1.0', name: 'log', delegates: [] };
    const log = { logLevel: 'debug', logToStderr: true };
    const multus = {
      ...spoken,
      ...log,
      cniDir: join(lab.dir, 'multus'),
      binDir: place,
      delegates: [{ cniVersion: '1.1.0', name: 'lan', type: 'macvlan', master: 'par' }],
    };
    for (const verb of ['ADD', 'DEL']) {
      const env = {
        ...BASE_ENV,
        CNI_COMMAND: verb,
        CNI_CONTAINERID: 'log',
        CNI_NETNS: pod.path,
        CNI_IFNAME: 'eth0',
        CNI_PATH: OURS.path.join(':'),
      };
      const call = `printf '%s' '${JSON.stringify(multus)}' | ${join(place, 'multus')}`;
      const outcome = await lab.execute(['bash', '--norc', '-c', script(call), lab.folder(verb)], { env });
      expect({ verb, exitCode: outcome.exitCode, stdout: outcome.stdout }).toMatchObject({ verb, exitCode: 0 });
    }
    expect(readdirSync(join(lab.dir, 'multus')).filter((name) => name !== 'results')).toEqual([]);
  });

  it.each(['toString', '__proto__', 'constructor', 'hasOwnProperty'])('is no plugin called %s', async (name) => {
    const started =
      place === STANDALONE ? `exec -a ${name} ${program}` : `ln -s ${program} "$0/${name}"; exec "$0/${name}"`;
    await using lab = await Lab.open();
    const outcome = await execute(['bash', '--norc', '-c', started, lab.dir], { env: VERSION });
    expect(outcome).toMatchObject({ exitCode: 1, stderr: '' });
    expect(errorOf(outcome)).toMatchObject({
      code: 999,
      message: expect.stringContaining(`cannot run as "${name}"`),
    });
  });

  it('has code 6 for a byte order mark, before a document and alone', async () => {
    for (const stdin of [`\ufeff${conf}`, '\ufeff']) {
      const outcome = await execute([program], { env: STATUS, stdin });
      expect(errorOf(outcome)).toMatchObject({ code: 6, message: expect.stringContaining('byte order mark') });
    }
  });

  it('answers an endless value with a short message', async () => {
    const endless = 'x'.repeat(200_000);
    const confs = [{ name: endless }, { master: { x: endless } }, { mode: endless }, { name: `-${endless}` }];
    for (const more of confs) {
      const stdin = JSON.stringify({ ...JSON.parse(conf), ...more });
      const { stdout, exitCode } = await execute([program], { env: STATUS, stdin });
      expect(exitCode === 1 ? stdout.length : 0).toBeLessThan(10_000);
    }
    const outcome = await execute([program], {
      env: { ...STATUS, CNI_COMMAND: endless.slice(0, 100_000) },
      stdin: conf,
    });
    expect(outcome.stdout.length).toBeLessThan(10_000);
    expect(errorOf(outcome)).toMatchObject({ code: 4 });
  });

  it('says what it lacks where fewer files may be open than README asks for', async () => {
    await using lab = await Lab.open();
    const limited = (files: number) =>
      shellIn(lab, `ulimit -n ${files}; printf '%s' '${conf}' | exec ${program}`, STATUS);
    expect(await limited(24)).toMatchObject({ exitCode: 0 });
    const outcome = await limited(22);
    expect(outcome).toMatchObject({ exitCode: 1, stderr: '' });
    expect(errorOf(outcome)).toMatchObject({ message: expect.stringMatching(/too many open files|EMFILE/i) });
  });

  it('loads its native part where folders are full, or files may not grow', async () => {
    await using lab = await Lab.open();
    const tiny = (path: string) => `mount -t tmpfs -o size=16k tmpfs ${path}`;
    const run = (...steps: readonly string[]) =>
      execute(
        [
          ...['ip', 'netns', 'exec', lab.node, 'unshare', '--mount', '--propagation', 'slave'],
          ...['bash', '--norc', '-ec', `${steps.join('\n')}\nexec "$0"`, program],
        ],
        { env: STATUS, stdin: conf },
      );
    expect(await run(tiny('/dev/shm'))).toMatchObject({ exitCode: 0, stdout: '' });
    const limited = await run('ulimit -f 4');
    expect(limited).toMatchObject({ exitCode: 1, signal: undefined });
    expect(errorOf(limited)).toMatchObject({ message: expect.stringMatching(/cannot load the native part.*EFBIG/) });
  });
});

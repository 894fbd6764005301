/** Node knows many variables of the environment; a program of ours obeys none of them, and delegates get them all. */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BASE_ENV, type Env, execute, inParallel, mustRun, type Outcome } from '../lab/execute.ts';
import { SCRIPT, STANDALONE } from '../lab/programs.ts';

const WIDTH = 4;

const conf = { cniVersion: '1.1.0', name: 'a', master: 'lo' };
const NOWHERE = { CNI_CONTAINERID: 'c', CNI_NETNS: '/nowhere', CNI_IFNAME: 'eth0', CNI_PATH: '/nowhere' };

/** From one that needs nothing to one that loads the native part, asks the kernel, and fails. */
const CALLS: readonly Env[] = [{ CNI_COMMAND: 'VERSION' }, { CNI_COMMAND: 'ADD', ...NOWHERE }];

let folder: string;
let workshop: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'braid-environment-'));
  workshop = join(folder, 'cwd');
  mkdirSync(workshop);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const matches = (text: string, pattern: RegExp): readonly string[] =>
  [...text.matchAll(pattern)].map(([, name = '']) => name);

/** What Node says that it knows, and what the sources of its own modules read. */
function knownNames(): readonly string[] {
  const help = execFileSync(process.execPath, ['--help'], { encoding: 'utf8' });
  const documented = matches(help.slice(help.indexOf('Environment variables:')), /^([A-Z][A-Z0-9_]+)\s/gm);
  const script = 'process.stdout.write(Object.values(process.binding("natives")).join("\\n"))';
  const sources = execFileSync(process.execPath, ['--no-deprecation', '--eval', script], {
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  const read = matches(sources, /process\.env(?:\.|\[')([A-Z_][A-Z0-9_]*)/g);
  return [...new Set([...documented, ...read, 'OPENSSL_CONF', 'OPENSSL_MODULES', 'SSL_CERT_FILE', 'SSL_CERT_DIR'])];
}

/** Whatever in Node's own file looks like a variable of Node, of libuv, of ICU or of OpenSSL. */
const namesInBinary = (): readonly string[] => [
  ...new Set(
    matches(
      readFileSync(process.execPath, 'latin1'),
      /\0((?:NODE|OPENSSL|SSL|SSLKEY|UV|ICU|V8|QLOG|CTLOG|WATCH)[A-Z]*_?[A-Z0-9_]+)(?=\0)/g,
    ),
  ),
];

/** A switch, a descriptor, a path where there is nothing, a folder to be made, a file of nonsense, options. */
const nasty = (): readonly string[] => [
  '1',
  '3',
  '/absent/file',
  join(workshop, 'made'),
  join(folder, 'nonsense'),
  '--no-such-option',
];

const call = (program: string, env: Env): Promise<Outcome> =>
  execute([program], { env: { PATH: BASE_ENV['PATH'], ...env } as Env, stdin: JSON.stringify(conf), cwd: workshop });

describe.each([
  { form: 'the standalone program', place: STANDALONE },
  { form: 'the script', place: SCRIPT },
])('$form', ({ place }) => {
  const program = join(place, 'macvlan');
  let expected: readonly Outcome[];
  beforeAll(async () => {
    writeFileSync(join(folder, 'nonsense'), '[nonsense\n= }{\n');
    expected = await Promise.all(CALLS.map((env) => call(program, env)));
    expect(expected.map(({ exitCode, stderr }) => ({ exitCode, stderr }))).toEqual([
      { exitCode: 0, stderr: '' },
      { exitCode: 1, stderr: '' },
    ]);
  });

  it('obeys no variable that Node knows, one by one', async () => {
    const names = knownNames();
    expect(names).toContain('NODE_REPL_EXTERNAL_MODULE');
    expect(names).toContain('NODE_CHANNEL_FD');
    const [version] = expected;
    const found: object[] = [];
    await inParallel(names, WIDTH, async (name, index) => {
      const value = nasty()[index % nasty().length] ?? '';
      const outcome = await call(program, { CNI_COMMAND: 'VERSION', [name]: value });
      if (JSON.stringify(outcome) !== JSON.stringify(version)) {
        found.push({ name, value, outcome });
      }
    });
    expect(found).toEqual([]);
    expect(readdirSync(workshop)).toEqual([]);
  }, 600_000);

  it('obeys none of all that its binary knows, whatever they say', async () => {
    const names = [...new Set([...knownNames(), ...namesInBinary()])];
    expect(names.length).toBeGreaterThan(100);
    for (const value of nasty()) {
      const env = Object.fromEntries(names.map((name) => [name, value]));
      for (const [index, outcome] of expected.entries()) {
        expect({ value, ...(await call(program, { ...env, ...CALLS[index] })) }).toEqual({ value, ...outcome });
      }
    }
    expect(readdirSync(workshop)).toEqual([]);
  }, 600_000);

  it("does not read the node's configuration of OpenSSL", async () => {
    const nonsense = join(folder, 'nonsense');
    const places = ['/etc/ssl/openssl.cnf', '/usr/lib/ssl/openssl.cnf', '/usr/local/ssl/openssl.cnf'];
    const mounts = places.map((path) => `if [ -e ${path} ]; then mount --bind ${nonsense} ${path}; fi`);
    const outcome = await execute(
      ['unshare', '--mount', '--propagation', 'slave', 'sh', '-ec', `${mounts.join('\n')}\nexec "$0"`, program],
      {
        env: { ...BASE_ENV, CNI_COMMAND: 'VERSION' },
      },
    );
    expect(outcome).toEqual(expected[0]);
  });
});

describe('the standalone program', () => {
  it('gives its delegates the environment as it got it', async () => {
    const bin = join(folder, 'bin');
    mkdirSync(bin);
    writeFileSync(join(bin, 'spy'), `#!/bin/sh\nenv > ${folder}/seen\n`);
    chmodSync(join(bin, 'spy'), 0o755);
    const given = {
      NODE_OPTIONS: '--no-such-option',
      OPENSSL_CONF: '/absent',
      _underscore: 'a b',
      lower: 'case',
      HOME: '/root',
      LANG: 'C.UTF-8',
      __proto__x: 'x',
      EMPTY: '',
    };
    const env = { ...BASE_ENV, ...given, CNI_COMMAND: 'STATUS', CNI_PATH: bin };
    await mustRun([join(STANDALONE, 'macvlan')], {
      env,
      stdin: JSON.stringify({ ...conf, linkInContainer: true, ipam: { type: 'spy' } }), // no parent to look at
    });
    const seen = Object.fromEntries(
      readFileSync(join(folder, 'seen'), 'utf8')
        .split('\n')
        .map((line) => line.split(/=(.*)/s).slice(0, 2)),
    );
    expect(seen).toMatchObject(env);
  });
});

describe('the script', () => {
  it('says which Node it needs when there is none', async () => {
    const outcome = await execute([join(SCRIPT, 'macvlan')], { env: { PATH: '/absent', CNI_COMMAND: 'VERSION' } });
    expect(outcome).toMatchObject({ exitCode: 1, stderr: '' });
    expect(JSON.parse(outcome.stdout)).toMatchObject({ code: 999, msg: expect.stringContaining('Node 24') });
  });
});

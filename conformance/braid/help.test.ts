/** What braid says to people who do not know it yet, and to programs that call it wrongly. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { execute, type Outcome } from '../lab/execute.ts';
import { PLUGINS, SCRIPT, STANDALONE } from '../lab/programs.ts';

const FORMS = { standalone: STANDALONE, script: SCRIPT } as const;

type Form = keyof typeof FORMS;

const braid = (words: string, form: Form = 'standalone'): Promise<Outcome> =>
  execute([join(FORMS[form], 'braid'), ...words.split(' ').filter((word) => word !== '')]);

const commands = async (): Promise<readonly string[]> =>
  [...(await braid('help')).stdout.matchAll(/^ {2}braid ((?:\w+ )+) /gm)].map(([, name = '']) => name.trim());

describe.each(['standalone', 'script'] as const)('braid, %s form', (form) => {
  it('lists its commands and the plugins that it is', async () => {
    const { exitCode, stdout, stderr } = await braid('', form);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    for (const name of ['doctor', 'gc', 'install', 'ipam import', 'list', ...PLUGINS]) {
      expect(stdout).toContain(name);
    }
    for (const words of ['help', '--help', '-h']) {
      expect(await braid(words, form)).toMatchObject({ exitCode: 0, stdout, stderr: '' });
    }
  });

  it('tells its version', async () => {
    const { stdout } = await braid('version', form);
    expect(stdout).toMatch(/^braid \d+\.\d+\.\d+\S*\n$/);
    expect((await braid('--version', form)).stdout).toBe(stdout);
  });
});

describe('braid help', () => {
  it('explains each command in the same words, however it is asked', async () => {
    const names = await commands();
    expect(names).toEqual(
      expect.arrayContaining(['doctor', 'gc', 'help', 'ipam export', 'ipam import', 'ipam show', 'version']),
    );
    for (const name of names) {
      const { exitCode, stdout, stderr } = await braid(`help ${name}`);
      expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
      expect(stdout).toMatch(new RegExp(`^usage: braid ${name}( |\\n)`));
      expect((await braid(`${name} --help`)).stdout).toBe(stdout);
    }
  });

  it('explains a group of commands', async () => {
    const { stdout } = await braid('ipam --help');
    expect(stdout).toMatch(
      /^ {2}braid ipam check .*\n {2}braid ipam export .*\n {2}braid ipam import .*\n {2}braid ipam show .*\n$/,
    );
    expect((await braid('help ipam')).stdout).toBe(stdout);
  });

  it('names only options that there are', async () => {
    for (const name of await commands()) {
      const { stdout } = await braid(`help ${name}`);
      for (const [, option, value = ''] of stdout.matchAll(/^ {2}(--[\w-]+)( [A-Z]+)? {2}/gm)) {
        expect((await braid(`${name} ${option}${value} --no-such`)).stderr).toContain(
          'braid: unknown option "--no-such"',
        );
      }
    }
  });
});

describe('wrong usage', () => {
  it.each([
    ['lsit', 'unknown command "lsit", did you mean "list"?'],
    ['ipam chekc', 'unknown command "ipam chekc", did you mean "ipam check"?'],
    ['frobnicate', 'unknown command "frobnicate"'],
    ['ipam', '"ipam" is a group of commands: "ipam check", "ipam export", "ipam import", "ipam show"'],
    ['gc --dryrun', 'unknown option "--dryrun", did you mean "--dry-run"?'],
    ['gc --wait', 'option "--wait" needs a value'],
    ['list everything', 'unexpected argument "everything"'],
    ['install --form rpm', 'cannot use --form "rpm"'],
    ['ipam import', "expected the folder of host-local's network"],
    ['ipam import /x', 'expected --range'],
  ])('braid %s: exit code 2, the fault and the usage on stderr', async (words, fault) => {
    const { exitCode, stdout, stderr } = await braid(words);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    expect(stderr.split('\n')).toEqual([
      expect.stringContaining(`braid: ${fault}`),
      expect.stringMatching(/^usage: braid /),
      '',
    ]);
    const asJson = await braid(`${words} --json`);
    expect(asJson).toMatchObject({ exitCode: 2, stderr });
    expect(JSON.parse(asJson.stdout)).toEqual({
      error: expect.stringContaining(fault),
      usage: expect.stringMatching(/^braid /),
    });
  });
});

describe('a failure', () => {
  it.each([
    ['ipam import /no/such/folder --range 10.0.0.0/24', 'cannot read folder "/no/such/folder": ENOENT'],
    ['gc --cri /no/such/socket', 'cannot call "/no/such/socket"'],
    ['ipam show nowhere', 'cannot find pool "nowhere"'],
  ])('braid %s: exit code 1, and what failed', async (words, fault) => {
    const failed = await braid(words);
    expect(failed).toMatchObject({ exitCode: 1, stdout: '', stderr: expect.stringContaining(`braid: ${fault}`) });
    for (const line of failed.stderr.trimEnd().split('\n')) {
      expect(line).toMatch(/^braid: /);
    }
    const asJson = await braid(`${words} --json`);
    expect(asJson).toMatchObject({ exitCode: 1, stderr: failed.stderr });
    expect(JSON.parse(asJson.stdout)).toEqual({ error: expect.stringContaining(fault) });
  });
});

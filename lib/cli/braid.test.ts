import { beforeEach, describe, expect, it } from 'vitest';
import type { Command } from '../cni/command.ts';
import { fakePlugin } from '../cni/testing/fake-plugin.ts';
import { fakeScope } from '../cni/testing/fake-scope.ts';
import { runCommandLine } from './braid.ts';
import { WrongUsage } from './options.ts';
import type { Program } from './program.ts';

const logged: string[] = [];
const look: Command = {
  name: 'ipam look',
  usage: 'braid ipam look <folder>',
  about: 'looks',
  options: [['--deep', 'looks twice']],
  run: async ([first], { log }, print) => {
    if (first === 'broken') {
      throw new Error('it is broken');
    }
    if (first === '--what') {
      throw new WrongUsage('there is no --what');
    }
    if (first === 'half') {
      log('cannot see half of it');
    }
    print(`looked at ${first}`);
    return first === undefined ? 2 : 0;
  },
};
const scope = fakeScope({
  registry: {
    whereabouts: async () => fakePlugin('whereabouts', { commands: [look] }),
    macvlan: async () => fakePlugin('macvlan'),
  },
  log: (line) => logged.push(line),
});

const program: Program = {
  version: '1.2.3',
  id: 'abc',
  form: 'script',
  file: '/x/script/braid',
  folder: '/x/script',
  launcher: () => Buffer.from(''),
  env: {},
  stopSignal: () => new AbortController().signal,
};

interface Answer {
  readonly code: number;
  readonly text: string;
}

async function braid(...args: readonly string[]): Promise<Answer> {
  const lines: string[] = [];
  const code = await runCommandLine(args, scope, program, (line) => lines.push(line));
  return { code, text: lines.join('\n') };
}

const LOOK_HELP = 'usage: braid ipam look <folder>\nlooks\n\n  --deep  looks twice';

beforeEach(() => {
  logged.length = 0;
});

describe('braid', () => {
  it('runs the command of a plugin with what follows its name', async () => {
    expect(await braid('ipam', 'look', '/x')).toEqual({ code: 0, text: 'looked at /x' });
    expect((await braid('ipam', 'look')).code).toBe(2);
  });
  it.each([[], ['help'], ['--help'], ['-h']])('lists commands and plugins for %o', async (...args) => {
    const { code, text } = await braid(...args);
    expect(code).toBe(0);
    expect(text).toMatch(/ {2}braid install +install the [\s\S]* {2}braid ipam look +looks/);
    expect(text).toContain('whereabouts, macvlan');
    expect(logged).toEqual([]);
  });
  it.each([
    ['ipam', 'look', '--help'],
    ['ipam', 'look', '/x', '-h'],
    ['help', 'ipam', 'look'],
    ['--help', 'ipam', 'look'],
  ])('explains a command for %o', async (...args) => {
    expect(await braid(...args)).toEqual({ code: 0, text: LOOK_HELP });
  });
  it.each([
    ['ipam', '--help'],
    ['ipam', '-h'],
    ['help', 'ipam'],
  ])('lists the commands of a group for %o', async (...args) => {
    expect(await braid(...args)).toEqual({ code: 0, text: '  braid ipam look  looks' });
  });
  it('explains its own commands, help and version among them', async () => {
    for (const name of ['install', 'doctor', 'gc', 'list', 'uninstall', 'help', 'version']) {
      for (const args of [
        [name, '--help'],
        ['help', name],
      ]) {
        expect(await braid(...args)).toMatchObject({ code: 0, text: expect.stringContaining(`usage: braid ${name}`) });
      }
    }
    expect((await braid('gc', '--help')).text).toContain('--dry-run');
  });
  it('tells its version', async () => {
    expect(await braid('version')).toEqual({ code: 0, text: 'braid 1.2.3' });
    expect(await braid('--version')).toEqual({ code: 0, text: 'braid 1.2.3' });
    expect(JSON.parse((await braid('version', '--json')).text)).toEqual({ version: '1.2.3', form: 'script' });
  });
});

describe('what goes wrong', () => {
  it.each([
    [['lsit'], 'braid: unknown command "lsit", did you mean "list"?'],
    [['ipam', 'loook'], 'braid: unknown command "ipam loook", did you mean "ipam look"?'],
    [['look'], 'braid: unknown command "look", did you mean "ipam look"?'],
    [['frobnicate', '--json'], 'braid: unknown command "frobnicate"'],
    [['frobnicate', '--help'], 'braid: unknown command "frobnicate"'],
    [['help', 'lsit'], 'braid: unknown command "lsit", did you mean "list"?'],
    [['ipam'], 'braid: "ipam" is a group of commands: "ipam look"'],
    [['--json', 'list'], 'braid: expected a command before "--json"'],
    [['ipam', 'look', '--what'], 'braid: there is no --what'],
    [['list', '--conf'], 'braid: unknown option "--conf", did you mean "--conf-dir"?'],
    [['list', 'all'], 'braid: unexpected argument "all"'],
    [['gc', '--wait', 'soon'], 'braid: cannot use --wait "soon": it is not a whole number of seconds'],
  ])('%o is wrong usage: exit code 2, the error, how to call it', async (args, message) => {
    const { code, text } = await braid(...args);
    expect({ code, logged: [...logged] }).toEqual({
      code: 2,
      logged: [message, expect.stringMatching(/^usage: braid /)],
    });
    expect(text === '').toBe(!args.includes('--json'));
  });
  it('is a failure, exit code 1, when the usage was right', async () => {
    expect(await braid('ipam', 'look', 'broken')).toEqual({ code: 1, text: '' });
    expect(logged).toEqual(['braid: it is broken']);
  });
  it('is an object on stdout, too, with --json', async () => {
    const failed = await braid('ipam', 'look', 'broken', '--json');
    expect([failed.code, JSON.parse(failed.text)]).toEqual([1, { error: 'it is broken' }]);
    const misused = await braid('ipam', 'look', '--what', '--json');
    expect([misused.code, JSON.parse(misused.text)]).toEqual([
      2,
      { error: 'there is no --what', usage: 'braid ipam look <folder>' },
    ]);
    expect(logged.filter((line) => line.startsWith('braid: '))).toHaveLength(2);
  });
  it('has the name of the program in front, whoever logs it', async () => {
    expect((await braid('ipam', 'look', 'half')).code).toBe(0);
    expect(logged).toEqual(['braid: cannot see half of it']);
  });
});
